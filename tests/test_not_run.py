"""The run itself: a test that was not run is listed, and fails CI."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ALL_RUN = """
    import pytest

    def test_runs():
        assert True

    @pytest.mark.xfail
    def test_an_expected_failure_did_run():
        assert False
"""
ONE_SKIPPED = """
    import pytest

    @pytest.mark.skipif(True, reason="no redis here")
    def test_needs_redis():
        assert False

    def test_runs():
        assert True
"""
FILE_SKIPPED = """
    import pytest
    pytest.importorskip("a_package_nobody_has", reason="no such package here")
"""

ONE_LINE = "*test_needs_redis: no redis here"
FILE_LINE = "*test_other.py: *no such package here"
# what happened,          files,                       CI,     passes, listed
RUNS = [
    ("all run", [ALL_RUN], "true", True, []),
    ("a skip at home", [ONE_SKIPPED], "", True, [ONE_LINE]),
    ("a skip in CI", [ONE_SKIPPED], "true", False, [ONE_LINE]),
    ("a file in CI", [ALL_RUN, FILE_SKIPPED], "true", False, [FILE_LINE]),
]


@pytest.mark.parametrize(
    ("files", "ci", "passes", "listed"), [row[1:] for row in RUNS], ids=[row[0] for row in RUNS]
)
def test_what_was_not_run_is_listed_and_fails_ci(pytester, monkeypatch, files, ci, passes, listed):
    monkeypatch.setenv("CI", ci)
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text("utf-8"))
    pytester.makepyfile(**dict(zip(["test_it", "test_other"], files, strict=False)))
    plugins_off = ["-pno:asyncio", "-pno:anyio", "-pno:hypothesispytest", "-pno:cacheprovider"]
    result = pytester.runpytest_inprocess(*plugins_off)
    assert (result.ret == pytest.ExitCode.OK) is passes
    assert ("NOT RUN" in result.stdout.str()) is bool(listed)
    result.stdout.fnmatch_lines(listed)
