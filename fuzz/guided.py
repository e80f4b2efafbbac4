"""One target under a coverage-guided fuzzer: `python -m fuzz.guided TARGET --seconds N --seed N`.

A process of its own, because atheris rewrites what is imported after it and never comes back.
atheris is Linux's and macOS's; where it is not installed, `engine` is what there is.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from fuzz.corpus import load
from fuzz.engine import Run, tried

# After a finding, told on a line that the caller reads.
WRONG: Final = "WRONG "
# Beside the seconds that it fuzzes: to start, to read the corpus and to finish its last input.
AROUND_S: Final = 120
DONE: Final = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
EDGES: Final = re.compile(r"cov: (\d+)")


class GuidedError(RuntimeError):
    """The fuzzer found something, or did not run; the message is all that it said of it."""


def is_installed() -> bool:
    """Whether atheris is here."""
    return find_spec("atheris") is not None


def run(name: str, *, seconds: float, seed: int) -> tuple[Run, int]:
    """Fuzz one target in a process of its own; what it came to, and the edges it took.

    Raises:
        GuidedError: a finding, or no run.
    """
    command = [
        sys.executable, "-m", "fuzz.guided", name, "--seconds", f"{seconds:.0f}",
        "--seed", str(seed),
    ]  # fmt: skip
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=seconds + AROUND_S
    )
    said = done.stdout + done.stderr
    if WRONG in said:
        raise GuidedError(said.partition(WRONG)[2].strip()[:2000])
    units, edges = DONE.findall(said), EDGES.findall(said)
    if done.returncode or not units or not edges:
        raise GuidedError(f"it did not run ({done.returncode}): {said[-2000:]}")
    return Run(int(units[-1]), ()), int(edges[-1])


def main(argv: list[str]) -> None:
    """Fuzz in this process; it does not return."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.guided")
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(argv)
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["finalstop"]):
        target = import_module("fuzz.targets.table").TARGETS[asked.target]

    def one(data: bytes) -> None:
        found = tried(target, data)
        if found is not None:
            print(f"{WRONG}{found}", flush=True)
            raise SystemExit(1)

    with TemporaryDirectory() as folder:
        corpus, words = Path(folder, "corpus"), Path(folder, "words")
        corpus.mkdir()
        for number, data in enumerate(load(asked.target) or target.seeds()):
            (corpus / f"{number:04d}").write_bytes(data)
        lines = ['"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in target.words]
        words.write_text("".join(lines), "ascii")
        options = [
            f"-max_total_time={asked.seconds}", f"-seed={asked.seed}", f"-dict={words}",
            f"-max_len={target.bytes_max}", f"-artifact_prefix={folder}/", "-timeout=20",
            # What one input allocates is bounded, and not the process: libFuzzer takes for its own
            # the peak that a process inherits from whoever started it.
            "-print_final_stats=1", "-rss_limit_mb=0", "-malloc_limit_mb=2048", str(corpus),
        ]  # fmt: skip
        atheris.Setup([sys.argv[0], *options], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
