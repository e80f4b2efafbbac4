"""Where values come from: command line, environment, `.env`, a TOML file.

pydantic-settings reads the three outer sources; the strongest source that names a knob wins. This
room may not know what the values mean: it hands them on as found, each with its origin.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final, assert_never

from msgspec import Struct
from pydantic import Field, create_model
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    TomlConfigSettingsSource,
)

from finalstop.gateway.knobs import ENV_PREFIX, Knob

DOTENV: Final = ".env"
TOML: Final = "finalstop.toml"
CONFIG_ENV: Final = f"{ENV_PREFIX}CONFIG"
# The name that the API's own SDKs read. It stands for `api_key` where nothing nearer is set.
API_KEY_ENV: Final = "ANTHROPIC_API_KEY"

# A pod that runs beside a Service called finalstop is given variables of these names.
_KUBERNETES: Final = re.compile(r"FINALSTOP_(SERVICE_(HOST|PORT.*)|PORT(_\d+_.*)?)")
_KUBERNETES_HINT: Final = (
    "; Kubernetes sets this one for a Service called finalstop: put `enableServiceLinks: false` "
    "into the pod's spec"
)
_NO_TABLES: Final = "; the file has no tables: write every setting at its top, `name = value`"


class Kind(StrEnum):
    """A sort of source, strongest first."""

    FLAG = "option"
    SET = "--set"
    ENVIRONMENT = "environment"
    DOTENV = ".env"
    FILE = "file"


_WHY_NO_SECRET: Final = {
    Kind.SET: "other people on the machine can read a command line",
    Kind.FILE: "a configuration file is shared and committed",
}


class Given(Struct, frozen=True):
    """A value as somebody gave it.

    Args:
        kind: the sort of source.
        spelled: its name there: an option, a variable, a key.
        place: the file, where it is one; else empty.
        value: as found.
    """

    kind: Kind
    spelled: str
    place: str
    value: Any

    @property
    def origin(self) -> str:
        """The source, for `finalstop config`."""
        match self.kind:
            case Kind.FLAG:
                return f"option {self.spelled}"
            case Kind.SET:
                return "option --set"
            case Kind.ENVIRONMENT:
                return f"environment {self.spelled}"
            case Kind.DOTENV | Kind.FILE:
                return f"{self.place} {self.spelled}"
            case _:
                assert_never(self.kind)

    @property
    def where(self) -> str:
        """The name as its author knows it, for the front of a message."""
        match self.kind:
            case Kind.FLAG | Kind.ENVIRONMENT:
                return self.spelled
            case Kind.SET:
                return f"--set {self.spelled}"
            case Kind.DOTENV | Kind.FILE:
                return f"{self.spelled} in {self.place}"
            case _:
                assert_never(self.kind)


class Findings(Struct, frozen=True):
    """What the sources hold.

    Args:
        given: knob name -> the strongest value; `API_KEY_ENV` -> the key under that name.
        complaints: what is wrong with the sources themselves, one sentence each.
    """

    given: Mapping[str, Given]
    complaints: tuple[str, ...]


Layer = Mapping[str, Given]


def gather(
    knobs: Iterable[Knob],
    *,
    flags: Mapping[str, tuple[str, str]],
    assignments: Sequence[str],
    config: Path | None,
) -> Findings:
    """Read every source, strongest first.

    Args:
        knobs: what may be named.
        flags: option as spelled -> (knob name, value).
        assignments: `NAME=VALUE`, as given to `--set`; the last of a name wins.
        config: the TOML file; without it FINALSTOP_CONFIG, else `finalstop.toml` if it is there.
    """
    by_name = {knob.name: knob for knob in knobs}
    model = _model(tuple(by_name))
    complaints: list[str] = []
    layers = [
        _from_flags(flags),
        _from_assignments(assignments, complaints),
        _from_environment(model, by_name, complaints),
        _from_dotenv(model, by_name, complaints),
    ]
    named = next((layer["config"] for layer in layers if "config" in layer), None)
    layers.append(_from_file(model, config, named, complaints))

    given: dict[str, Given] = {}
    for layer in layers:
        for name, item in layer.items():
            complaints.extend(_out_of_place(name, item, by_name))
            given.setdefault(name, item)
    return Findings(given, tuple(complaints))


def _from_flags(flags: Mapping[str, tuple[str, str]]) -> Layer:
    return {name: Given(Kind.FLAG, flag, "", value) for flag, (name, value) in flags.items()}


def _from_assignments(assignments: Sequence[str], complaints: list[str]) -> Layer:
    found = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if equals:
            found[name.strip()] = Given(Kind.SET, name.strip(), "", value)
        else:
            # Not repeated: somebody may have given a bare key.
            complaints.append("--set: what was given holds no `=`; write --set NAME=VALUE")
    return found


def _from_environment(
    model: type[BaseSettings], knobs: Mapping[str, Knob], complaints: list[str]
) -> Layer:
    source = EnvSettingsSource(model, env_prefix=ENV_PREFIX, env_ignore_empty=True)
    _refuse_unknown(os.environ, knobs, "", complaints)
    spelled = {name.upper(): name for name in os.environ}
    return _variables(source(), Kind.ENVIRONMENT, "", spelled)


def _from_dotenv(
    model: type[BaseSettings], knobs: Mapping[str, Knob], complaints: list[str]
) -> Layer:
    try:
        source = DotEnvSettingsSource(
            model, env_file=DOTENV, env_prefix=ENV_PREFIX, env_ignore_empty=True
        )
        names = {name.upper(): name.upper() for name in source.env_vars}
        found = source()
    except (OSError, UnicodeDecodeError) as error:
        complaints.append(f"{DOTENV}: it cannot be read: {_said(error)}")
        return {}
    _refuse_unknown(names, knobs, f" in {DOTENV}", complaints)
    return _variables(found, Kind.DOTENV, DOTENV, names)


def _from_file(
    model: type[BaseSettings],
    config: Path | None,
    config_given: Given | None,
    complaints: list[str],
) -> Layer:
    where, path = "--config", config
    if path is None and config_given is not None:
        where, path = config_given.where, Path(config_given.value)
    missing = "" if path is None else _why_no_file(path)
    if missing:
        complaints.append(f"{where}={path}: {missing}")
        return {}
    try:
        values = TomlConfigSettingsSource(model, toml_file=path or TOML)()
    except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError) as error:
        complaints.append(f"{path or TOML}: it is not a TOML file that can be read: {_said(error)}")
        return {}
    return {key: Given(Kind.FILE, key, str(path or TOML), value) for key, value in values.items()}


def _why_no_file(path: Path) -> str:
    """Why there is no file at `path`; "" if there is one."""
    try:
        found = path.expanduser().is_file()
    except RuntimeError:  # ~somebody whom this machine does not know
        found = False
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        return f"it cannot be looked for: {error.strerror}"
    return "" if found else "there is no such file"


@cache
def _model(knobs: tuple[str, ...]) -> type[BaseSettings]:
    """What pydantic-settings looks for. It reads; the types are msgspec's affair."""
    fields: dict[str, Any] = dict.fromkeys((*knobs, "config"), (Any, None))
    fields["anthropic_api_key"] = (Any, Field(None, validation_alias=API_KEY_ENV))
    return create_model("Sources", __base__=BaseSettings, **fields)


def _variables(
    found: Mapping[str, Any], kind: Kind, place: str, spelled: Mapping[str, str]
) -> Layer:
    named = {name: name if name == API_KEY_ENV else f"{ENV_PREFIX}{name.upper()}" for name in found}
    return {
        name: Given(kind, spelled[variable], place, found[name])
        for name, variable in named.items()
        if variable in spelled
    }


def _refuse_unknown(
    names: Iterable[str], knobs: Mapping[str, Knob], place: str, complaints: list[str]
) -> None:
    known = {knob.env for knob in knobs.values()} | {CONFIG_ENV}
    for name in sorted(names):
        if name.upper().startswith(ENV_PREFIX) and name.upper() not in known:
            hint = kubernetes_hint(name) or _closest(name.upper(), known, prefix=ENV_PREFIX)
            complaints.append(f"{name}{place}: there is no such setting{hint}")


def kubernetes_hint(variable: str) -> str:
    """What to add to a complaint about a variable that Kubernetes may have set; else empty."""
    return _KUBERNETES_HINT if _KUBERNETES.fullmatch(variable) else ""


def _out_of_place(name: str, item: Given, knobs: Mapping[str, Knob]) -> Iterator[str]:
    is_variable = item.kind in {Kind.ENVIRONMENT, Kind.DOTENV}
    if is_variable and name in {API_KEY_ENV, "config"}:
        return
    if name not in knobs:
        is_table = isinstance(item.value, dict)
        hint = _NO_TABLES if is_table else _closest(name, knobs)
        yield f"{item.where}: there is no such setting{hint}"
    elif knobs[name].secret and item.kind in _WHY_NO_SECRET:
        why = _WHY_NO_SECRET[item.kind]
        yield f"{item.where}: a secret does not belong there: {why}; set {knobs[name].env} instead"


def _closest(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    # Without the prefix, which would make every name near every other.
    ends = [it.removeprefix(prefix) for it in known]
    near = difflib.get_close_matches(name.removeprefix(prefix), ends, n=1, cutoff=0.5)
    if not near:
        return "; `finalstop config` lists all there are"
    return f"; did you mean {prefix}{near[0]}?"


def _said(error: Exception) -> str:
    # A decode error of bytes repeats the bytes, which may be a key.
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
