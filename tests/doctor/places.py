"""Ports that are free, and commands that start the relay on them."""

from __future__ import annotations

import os
import shlex
import socket
import sys
from pathlib import Path

from finalstop.doctor.patient import Recipe, pointed_at

FOLDER = Path(__file__).parent


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def relay_at(port, mode="attentive"):
    return shlex.join([sys.executable, "relay.py", str(port), mode])


def recipe_of(command, port, *, upstream="http://127.0.0.1:9"):
    env = pointed_at(upstream, os.environ, limit_s=2.0)
    return Recipe(command, ("127.0.0.1", port), FOLDER, env)
