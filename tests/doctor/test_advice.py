"""The popular advice: shown beside hangs only, and every hang there is; to whom it is given."""

from __future__ import annotations

import pytest

from finalstop.doctor.advice import ADVICE, HANGS, advice_for
from finalstop.doctor.findings import KINDS
from finalstop.doctor.stacks import Stack, Told


def test_the_advice_stands_beside_findings_there_are():
    assert {kind.name for kind in KINDS} >= HANGS
    assert {"open_after_terminal", "hangs_on_stall"} <= HANGS


def test_each_piece_says_what_it_cures_and_what_it_does_not():
    assert all(it.says and it.cures and it.leaves for it in ADVICE)
    assert any("finalMessage" in it.says for it in ADVICE)
    assert any(it.says.startswith("break") for it in ADVICE)


FOR = [
    # stacks, whether it speaks of the TypeScript SDK, whether of the Python SDK
    ([Stack.EXPRESS], True, False),
    ([Stack.NGINX, Stack.NODE_HTTP], True, False),
    ([Stack.FASTAPI], False, True),
    ([Stack.FLASK], False, True),
    ([Stack.NGINX], False, False),
    ([], False, False),
]


@pytest.mark.parametrize(("stacks", "typescript", "python"), FOR)
def test_nobody_is_given_advice_for_another_language(stacks, typescript, python):
    given = advice_for(tuple(Told(it, "x") for it in stacks))
    said = " ".join(f"{it.says} {it.cures} {it.leaves}" for it in given)
    assert ("finalMessage" in said or "TypeScript" in said) is typescript
    assert ("Python" in said) is python
    assert "keep-alive" in said
