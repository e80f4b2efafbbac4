"""The official TypeScript SDK as a function: calls in, how each went out.

One Node process runs them all, many at once. It may not know what is expected of any.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.doors import ROOT
from tools.node import install, node

EXAMPLE = ROOT / "examples" / "express"
SCRIPT = ROOT / "tests" / "conformance" / "typescript" / "run.mjs"

# The helper's finalMessage(); its iterator; the raw iterator of create({stream: true}); create().
WAYS = ("helper", "loop", "raw", "create")

# Longer than every limit of the gateway under test: who is not back by then hangs.
WITHIN_S = 30
# More at once would make two busy cores look like a silent upstream.
AT_ONCE = 32


@dataclass(frozen=True)
class Case:
    """One call. `keep`: what was received is returned. `options`: of the client, as it spells."""

    url: str
    spec: str
    way: str
    keep: bool = False
    options: dict[str, Any] = field(default_factory=lambda: {"maxRetries": 0})

    def asked(self, id: int) -> dict[str, Any]:
        return {**asdict(self), "id": id, "beta": self.spec.startswith("beta")}


@dataclass(frozen=True)
class Went:
    """How one call went: `complete`, `raised` or `hung`, and what came with that."""

    outcome: str
    took_s: float
    error: dict[str, Any] = field(default_factory=dict)
    message: dict[str, Any] | None = None
    events: list[dict[str, Any]] | None = None


async def go(cases: Sequence[Case]) -> list[Went]:
    """Run all cases, in the order given.

    Raises:
        AssertionError: Node failed, or a rejection was left unhandled: it would end a server.
    """
    await asyncio.to_thread(install, EXAMPLE)
    asked = {
        "packages": str(EXAMPLE / "package.json"),
        "within_s": WITHIN_S,
        "at_once": AT_ONCE,
        "cases": [case.asked(id) for id, case in enumerate(cases)],
    }
    process = await asyncio.create_subprocess_exec(
        str(node()),
        str(SCRIPT),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, complained = await process.communicate(json.dumps(asked).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complained.decode()
    answer = json.loads(said)
    assert not answer["unhandled"], "\n".join(answer["unhandled"])
    return [Went(**answer["went"][str(id)]) for id in range(len(cases))]
