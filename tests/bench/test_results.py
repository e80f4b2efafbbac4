from __future__ import annotations

import pytest

from bench.results import add, merged, read, write
from tests.bench.made_up import played, results


def test_results_are_read_as_they_were_written(tmp_path):
    taken = results(cold=played())
    write(tmp_path / "deep" / "latest.json", taken)
    assert read(tmp_path / "deep" / "latest.json") == taken


def test_results_of_another_format_are_refused(tmp_path):
    write(tmp_path / "old.json", {**results(), "format": 0})
    with pytest.raises(ValueError, match=r"old\.json is not of format 1"):
        read(tmp_path / "old.json")


def test_what_was_not_played_again_is_kept_with_its_own_stamp():
    old, new = results(cold=played("old"), churn=played("old")), results()
    new["stamp"]["commit"] = "def"
    add(new, "cold", {**played("new"), "commit": "ignored"} | {"commit": "def"})
    both = merged(old, new)
    assert both["scenarios"]["cold"]["title"] == "new"
    assert both["scenarios"]["churn"]["commit"] == "abc"
    assert both["stamp"]["commit"] == "def"


@pytest.mark.parametrize(("name", "other"), [("machine", {"cpu": "D"}), ("unquiet", True)])
def test_results_that_cannot_be_compared_are_not_mixed(name, other):
    new = results()
    new["stamp"][name] = other
    with pytest.raises(ValueError, match="must not be mixed"):
        merged(results(), new)
