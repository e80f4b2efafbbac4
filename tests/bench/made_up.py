"""Results that nobody measured, to judge the judges by."""

from __future__ import annotations

from typing import Any


def run(*, failures: dict[str, int] | None = None, **figures: Any) -> dict[str, Any]:
    return {"figures": figures, "failures": failures or {}, "disturbed": []}


def played(title: str = "made up", kind: str = "paced", **subjects: list[Any]) -> dict[str, Any]:
    return {
        "title": title, "kind": kind, "streams": 64, "offered_per_s": 1000.0, "taken": "2026-01-01",
        "commit": "abc", "missing": {}, "direct": [],
        "subjects": {name.replace("_", "-"): runs for name, runs in subjects.items()},
    }  # fmt: skip


def results(**scenarios: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "stamp": {
            "taken": "2026-01-01", "commit": "abc", "quick": False, "unquiet": False, "rounds": 2,
            "gating": True, "titles": {"self": "ours, as started"},
            "versions": {"nginx": "nginx 1"},
            "machine": {"cpu": "C", "cores": 2, "kernel": "6", "python": "3", "memory_mb": 1},
        },
        "scenarios": {name.replace("_", "-"): it for name, it in scenarios.items()},
    }  # fmt: skip
