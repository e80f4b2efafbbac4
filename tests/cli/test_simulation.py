"""The simulator as a command."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from finalstop.cli.simulation import print_catalogue, run
from finalstop.simulator import describe


def test_every_name_has_its_line(capsys):
    print_catalogue()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [[kind, name] for name, kind, *_ in describe()]
    for line, (_, _, phases, says) in zip(lines, describe(), strict=True):
        assert line.endswith(f"{says} [@{'|'.join(phases)}]" if phases else says)


@pytest.mark.parametrize(("keyless", "status"), [(True, b"200"), (False, b"401")])
async def test_it_answers_until_a_signal_comes(keyless, status, capsys):
    running = asyncio.Event()

    async def call():
        while not (said := capsys.readouterr().out):  # noqa: ASYNC110 - it prints its address
            await asyncio.sleep(0)
        running.set()
        port = int(said.split()[0].rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        line = await reader.readline()
        writer.close()
        os.kill(os.getpid(), signal.SIGTERM)
        return line

    async with asyncio.TaskGroup() as tasks:
        answer = tasks.create_task(call())
        tasks.create_task(run(0, default="text", pace_ms=0, keyless=keyless))
    assert running.is_set()
    assert status in answer.result()


async def test_a_script_that_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match="nope"):
        await run(0, default="nope", pace_ms=0, keyless=True)
