from __future__ import annotations

import os
import sys
import threading

import pytest

from bench.processes import StartError, free_port, is_listening, running, wait_for_port

CORE = min(os.sched_getaffinity(0))
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "x = bytearray(30_000_000)\\nwhile True: pass"])
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_a_tree_is_counted_with_its_children_and_ended_with_them(tmp_path):
    with running([sys.executable, "-c", PARENT], core=CORE, folder=tmp_path) as tree:
        for _ in range(200):
            if len(tree.pids) == 2 and tree.rss_bytes() > 30_000_000:
                break
            threading.Event().wait(0.05)
        pids, before = tree.pids, tree.cpu()
        threading.Event().wait(0.2)
        spent = tree.cpu() - before
        assert len(pids) == 2
        assert tree.rss_bytes() > 30_000_000
        assert spent.total_ns > 0
    assert tree.process.returncode is not None
    assert not tree.pids[1:]


@pytest.mark.slow
def test_a_subject_that_ends_at_once_is_told_with_what_it_said(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit('no such setting')"]
    with (
        running(command, core=CORE, folder=tmp_path) as tree,
        pytest.raises(StartError, match="no such setting"),
    ):
        wait_for_port(free_port(), tree, tmp_path, 20.0)


def test_a_free_port_is_free():
    assert not is_listening(free_port())
