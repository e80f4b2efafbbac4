"""The doctor's command: what it takes, what it prints where, its status, and what it leaves."""

from __future__ import annotations

import json
import shlex
import signal
import socket
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from finalstop.cli.app import app
from finalstop.simulator import SimulatorThread
from tests.doctor.places import FOLDER, free_port, relay_at

ASK = '{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}'
QUICK = ["--window", "1", "--time", "6"]
KEY = "sk-ant-canary-91c2"


def doctor(*arguments, **options):
    return CliRunner().invoke(app, ["doctor", *arguments], **options)


def examine(simulator, spec, *arguments, **options):
    """Examine the simulator itself, as an endpoint that speaks the API's own format."""
    headers = ["-H", f"x-simulator: {spec}", "-H", f"x-api-key: {KEY}"]
    url = f"{simulator.url}/v1/messages"
    return doctor(url, *headers, *QUICK, *arguments, **options)


@pytest.fixture(scope="module")
def simulator():
    with SimulatorThread(pace_ms=20) as running:
        yield running


# --- what is refused -------------------------------------------------------------------------

URL = "http://127.0.0.1:9/"
# arguments, what standard error says
REFUSED = [
    (["localhost:3000"], "'localhost:3000' is not an http or https URL"),
    ([URL, "-H", "nocolon"], "-H 'nocolon': it must be a name, a colon and a value"),
    ([URL, "-H", ": x"], "it must be a name, a colon and a value"),
    ([URL, "-d", "@absent.json"], "-d @absent.json: No such file or directory"),
    ([URL, "-X", "A B"], "cannot be sent as an HTTP request"),
    ([URL, "--html", "absent/x.html"], "--html absent/x.html: there is no such folder"),
    ([URL, "--proxy", "socks5://x"], "--proxy socks5://x: it must be a URL like"),
    ([URL, "--idle", "5"], "--idle needs silence of the upstream"),
    ([URL, "--run", "x", "--simulator"], "give --run or --simulator, not both"),
    ([URL, "--run", "absent-command"], "--run 'absent-command': No such file or directory"),
    ([URL, "--run", "x", "--listens", "y"], "--listens y: it must be host:port"),
    ([URL, "--only", "nope"], "nope"),
    ([URL, "--only", "stall"], "--only chooses trials with the simulator"),
    ([URL, "--listens", "localhost:1"], "--listens is the address of the server that --run starts"),
    ([URL, "--run", ""], "--run: it must be a command that starts your server"),
    ([URL, "--run", " "], "--run: it must be a command that starts your server"),
    ([URL, "--json", "--ci"], "--json and --ci are two forms of one report"),
    ([URL, "--time", "0"], "--time"),
    ([], "URL"),
]


@pytest.mark.parametrize(("arguments", "says"), REFUSED)
def test_what_cannot_be_examined_is_refused_in_a_line(arguments, says):
    result = doctor(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


# --- what is said ----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_healthy_endpoint_has_no_problem_and_status_0(simulator):
    result = examine(simulator, "text", "-d", ASK)
    assert result.exit_code == 0, result.stdout
    assert f"finalstop: examine {simulator.url}/v1/messages; 6 s at most" in result.stderr
    assert "finalstop: ask: HEAD, as link checkers do" in result.stderr
    assert KEY not in result.output


@pytest.mark.slow
def test_a_sick_endpoint_has_status_1_and_its_problem_is_named(simulator):
    result = examine(simulator, "never-closed", "-d", ASK)
    assert result.exit_code == 1
    assert "open_after_terminal" in result.stdout


@pytest.mark.slow
def test_an_endpoint_that_is_not_there_could_not_be_examined():
    result = doctor(URL, *QUICK)
    assert result.exit_code == 2
    assert "Connection refused" in result.stdout


@pytest.mark.slow
def test_json_is_all_that_standard_output_holds(simulator):
    result = examine(simulator, "missing-message-stop", "-d", ASK, "--json")
    report = json.loads(result.stdout)
    assert "no_terminal" in [finding["name"] for finding in report["findings"]]
    assert result.exit_code == 1


@pytest.mark.slow
def test_ci_is_a_line_per_finding(simulator):
    result = examine(simulator, "missing-message-stop", "-d", ASK, "--ci")
    lines = result.stdout.splitlines()
    assert any("no_terminal" in line for line in lines)
    assert len(lines) < 12


@pytest.mark.slow
def test_html_is_one_file(simulator, tmp_path):
    page = tmp_path / "report.html"
    result = examine(simulator, "missing-message-stop", "-d", ASK, "--html", str(page))
    assert f"the report is in {page}" in result.stderr
    text = page.read_text("utf-8")
    assert text.lower().startswith("<!doctype html>")
    assert KEY not in text


@pytest.mark.slow
@pytest.mark.parametrize("data", ["@ask.json", "@-"])
def test_the_body_can_come_from_a_file_or_standard_input(simulator, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ask.json").write_text(ASK)
    before = len(simulator.calls)
    result = examine(simulator, "text", "-d", data, input=ASK)
    assert result.exit_code == 0, result.stdout
    assert simulator.calls[before].body == json.loads(ASK)


@pytest.mark.slow
def test_an_old_hop_can_be_imitated():
    with SimulatorThread() as simulator:
        examine(simulator, "text", "-d", ASK, "--http1.0")
        assert {call.headers.get("connection") for call in simulator.calls} == {"close"}


# --- with a server ---------------------------------------------------------------------------


@pytest.mark.slow
def test_the_persons_server_is_started_tried_and_ended(monkeypatch):
    monkeypatch.chdir(FOLDER)
    port = free_port()
    result = doctor(
        f"http://127.0.0.1:{port}/", "-d", "{}", "--run", relay_at(port), "--window", "1",
        "--only", "truncated", "--only", "stall", "--json",
    )  # fmt: skip
    assert result.exit_code == 1, result.stderr
    assert "3 trials with the simulator" in result.stderr
    assert "hangs_on_stall" in {it["name"] for it in json.loads(result.stdout)["findings"]}
    assert is_free(port)


def is_free(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_persons_server_first(number):
    port = free_port()
    command = [
        sys.executable, "-m", "finalstop", "doctor", f"http://127.0.0.1:{port}/", "-d", "{}",
        "--run", relay_at(port, "careless"), "--only", "stall", "--window", "30", "--json",
    ]  # fmt: skip
    with subprocess.Popen(
        command, cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        assert running.stdout is not None
        for line in running.stderr:
            if "stall: " in line:
                break
        running.send_signal(number)
        assert running.wait(30) == 128 + number
        assert "interrupted: this is what was seen so far" in running.stderr.read()
        report = json.loads(running.stdout.read())
    assert "it was interrupted" in [it["why"] for it in report["untold"]]
    assert "trial:healthy" in [it["key"] for it in report["exchanges"]]
    assert is_free(port)


@pytest.mark.slow
def test_who_interrupts_before_anything_is_known_gets_no_report():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        command = [sys.executable, "-m", "finalstop", "doctor", url]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as running:
            assert running.stderr is not None
            for line in running.stderr:
                if "ask: " in line:
                    break
            running.send_signal(signal.SIGINT)
            assert running.wait(30) == 130
            assert "interrupted: nothing was examined" in running.stderr.read()
            assert running.stdout is not None
            assert running.stdout.read() == ""


@pytest.mark.slow
def test_a_server_that_never_asks_the_simulator_was_not_examined(monkeypatch):
    monkeypatch.chdir(FOLDER)
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1/messages"
    run = shlex.join([sys.executable, "-m", "finalstop", "simulate", "--port", str(port)])
    keys = ["-H", "x-api-key: any"]
    result = doctor(url, *keys, "-d", ASK, "--run", run, "--window", "1", "--json")
    report = json.loads(result.stdout)
    assert (report["problems"], result.exit_code) == (0, 2)
    assert any("it never called the simulator" in it["why"] for it in report["untold"])


@pytest.mark.slow
def test_the_progress_shows_no_key_of_the_url(simulator):
    result = doctor(f"{simulator.url}/v1/messages?api_key={KEY}&n=1", *QUICK, "--ci")
    assert "n=1; 6 s at most" in result.stderr
    assert KEY not in result.output


@pytest.mark.slow
def test_piped_output_is_as_wide_as_columns_says(simulator, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    narrow = examine(simulator, "text", "-d", ASK).stdout
    monkeypatch.delenv("COLUMNS")
    wide = examine(simulator, "text", "-d", ASK).stdout
    rules = [max(len(it) for it in text.splitlines() if "---" in it) for text in (narrow, wide)]
    assert rules == [60, 120]


@pytest.mark.slow
def test_a_borrowed_simulator_says_what_to_set():
    port, simulator_port = free_port(), free_port()
    result = doctor(
        f"http://127.0.0.1:{port}/", "--simulator", "--port", str(simulator_port), "--wait", "0",
        "--window", "1",
    )  # fmt: skip
    assert f"ANTHROPIC_BASE_URL=http://127.0.0.1:{simulator_port}" in result.stderr
    assert result.exit_code == 2


def test_the_help_names_every_option():
    result = doctor("--help", env={"COLUMNS": "200"})
    for option in ("--run", "--simulator", "--idle", "--json", "--html", "--ci", "--only"):
        assert option in result.stdout
