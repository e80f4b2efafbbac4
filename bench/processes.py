"""Processes of the benchmark: started on a core, counted as a tree, ended by their own id.

It may not know what a process is for.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOOK_S: Final = 0.005
END_S: Final = 5.0
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")

# What must not leak from the shell of whoever runs the benchmark into a subject.
HIDDEN: Final = (
    "FINALSTOP_", "ANTHROPIC_", "OPENAI_", "LITELLM_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY",
    "http_proxy", "https_proxy", "all_proxy", "PYTHON", "NODE_",
)  # fmt: skip


class StartError(RuntimeError):
    """A subject did not start; the message holds what it said."""


@dataclass(frozen=True)
class Cpu:
    """CPU time of a process tree up to now: all of it, and what the kernel spent for it."""

    total_ns: int
    kernel_ns: int

    def __sub__(self, other: Cpu) -> Cpu:
        return Cpu(self.total_ns - other.total_ns, self.kernel_ns - other.kernel_ns)


@dataclass(frozen=True)
class Tree:
    """A process and all its descendants."""

    process: subprocess.Popen[bytes]

    @property
    def pids(self) -> list[int]:
        """Those that live now, the root first."""
        found = [self.process.pid]
        for pid in found:
            found += _children(pid)
        return found

    def cpu(self) -> Cpu:
        """What the tree has used. A child that has ended counts once its parent has waited."""
        return Cpu(
            sum(scheduled_ns(pid) for pid in self.pids), sum(_kernel_ns(pid) for pid in self.pids)
        )

    def rss_bytes(self) -> int:
        """Resident memory of the tree, as `ps` shows it."""
        return sum(_rss_bytes(pid) for pid in self.pids)


@contextmanager
def running(
    command: Sequence[str], *, core: int, folder: Path, env: Mapping[str, str] | None = None
) -> Iterator[Tree]:
    """The process, pinned to a core before it starts; ended, with its tree, on leaving.

    Its output goes to `folder`/output.txt.
    """
    full_env = {name: it for name, it in os.environ.items() if not name.startswith(HIDDEN)}
    full_env.update(env or {})
    with (folder / "output.txt").open("ab") as out:
        try:
            # taskset and not preexec_fn: what is timed is an exec, as a user's shell does it.
            process = subprocess.Popen(
                ["taskset", "-c", str(core), *command],
                cwd=folder, env=full_env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise StartError(f"{error.filename} is not installed (Debian: util-linux)") from None
    tree = Tree(process)
    try:
        yield tree
    finally:
        end(tree)


def end(tree: Tree) -> None:
    """Ask the tree to end, then make it."""
    pids = tree.pids
    if tree.process.poll() is None:
        tree.process.terminate()
    with suppress(subprocess.TimeoutExpired):
        tree.process.wait(END_S)
    for pid in pids:
        # The root has been waited for when it is gone; only what still is ours is killed.
        if pid != tree.process.pid and _is_orphan(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    if tree.process.poll() is None:
        tree.process.kill()
        tree.process.wait()


def wait_for_port(port: int, tree: Tree, folder: Path, within_s: float) -> None:
    """Return once the port is listened on.

    Raises:
        StartError: the process ended, or was not ready in time.
    """
    over_at = time.monotonic() + within_s
    while not is_listening(port):
        said = (folder / "output.txt").read_text("utf-8", errors="replace")[-2000:]
        if tree.process.poll() is not None:
            raise StartError(f"{tree.process.args!r} ended with {tree.process.returncode}:\n{said}")
        if time.monotonic() > over_at:
            raise StartError(f"{tree.process.args!r} did not listen within {within_s} s:\n{said}")
        threading.Event().wait(LOOK_S)


def everybody_else(mine: Container[int]) -> dict[int, int]:
    """CPU nanoseconds of every process of the system but ours and the network's, up to now."""
    return {pid: scheduled_ns(pid) for pid in _pids() if pid not in mine and not _carries(pid)}


def network_ns() -> int:
    """CPU nanoseconds of the kernel's own network threads, which carry our events, up to now."""
    return sum(scheduled_ns(pid) for pid in _pids() if _carries(pid))


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - names


def _carries(pid: int) -> bool:
    return _name(pid).startswith("ksoftirqd")


def is_listening(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _read(path: str) -> str:
    """A file of /proc; empty when its process is gone."""
    try:
        return Path(path).read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _tasks(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - names, not paths
    except OSError:
        return []


def _children(pid: int) -> list[int]:
    return [
        int(child)
        for task in _tasks(pid)
        for child in _read(f"/proc/{pid}/task/{task}/children").split()
    ]


def scheduled_ns(pid: int) -> int:
    """Nanoseconds on a CPU, of all its threads; /proc/PID/stat only counts ticks of 10 ms."""
    lines = (_read(f"/proc/{pid}/task/{task}/schedstat").split() for task in _tasks(pid))
    return sum(int(fields[0]) for fields in lines if fields)


def _name(pid: int) -> str:
    return _read(f"/proc/{pid}/comm")


def _stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may hold spaces: state is the first."""
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def _kernel_ns(pid: int) -> int:
    fields = _stat_fields(pid)
    return int(fields[12]) * 1_000_000_000 // TICKS_PER_S if fields else 0


def _is_orphan(pid: int) -> bool:
    fields = _stat_fields(pid)
    return bool(fields) and fields[0] != "Z" and int(fields[1]) in {1, os.getpid()}


def _rss_bytes(pid: int) -> int:
    after = _read(f"/proc/{pid}/status").partition("VmRSS:")[2].split()
    return int(after[0]) * 1024 if after else 0
