"""The ledger: parts that ran are written down, each with its command; bugs have all their columns.

And the registry: a part that does not hold fails the run and writes nothing.
"""

from __future__ import annotations

import json
import subprocess

import pytest

import proof.__main__ as proof
from proof.ledger import ProofError, bugs, command_of, read, source, write_down
from tools.proof_page import bugs_markdown, section


def test_a_part_replaces_its_own_entry_and_no_other(tmp_path):
    file = tmp_path / "figures.json"
    write_down("one", [], {"states": 1}, file=file)
    write_down("two", ["--depth", "3"], {"rows": [{"a": "b"}]}, file=file)
    write_down("one", [], {"states": 2}, file=file)
    ledger = read(file)
    assert {name: it["figures"] for name, it in ledger.items()} == {
        "one": {"states": 2},
        "two": {"rows": [{"a": "b"}]},
    }
    assert ledger["two"]["command"] == command_of("two", ["--depth", "3"])
    assert json.loads(file.read_text("utf-8")) == ledger


def test_figures_say_which_source_they_are_of(monkeypatch, tmp_path):
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost", "-C", str(tmp_path)]
    monkeypatch.setattr("proof.ledger.ROOT", tmp_path)
    assert source() == "unknown"
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("a = 1\n", "utf-8")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)
    named = subprocess.check_output([*git, "rev-parse", "--short", "HEAD:src"], text=True).strip()
    (tmp_path / "notes").write_text("", "utf-8")
    assert source() == named
    (tmp_path / "src" / "a.py").write_text("a = 2\n", "utf-8")
    assert source() == f"{named}-dirty"


def test_the_rows_of_bugs_are_whole_and_on_the_page():
    rows = bugs()
    assert rows
    assert bugs_markdown().count("\n") == len(rows) + 1


def test_a_bug_without_all_its_columns_is_refused(tmp_path):
    file = tmp_path / "bugs.toml"
    file.write_text('[[bug]]\nwhat = "x"\n', "utf-8")
    with pytest.raises(ValueError, match=r"bug 1 has \['what'\]; want \['found_by', "):
        bugs(file)


def test_a_section_tells_the_command_the_figures_and_the_tables():
    entry = {
        "command": "make prove",
        "date": "2026-01-01",
        "python": "3.11",
        "src": "1a2b",
        "figures": {"states": 30000, "planted bugs": [{"planted": "a|b", "in": "x.py"}]},
    }
    text = section("planted", "every bug is caught", entry)
    assert "Every bug is caught. `make prove`, 2026-01-01, Python 3.11, src 1a2b." in text
    assert "| states | 30,000 |" in text
    assert "Planted bugs:\n\n| planted | in |\n|---|---|\n| a\\|b | x.py |" in text


@pytest.fixture
def written(monkeypatch):
    """What is written down while the registry holds two parts, one of which does not hold."""

    def broken(argv):
        raise ProofError(f"seed 7 {argv}")

    parts = {"good": lambda argv: {"runs": len(argv)}, "broken": broken}
    calls = []
    monkeypatch.setattr(proof, "PARTS", dict.fromkeys(parts, ("nowhere", "shows something")))
    monkeypatch.setattr(proof, "part_named", parts.__getitem__)
    monkeypatch.setattr(proof, "write_down", lambda *said: calls.append(said))
    return calls


def test_all_parts_run_and_one_that_does_not_hold_fails_the_run(written, capsys):
    assert proof.main([]) == 1
    assert written == [("good", [], {"runs": 0})]
    said = capsys.readouterr().out
    assert "seed 7" in said
    assert "FAILED: broken" in said


def test_a_part_with_arguments_is_written_down_only_when_asked(written):
    assert proof.main(["good", "--seed", "1"]) == 0
    assert written == []
    assert proof.main(["good", "--write", "--seed", "1"]) == 0
    assert written == [("good", ["--seed", "1"], {"runs": 2})]


def test_an_unknown_part_is_refused_with_those_there_are():
    with pytest.raises(SystemExit, match=r"no part 'x'; the parts are:\n  lifecycle"):
        proof.main(["x"])
