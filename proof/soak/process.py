"""What another process of this machine holds, read from /proc. Linux only."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from proof.soak.judge import Holdings

THREADS: Final = re.compile(r"^Threads:\s+(\d+)$", re.MULTILINE)


def holdings_of(pid: int) -> Holdings:
    """Its open descriptors, by what they are, and its threads."""
    status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    threads = THREADS.search(status)
    assert threads is not None
    return Holdings(dict(Counter(_files(pid))), int(threads[1]))


def _files(pid: int) -> Iterator[str]:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            yield os.readlink(link).partition(":")[0]  # noqa: PTH115 # no path: "socket:[123]"
        except FileNotFoundError:
            continue
