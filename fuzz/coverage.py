"""Which lines of the product follow which, and how often: what tells a new input from an old one.

A tracer of Python's own; slow, but it needs nothing installed and sees every line.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

from fuzz.target import bucket

PRODUCT: Final = str(Path(__file__).parents[1] / "src" / "finalstop")

# A step: the file, the line before and the line; then about how often it was taken.
Step = tuple[str, int, int]
Feature = tuple[Step, int] | str


def features_of(judge: Callable[[bytes], str], data: bytes) -> set[Feature]:
    """The steps that judging `data` takes, with how often, and the verdict.

    Raises:
        Exception: what the judge raises.
    """
    tracer = _Tracer()
    before = sys.gettrace()
    sys.settrace(tracer.enter)
    try:
        verdict = judge(data)
    finally:
        sys.settrace(before)
    found: set[Feature] = {(step, bucket(count)) for step, count in tracer.steps.items()}
    return found | {verdict}


class _Tracer:
    def __init__(self) -> None:
        self.steps: Final[Counter[Step]] = Counter()
        self._last: dict[FrameType, int] = {}
        self._is_ours: dict[str, bool] = {}

    def enter(self, frame: FrameType, _event: str, _arg: Any) -> Any:
        name = frame.f_code.co_filename
        ours = self._is_ours.get(name)
        if ours is None:
            ours = self._is_ours[name] = name.startswith(PRODUCT)
        if not ours:
            return None
        self._last[frame] = 0
        return self._step

    def _step(self, frame: FrameType, event: str, _arg: Any) -> Any:
        if event == "line":
            step = (frame.f_code.co_filename, self._last.get(frame, 0), frame.f_lineno)
            self.steps[step] += 1
            self._last[frame] = frame.f_lineno
        elif event == "return":
            self._last.pop(frame, None)
        return self._step
