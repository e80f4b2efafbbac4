"""What is read off mutmut: which line a mutant has, where it is, and whether anybody could tell.

`make prove ARGS=mutation` changes all of core; that takes minutes.
"""

from __future__ import annotations

import pytest

from proof.mutation import line_of, place_of, reason

CHANGED = """--- src/finalstop/core/timers.py
+++ src/finalstop/core/timers.py
@@ -1 +1 @@
-        if a > b:
+        if a >= b:
"""
TAKEN_OUT = """--- src/finalstop/core/lifecycle.py
+++ src/finalstop/core/lifecycle.py
@@ -2 +0 @@
-            case _:
-                assert_never(payload)
"""


@pytest.mark.parametrize(
    ("diff", "line"), [(CHANGED, "if a >= b:"), (TAKEN_OUT, "-case _:"), ("", "")]
)
def test_a_mutant_is_known_by_the_line_it_has_instead(diff, line):
    assert line_of(diff) == line


PLACES = [
    ("finalstop.core.timers.x_due__mutmut_3", "core.timers.due"),
    ("finalstop.core.timers.x__since__mutmut_12", "core.timers._since"),
    ("finalstop.core.lifecycle.xǁLifecycleǁ_end__mutmut_1", "core.lifecycle.Lifecycle._end"),
]


@pytest.mark.parametrize(("name", "place"), PLACES)
def test_a_mutant_is_placed_in_its_function(name, place):
    assert place_of(name) == place


def test_only_a_mutant_that_is_listed_is_beyond_notice():
    assert reason("assert_never(None)")
    assert reason("for new, old in zip(astuple(later), astuple(earlier), strict=False)")
    assert not reason("if a >= b:")
