"""The native load, driven: origin and viewers in one process, told where to ask, heard out.

It may not know which relay stands between.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from bench.made import native_load

# Beyond the instants that the load itself keeps: it ends by itself, unless something is wrong.
SLACK_S: Final = 30.0

# What every client shows. A key of this run only, because LiteLLM takes no weak one.
KEY: Final = f"sk-{secrets.token_hex(32)}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is played. `events` is what one stream has; `steady` derives it if it is 0."""

    mode: str = "steady"
    streams: int = 1
    viewers: int = 1
    leave_every: int = 0
    events: int = 0
    batch: int = 1
    interval_us: int = 10_000
    ramp_ms: int = 1500
    settle_ms: int = 500
    steady_ms: int = 4000
    patience_ms: int = 10_000

    @property
    def events_each(self) -> int:
        """Events of a stream: enough for the first one to outlast the steady part."""
        if self.events:
            return self.events
        lasts_ms = self.ramp_ms + self.settle_ms + self.steady_ms + 300
        return math.ceil(lasts_ms * 1000 / self.interval_us) * self.batch

    @property
    def offered_per_s(self) -> float:
        """Events a second that reach viewers, when all streams are open."""
        return self.streams * self.viewers * self.batch * 1e6 / self.interval_us

    @property
    def lasts_s(self) -> float:
        """A run of it, from the first viewer to the last byte, when nothing is late."""
        sends = self.events_each / self.batch + 1
        opened_s = (self.ramp_ms + self.settle_ms + self.steady_ms) / 1000
        stream_s = sends * self.interval_us / 1e6
        return max(opened_s, self.ramp_ms / 1000) + stream_s

    def lasting(self, seconds: float) -> Plan:
        """The same with another steady part."""
        return replace(self, steady_ms=int(seconds * 1000))

    def words(self) -> list[str]:
        """The arguments of the native program."""
        return [
            f"{name}={value}"
            for name, value in {**asdict(self), "events": self.events_each}.items()
        ]


def request(port: int, path: str) -> bytes:
    """What a viewer of the load sends, for whoever asks by hand."""
    body = (
        '{"model":"claude-sonnet-5-5","max_tokens":1024,"stream":true,"messages":'
        '[{"role":"user","content":"Why is the ocean salty?"}]}'
    )
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nx-api-key: {KEY}\r\n"
        "anthropic-version: 2023-06-01\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class LoadError(RuntimeError):
    """The load did not do what was asked; the message holds what it said."""


class Load:
    """A load that runs. Say `go`, then `hear` what it tells, in order."""

    def __init__(self, process: subprocess.Popen[bytes], plan: Plan) -> None:
        self._process = process
        self._plan = plan
        self._unread = b""
        self._over_at = time.monotonic() + SLACK_S
        self.port: int = self.hear("listening")["port"]

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def go(self, port: int) -> None:
        """Send the viewers to this port of this machine."""
        patience_s = self._plan.patience_ms / 1000
        self._over_at = time.monotonic() + self._plan.lasts_s + patience_s + SLACK_S
        self._say(f"go 127.0.0.1 {port}")

    def go_direct(self) -> None:
        """Send the viewers to the origin itself: what the load costs without a relay."""
        self.go(self.port)

    def stop(self) -> None:
        """End a plan that holds its streams open."""
        self._say("stop")

    def hear(self, at: str) -> dict[str, Any]:
        """Wait for the next thing it tells, which must be `at`.

        Raises:
            LoadError: it told something else, or nothing in time.
        """
        line = self._line(at)
        told: dict[str, Any] = json.loads(line) if line else {"at": "its end"}
        if told["at"] != at:
            raise LoadError(f"the load told {told['at']!r} where {at!r} was expected")
        return told

    def _line(self, at: str) -> bytes:
        # By hand and not by `readline`: what it keeps in its buffer, `select` does not see.
        assert self._process.stdout is not None
        out = self._process.stdout.fileno()
        while b"\n" not in self._unread:
            if not select.select([out], [], [], max(self._over_at - time.monotonic(), 0.0))[0]:
                raise LoadError(f"the load said nothing in time; {at!r} was expected")
            more = os.read(out, 1 << 16)
            if not more:
                return b""
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())


@contextmanager
def loading(
    plan: Plan,
    *,
    core: int,
    path: str = "/v1/messages",
    end: str = '"type":"message_stop"',
    watch_path: str = "/streams/%s",
) -> Iterator[Load]:
    """The load's process, with its origin listening.

    Args:
        plan: what is played.
        core: where it runs.
        path: what the viewers ask for.
        end: what stands in a complete body after its last delta, exactly once.
        watch_path: where a further viewer finds a stream; `%s` is its id.
    """
    words = [*plan.words(), f"path={path}", f"key={KEY}", f"end={end}", f"watch_path={watch_path}"]
    process = subprocess.Popen(
        ["taskset", "-c", str(core), str(native_load()), *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
    )  # fmt: skip
    try:
        yield Load(process, plan)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
