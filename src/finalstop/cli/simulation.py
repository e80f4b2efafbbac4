"""The simulator as a command: until a signal comes, and its catalogue in lines."""

from __future__ import annotations

import asyncio
import signal

import typer

from finalstop.simulator import Simulator, describe


async def run(port: int, *, default: str, pace_ms: int, keyless: bool) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        ValueError: `default` is no script.
        OSError: the port is taken.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    simulator = Simulator(port=port, default=default, pace_ms=pace_ms, require_key=not keyless)
    async with simulator:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        typer.echo(f"{simulator.url} simulates the API, playing {default}; Ctrl-C ends it")
        await stopped.wait()


def print_catalogue() -> None:
    """A line for each name: what it is, where it can strike, what it does."""
    entries = describe()
    width = max(len(name) for name, *_ in entries)
    for name, kind, phases, says in entries:
        places = f" [@{'|'.join(phases)}]" if phases else ""
        typer.echo(f"{kind:<8} {name:<{width}}  {says}{places}")
