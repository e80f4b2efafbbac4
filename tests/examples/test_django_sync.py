"""The sync Django example: short, it answers, and its streams hear that the process is to end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from finalstop.simulator import SimulatorThread
from tests.doors import ROOT
from tests.examples.loading import LINES_MAX

FOLDER = ROOT / "examples" / "django"

# As a WSGI server runs it: its own handler is there before the application is loaded.
ONE_REQUEST = """
import io, json, os, signal
from wsgiref.util import setup_testing_defaults
signal.signal(signal.SIGTERM, lambda *_: None)
from sync_app import app

prompt = json.dumps({"prompt": "Why is the ocean salty?"}).encode()
environ = {"PATH_INFO": "/stream-claude", "REQUEST_METHOD": "POST"}
environ |= {"CONTENT_LENGTH": str(len(prompt)), "wsgi.input": io.BytesIO(prompt)}
setup_testing_defaults(environ)
body = app(environ, lambda status, headers: print(status, flush=True))
"""
ANSWERED = 'print(b"".join(body).decode())'
TOLD_TO_END_TWICE = """
print(next(iter(body)).decode())
os.kill(os.getpid(), signal.SIGTERM)
os.kill(os.getpid(), signal.SIGTERM)
print(b"".join(body).decode())
"""


def said(then, *, default):
    with SimulatorThread(default=default) as simulator:
        env = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
            "ANTHROPIC_BASE_URL": simulator.url,
            "ANTHROPIC_API_KEY": "any",
        }
        done = subprocess.run(
            [sys.executable, "-c", f"{ONE_REQUEST}{then}"],
            cwd=FOLDER, env=env, capture_output=True, text=True, timeout=50, check=True,
        )  # fmt: skip
    assert not done.stderr
    return done.stdout


def test_the_example_is_short():
    assert len((FOLDER / "sync_app.py").read_text().splitlines()) < LINES_MAX


@pytest.mark.slow
def test_the_example_answers_a_request():
    answer = said(ANSWERED, default="text")
    assert answer.startswith("200 OK")
    assert answer.count('"event":"end"') == 1
    assert '"reason":"complete"' in answer


@pytest.mark.slow
def test_a_second_sigterm_ends_a_live_stream_with_a_word():
    answer = said(TOLD_TO_END_TWICE, default="slow-drip,pace_ms=50,words=4000")
    assert answer.count('"event":"error"') == 1
    assert '"reason":"draining"' in answer
