"""For every test: nothing is left out in silence.

A skipped test is a promise nobody checked. Whatever was skipped is listed, with its reason, as the
last section of the run; where everything must be there (CI=true) such a list fails the run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

# The same examples on every machine, and no example fails for being slow on a busy one.
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.load_profile("steady")

EXIT_NOT_RUN = pytest.ExitCode.TESTS_FAILED


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why it was skipped: pytest keeps (file, line, "Skipped: why") in `longrepr`."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def _not_run(config: pytest.Config) -> list[str]:
    """One line per skipped test or file; empty in an xdist worker, whose controller reports."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None:
        return []
    reports = (report for report in terminal.stats.get("skipped", []) if not _is_xfail(report))
    return [f"{report.nodeid}: {_reason(report)}" for report in reports]


def _is_xfail(report: pytest.TestReport | pytest.CollectReport) -> bool:
    """An expected failure counts as skipped in pytest's books, but it did run."""
    return hasattr(report, "wasxfail")


def _all_must_run() -> bool:
    return os.environ.get("CI", "").lower() == "true"


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Turn a green run with unrun tests red, where everything must run."""
    if exitstatus == pytest.ExitCode.OK and _all_must_run() and _not_run(session.config):
        session.exitstatus = EXIT_NOT_RUN


def _figures(terminalreporter: pytest.TerminalReporter) -> list[str]:
    """What tests said with `record_property("figure", ...)`: prints get lost under xdist."""
    reports = terminalreporter.stats.get("passed", []) + terminalreporter.stats.get("failed", [])
    said = (dict(report.user_properties).get("figure") for report in reports)
    return sorted({str(figure) for figure in said if figure is not None})


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Iterator[None]:
    """Print the figures that were recorded; say loudly what was not run and what that means."""
    yield
    figures = _figures(terminalreporter)
    if figures:
        terminalreporter.section("figures")
        for figure in figures:
            terminalreporter.line(figure)
    lines = _not_run(config)
    if not lines:
        return
    terminalreporter.section(f"NOT RUN: {len(lines)}", sep="!", red=True, bold=True)
    for line in lines:
        terminalreporter.line(line, red=True)
    if _all_must_run():
        terminalreporter.line("CI=true: the run fails, because these were not run.", red=True)
