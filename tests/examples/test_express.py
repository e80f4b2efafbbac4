"""The Express example: what the pages say of it is what happens when it runs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from examples.express.cases import (
    MID_2024,
    NEWEST,
    SDKS,
    Result,
    Route,
    Seen,
    Verdict,
    is_kept,
    judge,
    result_of,
)
from examples.express.demo import FOLDER, main, pages, read_verdicts
from examples.express.report import excerpt_markdown, table_of, verdicts_of
from examples.express.stage import run
from examples.faults import FAULTS, Fault
from finalstop.core.endings import EndReason
from tests.doors import ROOT

CUT = Fault("fin@mid-text", "ends early", "truncated")
WHOLE = Fault("text", "does everything right", "complete")

# A response is open and silent for so long before it is said to hang: a busy machine has time.
WAIT_S = 8.0


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_committed_verdicts_are_what_happens():
    results = await run(FAULTS, wait_s=WAIT_S)
    seen, written = verdicts_of(results), read_verdicts()
    assert {spec: seen[spec] for spec in seen if seen[spec] != written.get(spec)} == {}
    assert seen.keys() == written.keys()
    assert [it for it in results if it.route is Route.FINALSTOP and not is_kept(it)] == []


def test_the_pages_show_the_committed_verdicts():
    for page, text in pages(read_verdicts()).items():
        assert page.read_text("utf-8") == text, (
            f"{page.name} is out of date: examples/express/demo.py --write"
        )


def test_through_finalstop_every_written_verdict_is_a_good_one():
    written = read_verdicts()
    bad = [
        (fault.spec, sdk)
        for fault in FAULTS
        for sdk in SDKS
        if not written[fault.spec][sdk]["finalstop"].startswith(
            ("ends, whole", "ends, error caught")
        )
    ]
    assert bad == []


@pytest.mark.parametrize("sdk", SDKS)
def test_without_finalstop_the_written_verdicts_hold_the_hang_and_the_lie(sdk):
    written = {spec: by_sdk[sdk]["direct"] for spec, by_sdk in read_verdicts().items()}
    hangs = {"never-closed", "never-closed-pings", "stall@mid-text", "pings-forever@mid-text"}
    assert {written[spec] for spec in hangs} == {Verdict.HANGS}
    assert written["fin@mid-text"] == Verdict.LIE


def test_the_excerpt_in_the_readme_is_short():
    assert excerpt_markdown(read_verdicts()).count("\n") <= 20


def test_every_fault_names_a_reason_there_is():
    assert {fault.reason for fault in FAULTS} <= set(EndReason)


# --- judging ---------------------------------------------------------------------------------


def seen(*, ended=True, cut=False, said_end=False, printed="") -> Seen:
    return Seen(ended, cut, said_end, texts=7, after_s=0.5, printed=printed)


JUDGED = [
    # fault, what was seen, verdict
    (WHOLE, seen(said_end=True), Verdict.WHOLE),
    (WHOLE, seen(), Verdict.FALSE_ALARM),
    (WHOLE, seen(ended=False), Verdict.HANGS),
    (WHOLE, seen(ended=False, said_end=True), Verdict.HANGS),
    (CUT, seen(said_end=True), Verdict.LIE),
    (CUT, seen(), Verdict.CAUGHT),
    (CUT, seen(ended=False), Verdict.HANGS),
    (CUT, seen(ended=False, cut=True), Verdict.BROKEN),
]


@pytest.mark.parametrize(("fault", "what", "verdict"), JUDGED)
def test_a_verdict_holds_what_was_seen_against_what_is_true(fault, what, verdict):
    assert judge(fault, what) is verdict


KEPT = [
    # SDK, what the handler printed, whether finalstop's word is kept
    (NEWEST, "Error: cut [finalstop: truncated; see the page]", True),
    (NEWEST, "Error: cut", False),
    (NEWEST, "Error: late [finalstop: idle_timeout; see the page]", False),
    (MID_2024, "Error: Connection error.", True),
]


@pytest.mark.parametrize(("sdk", "printed", "kept"), KEPT)
def test_the_word_is_kept_only_if_the_handler_is_told_the_true_reason(sdk, printed, kept):
    result = result_of(CUT, sdk, Route.FINALSTOP, seen(printed=printed))
    assert is_kept(result) is kept


def test_the_table_has_a_row_for_each_fault_and_sdk():
    assert table_of(results_of(CUT)).row_count == len(SDKS)


def results_of(fault: Fault) -> list[Result]:
    return [result_of(fault, sdk, route, seen()) for sdk in SDKS for route in Route]


# --- the command and its packages ------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_command_runs_from_anywhere_and_says_it_in_json(tmp_path):
    command = [sys.executable, str(FOLDER / "demo.py"), "--json", "--fault", "text"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    said = json.loads(ran.stdout)
    assert {(it["sdk"], it["route"]) for it in said} == {(s, r.value) for s in SDKS for r in Route}
    assert {it["verdict"] for it in said} == {Verdict.WHOLE}


def test_part_of_the_faults_is_never_written_as_the_whole_table(capsys):
    assert main(["--write", "--fault", "text"]) == 2
    assert "--fault" in capsys.readouterr().err


def test_every_package_is_pinned_by_hash_and_none_by_where_it_came_from():
    lock = json.loads((FOLDER / "package-lock.json").read_text("utf-8"))
    packages = {path: it for path, it in lock["packages"].items() if path}
    assert len(packages) > 50
    assert [path for path, it in packages.items() if "integrity" not in it] == []
    assert {key for it in packages.values() for key in it if key.startswith("resol")} == set()
    sdk = "node_modules/"
    assert {v: packages[sdk + name]["version"] for v, name in SDKS.items()} == {v: v for v in SDKS}


def test_the_example_says_what_the_makefile_runs():
    assert "examples/express/demo.py" in (ROOT / "Makefile").read_text("utf-8")
    assert "make demo-express" in (FOLDER / "README.md").read_text("utf-8")
