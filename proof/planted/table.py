"""The bugs that are planted: one row each. Most are what others' relays really do.

A row is what a person would call the bug, the file under src/finalstop, the text that is there
(once), the text that is put in its place, and the tests, a few seconds of them, that must fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proof.planted.inside import ENDS, TIMES, WIRES
from proof.planted.outside import LOGS, UPSTREAMS
from proof.planted.planting import Planting

PLANTINGS: Final[Sequence[Planting]] = (*ENDS, *TIMES, *WIRES, *LOGS, *UPSTREAMS)
