"""The commands: what they accept, what they print where, and the status they leave with."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys

import msgspec
import pytest
from typer.testing import CliRunner

import finalstop
import finalstop.cli
from finalstop.cli.app import app
from finalstop.gateway.config import KNOBS
from finalstop.gateway.secret import TokenHash
from finalstop.simulator import SimulatorThread, key_digest
from tests.gateway.places import nothing_configured

KEY = "sk-ant-canary-91c2"


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    return nothing_configured(monkeypatch, tmp_path)


def run(*arguments):
    return CliRunner().invoke(app, arguments)


# --- serve -----------------------------------------------------------------------------------


@pytest.fixture
def served(monkeypatch):
    """What `serve` handed to the gateway, which is not started."""
    settings: list = []

    def serve(given):
        settings.append(given)
        return 7

    monkeypatch.setattr("finalstop.gateway.serve.run", serve)
    return settings


def test_serve_hands_its_options_to_the_gateway_and_leaves_with_its_status(served, place):
    (place / "other.toml").write_text("drain_s = 3\n")
    result = run(
        "serve", "--host", "::1", "--port", "0", "--upstream", "http://127.0.0.1:8788",
        "--config", "other.toml", "--set", "idle_s=60", "--set", "log_format=console",
    )  # fmt: skip
    [settings] = served
    assert result.exit_code == 7
    assert (settings.host, settings.port) == ("::1", 0)
    assert settings.upstream == "http://127.0.0.1:8788"
    assert (settings.limits.idle_s, settings.limits.drain_s) == (60, 3)
    assert settings.log_format == "console"


# arguments,                                     what standard error says
REFUSED = [
    (["serve", "--port", "99999"], "--port=99999: it must be a whole number, at least 0"),
    (["serve", "--host", "0.0.0.0"], "no gateway tokens"),
    (["serve", "--set", "idle=1"], "did you mean idle_s?"),
    (["serve", "--config", "absent"], "--config=absent: there is no such file"),
    (["serve", "--nope"], "--nope"),
    (["config", "--set", "idle_s=soon"], "--set idle_s=soon: it must be a number of seconds"),
    (["ask", "why", "--max-tokens", "0"], "--max-tokens=0: it must be a whole number"),
    (["ask", "why", "--model", "a b"], "--model=a b: it must be the name of a model"),
    (["ask", "why", "--upstream", "https://api.anthropic.com"], "there is no API key to ask with"),
    (["ask"], "QUESTION"),
    (["simulate", "--default", "nope"], "--default nope: "),
    (["simulate", "--port", "70000"], "--port"),
    (["nope"], "nope"),
]


@pytest.mark.parametrize(("arguments", "said"), REFUSED)
def test_what_is_wrong_is_refused_with_status_2(arguments, said, served):
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert served == []


# --- ask -------------------------------------------------------------------------------------


def test_ask_prints_the_answer_and_its_receipt_apart():
    result = run("ask", "Why is the ocean salty?", "--set", "simulator_pace_ms=0")
    assert result.exit_code == 0
    assert "salt" in result.stdout
    assert "complete (model)" not in result.stdout
    assert "complete (model)" in result.stderr
    assert "the simulator answers" in result.stderr


def test_ask_leaves_with_status_1_when_the_answer_is_not_complete():
    spec = "simulator_spec=eof@mid-text"
    result = run("ask", "Why?", "--set", "simulator_pace_ms=0", "--set", spec)
    assert result.exit_code == 1
    assert "truncated (upstream)" in result.stderr
    assert result.stdout.strip(), "what had come before the cut is shown"


def test_ask_shows_the_upstream_the_key_it_was_given(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    with SimulatorThread() as simulator:
        result = run("ask", "Why?", "--upstream", simulator.url, "--model", "claude-x")
        [call] = simulator.calls
    assert result.exit_code == 0
    assert isinstance(call.body, dict)
    assert call.body["model"] == "claude-x"
    assert call.key_digest == key_digest(KEY)
    assert KEY not in result.output


# --- config, token, version ------------------------------------------------------------------


def test_config_shows_every_setting_with_its_source_and_no_secret(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("FINALSTOP_IDLE_S", "61")
    result = run("config", "--set", "port=9")
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert result.exit_code == 0
    assert {knob.name for knob in KNOBS} <= lines.keys()
    assert re.search(r"61 +environment FINALSTOP_IDLE_S +between two content", lines["idle_s"])
    assert re.search(r"9 +option --set", lines["port"])
    assert re.search(r"\(hidden\) +environment ANTHROPIC_API_KEY", lines["api_key"])
    assert KEY not in result.output


def test_config_says_the_same_as_json(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    result = run("config", "--json")
    rows = {row["name"]: row for row in msgspec.json.decode(result.stdout)}
    assert list(rows) == [knob.name for knob in KNOBS]
    assert rows["port"]["value"] == 8787
    assert rows["port"]["source"] == "default"
    assert rows["api_key"]["value"] == "(hidden)"
    assert KEY not in result.output


def test_a_token_is_printed_with_the_line_that_configures_it(monkeypatch):
    result = run("token")
    token = re.search(r"for the client: +(\S+)", result.stdout)
    line = re.search(r"for the gateway: +(\S+)", result.stdout)
    assert token
    assert line
    assert TokenHash.of(token[1]) == TokenHash.read(line[1])
    monkeypatch.setenv("FINALSTOP_TOKENS", line[1])
    assert run("config").exit_code == 0


def test_the_version_is_the_packages():
    assert run("--version").stdout == f"finalstop {finalstop.__version__}\n"


def test_no_command_is_a_question_for_help():
    result = run()
    for command in ("serve", "ask", "simulate", "config", "token"):
        assert command in result.output


# --- simulate --------------------------------------------------------------------------------


def test_the_catalogue_is_a_line_each():
    result = run("simulate", "--list")
    assert result.exit_code == 0
    assert re.search(r"^fault +stall +.*@before-head", result.stdout, re.MULTILINE)


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("simulate", "--port", port)
    assert result.exit_code == 1
    assert f"--port {port}: cannot listen" in result.stderr


# --- the script itself -----------------------------------------------------------------------


def test_a_missing_extra_is_told_with_its_remedy(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "finalstop.cli.app")
    monkeypatch.setitem(sys.modules, "typer", None)  # as if it were not installed
    with pytest.raises(SystemExit) as left:
        finalstop.cli.main()
    assert left.value.code == 2
    said = "finalstop: the package typer is missing: pip install 'finalstop[gateway]'\n"
    assert capsys.readouterr().err == said


def test_a_missing_module_of_our_own_is_a_bug_and_shown_as_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "finalstop.cli.app", None)
    with pytest.raises(ModuleNotFoundError):
        finalstop.cli.main()


HEAVY = ("aiohttp", "uvloop", "pydantic_settings", "structlog")
LOADED_BY = """
import atexit, sys
atexit.register(lambda: print("loaded:", *sys.modules))
import finalstop.cli
finalstop.cli.main()
"""


def loaded_by(*arguments: str, status: int = 0) -> set[str]:
    """The modules that are loaded when a command ends."""
    command = [sys.executable, "-c", LOADED_BY, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == status, done.stderr
    return set(done.stdout.rpartition("loaded:")[2].split())


@pytest.mark.slow
def test_help_loads_no_server():
    loaded = loaded_by("--help")
    assert "typer" in loaded
    assert not set(HEAVY) & loaded


# What a gateway that asks the API does without: each would make its start longer.
NOT_SERVED = ("finalstop.doctor.visit", "finalstop.simulator")


@pytest.mark.slow
def test_serving_loads_nothing_that_a_stream_does_not_need():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        given = ("--port", port, "--upstream", "https://api.test", "--set", "log_format=json")
        loaded = loaded_by("serve", *given, status=1)  # all is loaded before it cannot listen
    assert {"aiohttp", "finalstop.gateway.serve"} <= loaded
    assert not set(NOT_SERVED) & loaded


@pytest.mark.slow
def test_the_module_runs_as_the_script_does():
    command = [sys.executable, "-m", "finalstop", "serve", "--set", "idle_s=0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 2
    assert done.stderr == (
        "finalstop: --set idle_s=0: it must be a number of seconds, more than 0 and at most 86400\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_simulator_runs_alone_until_a_signal(number):
    command = [sys.executable, "-m", "finalstop", "simulate", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            url = re.match(r"http://127\.0\.0\.1:(\d+) ", process.stdout.readline())
            assert url
            socket.create_connection(("127.0.0.1", int(url[1])), timeout=5).close()
            process.send_signal(number)
            assert process.wait(timeout=10) == 0
        finally:
            process.kill()
