"""Cold start: from exec to the first byte of a stream's first event, asked again and again."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Final

from bench.load import Plan, loading, request
from bench.machine import Cores, noise
from bench.measure import MB, Run
from bench.processes import END_S, running
from bench.subjects import START_S, Subject

LOOK_S: Final = 0.002
LISTEN_S: Final = 0.5


def cold(subject: Subject, plan: Plan, cores: Cores) -> Run:
    """Milliseconds from exec to the first byte that holds an event."""
    # A start lasts too short to see in it who else was there.
    disturbed = tuple(noise(LISTEN_S))
    with (
        loading(plan, core=cores.load, path=subject.path, end=subject.end) as load,
        subject.place(load.port) as place,
    ):
        command, environment = subject.command(place), subject.environment(place)
        began = time.monotonic()
        with running(command, core=cores.relay, folder=place.folder, env=environment) as tree:
            first_byte_s = _first_event(place.port, subject.path, began)
            rss = tree.rss_bytes()
    figures = {"rss_mb": rss / MB}
    if first_byte_s is None:
        return Run(figures=figures, failures={"no_answer": 1}, disturbed=disturbed)
    return Run(figures={**figures, "first_byte_ms": first_byte_s * 1000}, disturbed=disturbed)


def _first_event(port: int, path: str, began: float) -> float | None:
    """Seconds since `began` until a delta came; None when none came in time."""
    while time.monotonic() - began < START_S:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), END_S) as sock:
            if _answers(sock, port, path):
                return time.monotonic() - began
        threading.Event().wait(LOOK_S)
    return None


def _answers(sock: socket.socket, port: int, path: str) -> bool:
    sock.settimeout(START_S)
    sock.sendall(request(port, path))
    got = b""
    # The mark of a delta: a head alone is not yet an answer.
    while b"@" not in got:
        more = sock.recv(65536)
        if not more:
            return False
        got += more
    return True
