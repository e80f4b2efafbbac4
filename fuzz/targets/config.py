"""Configuration from every source at once: settings that keep their own rules, or a named error.

An input is lines. Each begins with a letter that says where the rest stands: `E` the environment
and `D` the file .env (NAME=VALUE, where FINALSTOP_ is put before a name in lower case), `S` an
argument of --set, `F` an option, `C` the --config option; every other line is one of the TOML
file's. Configuration is read whole: there is no byte by byte; it is read twice instead.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from msgspec import Struct, convert, to_builtins

from finalstop.core.limits import Limits
from finalstop.gateway.config import FLAGS, KNOBS, ConfigError, Configuration, load
from fuzz.target import Target, bucket, want

# Shorter secrets turn up in a message by chance.
SECRET_CHARACTERS_MIN: Final = 8


class Sources(Struct):
    """An input, taken apart."""

    environment: dict[str, str]
    dotenv: list[str]
    assignments: list[str]
    flags: dict[str, str | None]
    config: str | None
    toml: list[str]
    secrets: list[str]


def sources_of(data: bytes) -> Sources:
    """Take an input apart. What no operating system can carry is left out."""
    found = Sources({}, [], [], {}, None, [], [])
    secret = {knob.name for knob in KNOBS if knob.secret}
    open_text: list[str] = []
    for line in data.decode("utf-8", "replace").split("\n"):
        kind, rest = line[:1], line[1:].replace("\0", "")
        name, equals, value = rest.partition("=")
        if name in secret and len(value) >= SECRET_CHARACTERS_MIN and kind in {"E", "D", "S"}:
            found.secrets.append(value)
        else:
            open_text.append(line)
        if name and name.islower() and kind in {"E", "D"}:
            name = f"FINALSTOP_{name.upper()}"
        match kind:
            case "E" if name and equals:
                found.environment[name] = value
            case "D":
                found.dotenv.append(f"{name}{equals}{value}")
            case "S":
                found.assignments.append(rest)
            case "F" if name in FLAGS:
                found.flags[name] = value
            case "C":
                found.config = rest
            case _:
                found.toml.append(line)
    # What is said in the open as well, a path that repeats the bytes of a key, may be told.
    found.secrets = [it for it in found.secrets if not any(it in line for line in open_text)]
    return found


@contextlib.contextmanager
def _in_place(found: Sources) -> Iterator[None]:
    """An empty folder with the two files, and nothing else in the environment."""
    before = dict(os.environ)
    # python-dotenv warns of every line that it passes over.
    logging.getLogger("dotenv").disabled = logging.getLogger("dotenv.main").disabled = True
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        if found.dotenv:
            Path(".env").write_text("\n".join(found.dotenv), "utf-8", "replace")
        if found.toml:
            Path("finalstop.toml").write_text("\n".join(found.toml), "utf-8", "replace")
        os.environ.clear()
        os.environ.update({"PATH": before.get("PATH", ""), "HOME": folder, **found.environment})
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def judge(data: bytes) -> str:
    """Load it twice."""
    found = sources_of(data)
    with _in_place(found):
        first, second = _load(found), _load(found)
    want(first == second, f"first {first}, then {second}")
    return first


def _load(found: Sources) -> str:
    try:
        configuration = load(
            found.flags,
            found.assignments,
            config=None if found.config is None else Path(found.config),
        )
    except ConfigError as error:
        return _refused(error, found)
    return _accepted(configuration)


def _refused(error: ConfigError, found: Sources) -> str:
    want(error.complaints and all(error.complaints), "refused without a word")
    for secret in found.secrets:
        want(secret not in str(error), f"a secret is told: {error}")
    kinds = sorted({it.rpartition(": ")[2][:30] for it in error.complaints})
    return f"refused {bucket(len(error.complaints))} {kinds}"


def _accepted(configuration: Configuration) -> str:
    rows = configuration.rows()
    want(len(rows) == len(KNOBS), "a row is missing")
    limits = configuration.settings.limits
    want(convert(to_builtins(limits), Limits) == limits, f"not valid by its own rules: {limits}")
    kinds = sorted({row.source.partition(" ")[0] for row in rows})
    return f"accepted {kinds} {bucket(sum(row.source != 'default' for row in rows))}"


def _feed(data: bytes) -> None:
    found = sources_of(data)
    with _in_place(found), contextlib.suppress(ConfigError):
        load(found.flags, found.assignments)


def _seeds() -> list[bytes]:
    texts = [
        "idle_s = 5.5\nport = 9000",
        'upstream = "https://api.anthropic.com"\nhost = "127.0.0.1"',
        "[limits]\nidle_s = 1",
        "Eidle_s=7\nDidle_s=8\nSidle_s=9",
        "Eapi_key=sk-ant-0123456789\nDtokens=sha256:" + "0" * 64,
        "Stokens=0123456789abcdef",
        "EANTHROPIC_API_KEY=sk-ant-0123456789",
        "F--port=0\nF--host=0.0.0.0",
        "Ecommit_s=30",
        "Eno_such_thing=1\nEPORT_8787_TCP=tcp://10.0.0.1:8787",
        "Eport=tcp://10.0.0.1:8787",
        "Capart.toml",
        "C~nobody-we-know/a.toml",
        "Etokens_file=~nobody-we-know/tokens",
        "Eapi_key_file=key\nEtokens_file=tokens",
        "Eproxy=http://user:secret-word@proxy:8080",
        "Supstream=http://127.0.0.1:8787\nSport=8787",
        "Ssimulator_spec=fin@mid-text\nSlog_format=console",
        "Snonstream_passthrough=true\nSallowed_hosts=a.example,b.example",
        "x = [1, {a = 1979-05-27T07:32:00Z}]",
        "D# a comment\nD\nDexport FINALSTOP_IDLE_S=5\nDx='a\nDy=\"b",
    ]
    return [text.encode() for text in texts]


TARGET: Final = Target(
    name="config",
    says="settings from options, environment, .env and TOML",
    judge=judge,
    seeds=_seeds,
    words=(
        *(b"\n%b%b=" % (kind, knob.name.encode()) for kind in (b"E", b"S") for knob in KNOBS),
        b"\nD", b"\nC", b"\nF--port=", b"=", b"nan", b"inf", b"-1", b"0", b"1e400", b"5", b"true",
        b"~", b"~nobody/x", b"/", b"..", b"https://", b"http://[", b"@", b":99999", b"sha256:",
        b'"', b"'", b"[", b"]", b"{", b"}", b",", b"#", b"${HOME}", b"\xf0\x9f\x98\x80", b"\xff",
        b"9" * 40, b"0x10", b"1_000", b" ", b"\r", b"[[a]]\n", b'""""', b"\\u0000", b"\x1b",
    ),
    worst={
        "a long TOML array": lambda n: b"x = [" + b"1," * (n // 2) + b"]",
        "many unknown settings": lambda n: b"\n".join(b"x%d = 1" % it for it in range(n // 8)),
        "a long .env": lambda n: b"\n".join(b"Dx%d=1" % it for it in range(n // 8)),
        "a long value": lambda n: b"Sidle_s=" + b"9" * n,
        "many hosts": lambda n: b"Sallowed_hosts=" + b"a," * (n // 2),
    },
    feed=_feed,
    worst_size=8_000,
)  # fmt: skip
