"""Sources: who said what, how they spelled it, and what is no setting at all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta, Struct

from finalstop.gateway.knobs import knobs_of
from finalstop.gateway.sources import Kind, gather
from tests.gateway.places import nothing_configured


class Held(Struct, frozen=True):
    idle_s: Annotated[float, Meta(gt=0, description="why")] = 1.0
    key: Annotated[str, Meta(description="why", extra={"allowed": "x", "secret": True})] = ""


HELD = list(knobs_of(Held))


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    return nothing_configured(monkeypatch, tmp_path)


def found(*assignments: str, flags=None, config=None):
    return gather(HELD, flags=flags or {}, assignments=assignments, config=config)


# source -> kind, where (for complaints), origin (for the table)
SPELLED = [
    ("flag", Kind.FLAG, "--idle", "option --idle"),
    ("set", Kind.SET, "--set idle_s", "option --set"),
    ("env", Kind.ENVIRONMENT, "FINALSTOP_IDLE_S", "environment FINALSTOP_IDLE_S"),
    ("lower", Kind.ENVIRONMENT, "finalstop_idle_s", "environment finalstop_idle_s"),
    (".env", Kind.DOTENV, "FINALSTOP_IDLE_S in .env", ".env FINALSTOP_IDLE_S"),
    ("toml", Kind.FILE, "idle_s in finalstop.toml", "finalstop.toml idle_s"),
]


@pytest.mark.parametrize(("source", "kind", "where", "origin"), SPELLED)
def test_each_source_is_told_as_it_was_spelled(source, kind, where, origin, place, monkeypatch):
    flags = {"--idle": ("idle_s", "5")} if source == "flag" else {}
    assignments = ["idle_s=4", "idle_s=5"] if source == "set" else []
    if source in {"env", "lower"}:
        monkeypatch.setenv(where, "5")
    if source == ".env":
        (place / ".env").write_text("FINALSTOP_IDLE_S=5\nOTHER=1\n")
    if source == "toml":
        (place / "finalstop.toml").write_text("idle_s = 5")
    findings = found(*assignments, flags=flags)
    given = findings.given["idle_s"]
    assert (given.kind, given.where, given.origin) == (kind, where, origin)
    assert str(given.value) == "5"
    assert findings.complaints == ()


NO_TABLES = "the file has no tables: write every setting at its top, `name = value`"
READABLE = "other people on the machine can read a command line"
SHARED = "a configuration file is shared and committed"
LINKS = (
    "Kubernetes sets this one for a Service called finalstop: put `enableServiceLinks: false` "
    "into the pod's spec"
)

# what is there (environment, .env, TOML, --set) -> the complaint
NO_SETTINGS = [
    ({"FINALSTOP_IDEL_S": "1"}, "", "", [],
     "FINALSTOP_IDEL_S: there is no such setting; did you mean FINALSTOP_IDLE_S?"),
    ({"FINALSTOP_ZZZ": "1"}, "", "", [],
     "FINALSTOP_ZZZ: there is no such setting; `finalstop config` lists all there are"),
    ({}, "FINALSTOP_IDEL_S=1", "", [],
     "FINALSTOP_IDEL_S in .env: there is no such setting; did you mean FINALSTOP_IDLE_S?"),
    ({}, "", "idel_s = 1", [],
     "idel_s in finalstop.toml: there is no such setting; did you mean idle_s?"),
    ({}, "", "config = 'x'", [],
     "config in finalstop.toml: there is no such setting; `finalstop config` lists all there are"),
    ({}, "", "[limits]\nidle_s = 1", [],
     f"limits in finalstop.toml: there is no such setting; {NO_TABLES}"),
    ({}, "", "", ["idel_s=1"], "--set idel_s: there is no such setting; did you mean idle_s?"),
    ({}, "", "", ["idle_s"],
     "--set: what was given holds no `=`; write --set NAME=VALUE"),
    ({}, "", "", ["key=x"],
     f"--set key: a secret does not belong there: {READABLE}; set FINALSTOP_KEY instead"),
    ({}, "", "key = 'x'", [],
     f"key in finalstop.toml: a secret does not belong there: {SHARED}; set FINALSTOP_KEY instead"),
    ({"FINALSTOP_SERVICE_HOST": "10.0.0.1"}, "", "", [],
     f"FINALSTOP_SERVICE_HOST: there is no such setting; {LINKS}"),
]  # fmt: skip


@pytest.mark.parametrize(("env", "dotenv", "toml", "assignments", "complaint"), NO_SETTINGS)
def test_what_is_no_setting_is_refused(
    env, dotenv, toml, assignments, complaint, place, monkeypatch
):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    (place / ".env").write_text(dotenv)
    (place / "finalstop.toml").write_text(toml)
    assert found(*assignments).complaints == (complaint,)


def test_other_programs_variables_are_left_alone(place, monkeypatch):
    monkeypatch.setenv("IDLE_S", "1")
    (place / ".env").write_text("IDLE_S=1\nDATABASE_URL=x\n")
    findings = found()
    assert dict(findings.given) == {}
    assert findings.complaints == ()


def test_a_configuration_file_may_be_named_by_option_or_variable(place, monkeypatch):
    (place / "a.toml").write_text("idle_s = 1")
    (place / "b.toml").write_text("idle_s = 2")
    (place / "finalstop.toml").write_text("idle_s = 3")
    assert found().given["idle_s"].value == 3
    monkeypatch.setenv("FINALSTOP_CONFIG", "b.toml")
    assert found().given["idle_s"].where == "idle_s in b.toml"
    assert found(config=Path("a.toml")).given["idle_s"].where == "idle_s in a.toml"


def test_a_configuration_file_that_is_not_there_is_refused(monkeypatch):
    assert found(config=Path("absent")).complaints == ("--config=absent: there is no such file",)
    long = "x" * 300
    said = (f"--config={long}: it cannot be looked for: File name too long",)
    assert found(config=Path(long)).complaints == said
    monkeypatch.setenv("FINALSTOP_CONFIG", "gone")
    assert found().complaints == ("FINALSTOP_CONFIG=gone: there is no such file",)
    monkeypatch.setenv("FINALSTOP_CONFIG", "~nobody-we-know/a.toml")
    assert found().complaints == ("FINALSTOP_CONFIG=~nobody-we-know/a.toml: there is no such file",)


@pytest.mark.parametrize("broken", [b"idle_s = ", b"idle_s = '\xff'"])
def test_a_configuration_file_that_cannot_be_read_is_refused(broken, place):
    (place / "finalstop.toml").write_bytes(broken)
    [complaint] = found().complaints
    assert complaint.startswith("finalstop.toml: it is not a TOML file that can be read: ")


def test_a_dotenv_file_that_cannot_be_read_is_refused(place):
    (place / ".env").write_bytes(b"FINALSTOP_KEY=\xff\xfe\n")
    assert found().complaints == (".env: it cannot be read: it is not UTF-8",)
