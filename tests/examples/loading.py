"""An example of the `examples` folder, loaded as the small program that it is."""

from __future__ import annotations

import importlib.util

from tests.doors import ROOT

LINES_MAX = 30


def example(framework):
    """The module `examples/<framework>/app.py`, run anew; `LINES` says how long it is."""
    path = ROOT / "examples" / framework / "app.py"
    spec = importlib.util.spec_from_file_location(f"example_{framework}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module)["LINES"] = len(path.read_text().splitlines())
    return module
