"""The tables agree: every subject that is played exists, and every one is played."""

from __future__ import annotations

from bench.made import PROGRAMS
from bench.scenarios import QUICK_SUBJECTS, SCENARIOS
from bench.subjects import SUBJECTS, Place


def test_every_subject_is_played_and_every_played_subject_exists():
    played = {name for scenario in SCENARIOS.values() for name in scenario.subjects}
    assert played == SUBJECTS.keys()
    assert played > QUICK_SUBJECTS


def test_nginx_is_in_every_paced_scenario_that_is_compared_with_it():
    compared = [it for it in SCENARIOS.values() if it.kind == "paced" and it.name != "watch8"]
    assert all("nginx" in scenario.subjects for scenario in compared)


def test_a_template_is_written_with_its_ports(tmp_path):
    place = Place(port=18123, upstream_port=18124, folder=tmp_path)
    for name in ("nginx.conf", "haproxy.cfg", "litellm.yaml"):
        text = place.written(name).read_text("utf-8")
        assert "18124" in text
        assert "{port}" not in text
        assert "{upstream_port}" not in text


def test_what_is_installed_for_a_peer_is_pinned_and_hashed():
    pins = (PROGRAMS / "litellm.txt").read_text("utf-8")
    blocks = [it for it in pins.split("\n") if it and not it.startswith((" ", "#"))]
    assert all("==" in it for it in blocks)
    assert pins.count("--hash=sha256:") >= len(blocks)
