"""Memory: so many streams open, each with so many events, and nothing happening."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from bench.load import Plan, loading
from bench.machine import Cores
from bench.measure import MB, Run, warm
from bench.subjects import Subject

# Beyond the viewers' own connections: the subject's files, libraries and sockets.
FILES_BESIDE: Final = 200


def held(subject: Subject, plan: Plan, cores: Cores) -> Run:
    """Resident memory of a fresh subject, before and while its streams are open."""
    # The origin's clock runs from the first stream on: what the ramp lasts counts as patience.
    plan = replace(plan, settle_ms=0, steady_ms=0)
    with (
        loading(plan, core=cores.load, path=subject.path, end=subject.end) as load,
        subject.started(load.port, core=cores.relay) as (tree, port),
    ):
        warm(port, subject.path)
        before = tree.rss_bytes()
        cpu = tree.cpu()
        load.go(port)
        load.hear("start")
        told = load.hear("held")
        while_open = tree.rss_bytes()
        cpu = tree.cpu() - cpu
        load.stop()
        done = load.hear("done")
    wanted = plan.streams * plan.events_each
    missing = wanted - told["events"]
    return Run(
        figures={
            "rss_mb": while_open / MB,
            "rss_before_mb": before / MB,
            "kb_per_stream": (while_open - before) / 1024 / plan.streams,
            "streams": plan.streams,
            "setup_ms_per_stream": cpu.total_ns / 1e6 / plan.streams,
        },
        failures={"events_missing": missing} if missing or done["served"] < plan.streams else {},
    )


def open_streams_max(file_limit: int) -> int:
    """How many streams fit: a relay holds two sockets for each, and so does the load."""
    return (file_limit - FILES_BESIDE) // 2
