"""tools/node.py: what a lock file pins is installed once, and a failure says what npm said."""

from __future__ import annotations

import json
import subprocess
import threading

import pytest

from tools.node import STAMP, NodeError, install, node

pytestmark = pytest.mark.slow

ABOUT = {"name": "nothing", "version": "1.0.0"}
LOCK = {**ABOUT, "lockfileVersion": 3, "requires": True, "packages": {"": ABOUT}}


@pytest.fixture
def folder(tmp_path):
    """A package that needs nothing, so that npm asks nobody."""
    (tmp_path / "package.json").write_text(json.dumps(ABOUT), "utf-8")
    (tmp_path / "package-lock.json").write_text(json.dumps(LOCK), "utf-8")
    (tmp_path / "node_modules").mkdir()
    return tmp_path


def test_node_is_the_one_of_the_wheel_and_new_enough_for_the_newest_sdk():
    said = subprocess.run([node(), "--version"], capture_output=True, text=True, check=True)
    assert int(said.stdout.removeprefix("v").partition(".")[0]) >= 22


def test_a_second_run_installs_nothing_and_a_changed_lock_file_does(folder, capsys):
    install(folder)
    assert "installing" in capsys.readouterr().err
    install(folder)
    assert not capsys.readouterr().err
    (folder / "package-lock.json").write_text(json.dumps(LOCK, indent=1), "utf-8")
    install(folder)
    assert "installing" in capsys.readouterr().err


def test_two_at_once_install_once(folder, capsys):
    threads = [threading.Thread(target=install, args=(folder,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert capsys.readouterr().err.count("installing") == 1
    assert (folder / "node_modules" / STAMP).exists()


def test_when_npm_fails_its_words_are_in_the_error_and_no_stamp_is_left(folder):
    about = {**ABOUT, "dependencies": {"express": "5.3.0"}}
    (folder / "package.json").write_text(json.dumps(about), "utf-8")
    with pytest.raises(NodeError, match=r"(?s)npm ci.*express"):
        install(folder)
    assert not (folder / "node_modules" / STAMP).exists()
