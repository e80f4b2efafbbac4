"""The person's server: started, heard, signalled, and always ended, with all that it started."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from finalstop.doctor.announce import DoctorError
from finalstop.doctor.patient import (
    LIMITS,
    SAID_BYTES_MAX,
    Patient,
    Recipe,
    listens,
    pointed_at,
    treated,
)
from tests.doctor.places import FOLDER, free_port, recipe_of, relay_at

UPSTREAM = "http://127.0.0.1:9"


def python(code):
    return f'{sys.executable} -c "{code}"'


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
        return stat.read().split()[2] != "Z"


async def said(patient, text, *, since):
    for _ in range(500):
        if text in patient.said(since=since):
            return
        await asyncio.sleep(0.02)


# --- the environment -------------------------------------------------------------------------


def test_a_claude_client_is_pointed_at_the_simulator_by_every_name():
    env = pointed_at(UPSTREAM, {"PORT": "1", "ANTHROPIC_AUTH_TOKEN": "real"}, limit_s=2.0)
    for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_URL", "ANTHROPIC_API_BASE"):
        assert env[name] == UPSTREAM
    assert env["ANTHROPIC_API_KEY"] == "simulated"
    assert "127.0.0.1" in env["NO_PROXY"]
    assert env["PORT"] == "1"
    assert "ANTHROPIC_AUTH_TOKEN" not in env


def test_limits_are_made_short_unless_the_person_has_set_them():
    env = pointed_at(UPSTREAM, {"STREAM_IDLE_S": "30"}, limit_s=2.0)
    assert {name: env[name] for name in LIMITS} == {
        **dict.fromkeys(LIMITS, "2"),
        "STREAM_IDLE_S": "30",
    }


# --- the process -----------------------------------------------------------------------------


@pytest.mark.slow
async def test_it_listens_is_heard_and_ends():
    port = free_port()
    async with treated(recipe_of(relay_at(port), port)) as patient:
        assert patient.alive
        assert await listens(("127.0.0.1", port))
        mark = patient.mark()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert (await reader.read(99)).startswith(b"HTTP/1.1 404")
        writer.close()
        # What it wrote comes by another way than what it answered.
        await said(patient, "\n", since=mark)
        assert patient.said(since=mark) == "asked GET\n"
        assert patient.said().startswith("listening")
    assert not patient.alive
    assert not await listens(("127.0.0.1", port))


@pytest.mark.slow
async def test_what_ignores_its_signal_is_killed_with_all_it_has_started(tmp_path):
    port, note = free_port(), tmp_path / "child"
    command = f"trap '' TERM; sleep 600 & echo $! > {note}; {relay_at(port, 'careless')}; wait"
    async with treated(recipe_of(command, port)):
        child = int(note.read_text())
        assert is_running(child)
    assert not await listens(("127.0.0.1", port))
    for _ in range(100):
        if not is_running(child):
            return
        await asyncio.sleep(0.02)
    pytest.fail("the child outlived its server")


@pytest.mark.slow
async def test_an_exception_inside_ends_it_too():
    port = free_port()
    with pytest.raises(ZeroDivisionError):
        async with treated(recipe_of(relay_at(port, "careless"), port)):
            raise ZeroDivisionError
    assert not await listens(("127.0.0.1", port))


@pytest.mark.slow
async def test_a_cancel_inside_ends_it_too():
    port = free_port()
    inside = asyncio.Event()

    async def treat():
        async with treated(recipe_of(relay_at(port, "careless"), port)):
            inside.set()
            await asyncio.sleep(600)

    task = asyncio.get_running_loop().create_task(treat())
    await inside.wait()
    task.cancel()
    await asyncio.wait([task])
    assert not await listens(("127.0.0.1", port))


@pytest.mark.slow
async def test_it_can_be_started_again():
    port = free_port()
    async with treated(recipe_of(relay_at(port), port)) as patient:
        patient.signal(signal.SIGKILL)
        assert await patient.wait(5)
        assert patient.status == -signal.SIGKILL
        assert not patient.alive
        await patient.end()
        await patient.start()
        assert patient.alive
        assert await listens(("127.0.0.1", port))


@pytest.mark.slow
async def test_of_much_that_is_said_the_end_is_kept():
    port = free_port()
    patient = Patient(recipe_of(python("print('x' * 200000); print('last')"), port))
    with pytest.raises(DoctorError):
        await patient.start()
    await patient.end()
    said = patient.said()
    assert said.endswith("x\nlast\n")
    assert len(said) == SAID_BYTES_MAX
    assert patient.mark() == 200_006


# command, what is said of it
FAILED = [
    (python("print('no such module: express'); raise SystemExit(3)"), "ended with status 3"),
    (python("print('no such module: express'); raise SystemExit(3)"), "no such module: express"),
    ("absent-command --port 1", "No such file or directory"),
    ("node 'unfinished", "No closing quotation"),
    ("  ", "must be a command"),
    (python("import time; print('slow'); time.sleep(60)"), "within 1 s; it printed:\n"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "says"), FAILED)
async def test_a_server_that_does_not_start_says_why(command, says):
    port = free_port()
    with pytest.raises(DoctorError) as failed:
        async with treated(recipe_of(command, port), start_s=1.0):
            pass
    assert says in str(failed.value)


@pytest.mark.slow
async def test_a_port_that_is_taken_is_refused_before_anything_is_started(tmp_path):
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    note = tmp_path / "started"
    with pytest.raises(DoctorError, match=f"something listens on 127.0.0.1:{port} already"):
        async with treated(recipe_of(f"touch {note}", port)):
            pass
    # What is wrong with the command is wrong whoever has the port.
    with pytest.raises(DoctorError, match="--run 'absent-command': No such file or directory"):
        async with treated(recipe_of("absent-command", port)):
            pass
    server.close()
    assert not note.exists()


@pytest.mark.slow
async def test_a_command_written_for_a_shell_gets_one():
    port = free_port()
    command = f"MODE=attentive {sys.executable} relay.py {port} $MODE"
    env = dict(os.environ) | {"ANTHROPIC_BASE_URL": UPSTREAM}
    recipe = Recipe(command, ("127.0.0.1", port), FOLDER, env)
    async with treated(recipe) as patient:
        assert patient.alive
