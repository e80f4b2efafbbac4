"""The pytest plugin: a fixture that gives a URL."""

import os
import subprocess
import sys
import urllib.request

import pytest

from finalstop.simulator.plugin import claude_simulator, claude_simulator_url  # noqa: F401

USERS_TEST = """
import urllib.request

def test_mine(claude_simulator, claude_simulator_url):
    assert claude_simulator.url == claude_simulator_url
    assert urllib.request.urlopen(claude_simulator_url).status == 200
"""


def test_the_fixtures_give_a_simulator(claude_simulator, claude_simulator_url):  # noqa: F811
    assert claude_simulator.url == claude_simulator_url
    with urllib.request.urlopen(claude_simulator_url) as response:  # our own URL
        assert response.status == 200
    assert claude_simulator.calls[0].path == "/"


@pytest.mark.slow
def test_a_project_that_uses_the_plugin_can_test(tmp_path):
    (tmp_path / "test_mine.py").write_text(USERS_TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "finalstop.simulator.plugin"]
    # Alone: neither the plugins of this project's own tests nor our installed one a second time.
    env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, env=env
    )
    assert "1 passed" in run.stdout, run.stdout + run.stderr
