"""A place where nothing is configured: an empty folder and none of our variables."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest


def nothing_configured(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Make `folder` the working directory; hide the terminal and every variable of ours."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    monkeypatch.chdir(folder)
    for name in list(os.environ):
        if name.upper().startswith("FINALSTOP_") or name.startswith("ANTHROPIC_"):
            monkeypatch.delenv(name)
    return folder
