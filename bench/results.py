"""The results: every run as it was, under a stamp that says what was measured on what, and when."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench import machine
from bench.made import BENCH, ROOT, MissingError
from bench.session import Terms
from bench.subjects import HAS_GATING, SUBJECTS

PROFILES: Final = BENCH / "results" / "profiles.json"
LATEST: Final = BENCH / "results" / "latest.json"
FORMAT: Final = 1

Results = dict[str, Any]


def begin(terms: Terms, *, quick: bool) -> Results:
    """Results without a scenario yet."""
    return {
        "format": FORMAT,
        "stamp": {
            "taken": datetime.now(UTC).strftime("%Y-%m-%d"),
            "commit": _commit(),
            "quick": quick,
            "unquiet": terms.unquiet,
            "rounds": terms.rounds,
            "gating": HAS_GATING,
            "machine": machine.description(),
            "titles": {name: subject.title for name, subject in SUBJECTS.items()},
            "versions": _versions(terms),
        },
        "scenarios": {},
    }


def add(results: Results, name: str, played: Mapping[str, Any]) -> None:
    """Put a scenario in, with its own stamp: with `--keep` it may outlive the others."""
    own = {key: results["stamp"][key] for key in ("taken", "commit")}
    results["scenarios"][name] = {**own, **played}


def merged(old: Results, new: Results) -> Results:
    """The new results, with the old ones' scenarios that were not played again.

    Raises:
        ValueError: they are of two machines, or one of them is unquiet: they must not mix.
    """
    for name in ("machine", "unquiet"):
        if old["stamp"][name] != new["stamp"][name]:
            raise ValueError(f"--keep: the results differ in {name!r} and must not be mixed")
    versions = {**old["stamp"]["versions"], **new["stamp"]["versions"]}
    return {
        **new,
        "stamp": {**new["stamp"], "versions": versions},
        "scenarios": {**old["scenarios"], **new["scenarios"]},
    }


def read(path: Path) -> Results:
    """Results as they were written.

    Raises:
        ValueError: the file is of another format.
    """
    found: Results = json.loads(path.read_text("utf-8"))
    if found.get("format") != FORMAT:
        raise ValueError(f"{path.name} is not of format {FORMAT}: take the results anew")
    return found


def write(path: Path, results: Results) -> None:
    """Write them, readable in a diff."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", "utf-8")


def read_profiles() -> dict[str, dict[str, float]]:
    """The profiles of the chain by name, in the order in which they were taken."""
    if not PROFILES.is_file():
        return {}
    found: dict[str, dict[str, float]] = json.loads(PROFILES.read_text("utf-8"))
    return found


def write_profile(name: str, profile: Mapping[str, float]) -> None:
    """Keep a profile under a name, beside the others."""
    rounded = {stage: round(us, 3) for stage, us in profile.items()}
    profiles = {**read_profiles(), name: rounded}
    PROFILES.parent.mkdir(parents=True, exist_ok=True)
    PROFILES.write_text(json.dumps(profiles, indent=1) + "\n", "utf-8")


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _versions(terms: Terms) -> dict[str, str]:
    found = {}
    for name, subject in SUBJECTS.items():
        if terms.subjects is None or name in terms.subjects:
            try:
                found[name] = subject.version()
            except MissingError:
                found[name] = "not installed"
    return found
