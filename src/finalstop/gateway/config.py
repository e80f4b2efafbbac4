"""The gateway's configuration: built once at the edge, frozen, and then handed around.

`load` reads every source, refuses what is wrong with the name as its author spelled it, the value
and what is allowed, and says of each value where it came from. `ANTHROPIC_BASE_URL` is not read:
whoever points an SDK at this gateway sets it, and the gateway would then call itself.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from finalstop.core.limits import Limits
from finalstop.gateway.address import check_proxy, check_upstream, is_loopback
from finalstop.gateway.knobs import Knob, knobs_of, table_of
from finalstop.gateway.secret import Secret, TokenHash, read_key, read_tokens
from finalstop.gateway.sources import API_KEY_ENV, Findings, Given, gather, kubernetes_hint
from finalstop.gateway.stream_routes import STREAM_ROUTES, StreamRoute

API_URL: Final = "https://api.anthropic.com"
SIMULATOR: Final = "simulator"

# Defaults that depend on something else; the Struct holds what stands when that is unknown.
DERIVED: Final = {
    "upstream": f"`{API_URL}` when there is an API key, else `{SIMULATOR}`",
    "log_format": "`console` when standard error is a terminal, else `json`",
}

HostName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]+$")]


class Settings(Struct, frozen=True, kw_only=True):
    """One gateway: its limits, its address, whom it asks and whom it lets in.

    Raises:
        ValueError: two settings contradict each other, or the upstream's URL is unusable; the
            message names them and holds no secret.
    """

    limits: Limits = Limits()
    host: Annotated[
        HostName,
        Meta(
            description="reachable from this machine only; any other address needs gateway tokens",
            extra={"allowed": "an IP address or a host name, without brackets or port"},
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535, description="0 takes a free port, printed at the start")
    ] = 8787
    upstream: Annotated[
        str,
        Meta(
            description="whom to ask; only configuration may say so, never a request",
            extra={
                "allowed": f"an https URL without query (http for this machine), or {SIMULATOR}"
            },
        ),
    ] = SIMULATOR
    api_key: Annotated[
        Secret | None,
        Meta(
            description=f"the upstream's key; {API_KEY_ENV} is read too, and gives way",
            extra={"allowed": "visible ASCII characters without spaces", "secret": True},
        ),
    ] = None
    api_key_file: Annotated[
        str | None,
        Meta(
            description="a file that holds the key and nothing else, as a mounted secret does",
            extra={"allowed": "the path of a file"},
        ),
    ] = None
    tokens: Annotated[
        tuple[TokenHash, ...],
        Meta(
            description="who may come in: `finalstop token` makes one; only hashes are kept",
            extra={
                "allowed": "gateway tokens with commas between: sha256:<64 hexadecimal digits>, or "
                "plain ones of at least 16 visible ASCII characters",
                "secret": True,
            },
        ),
    ] = ()
    tokens_file: Annotated[
        str | None,
        Meta(
            description="a file of gateway tokens, one a line; # begins a comment",
            extra={"allowed": "the path of a file"},
        ),
    ] = None
    allowed_hosts: Annotated[
        tuple[HostName, ...],
        Meta(
            description="names beside the loopback ones that a Host header may carry, for a proxy "
            "on this machine that passes the public name on",
            extra={"allowed": "host names with commas between"},
        ),
    ] = ()
    proxy: Annotated[
        Secret | None,
        Meta(
            description="an HTTP proxy on the way to the upstream; HTTPS_PROXY is not read",
            extra={"allowed": "an http:// or https:// URL", "secret": True},
        ),
    ] = None
    rest_s: Annotated[
        float,
        Meta(
            ge=0,
            le=0.005,
            description="while reads come thick (20 and more within this time), the longest that "
            "the process sleeps to find several at once, which saves a sixth of the work; 0 never "
            "sleeps, nor does a gateway behind a proxy",
        ),
    ] = 0.0025
    at_once_routes: Annotated[
        tuple[StreamRoute, ...],
        Meta(
            description="the routes whose streams are read as soon as something is there, whatever "
            "gate_s is: for a voice or a typing effect, at the full price in work; under load they "
            "wait for a rest (rest_s) as all do",
            extra={"allowed": f"any of {', '.join(STREAM_ROUTES)}, with commas between"},
        ),
    ] = ()
    default_model: Annotated[
        str,
        Meta(
            pattern=r"^[\x21-\x7e]{1,200}$",
            description="for POST /stream-claude and `finalstop ask` when nobody names one",
            extra={"allowed": "the name of a model"},
        ),
    ] = "claude-sonnet-5-5"
    default_max_tokens: Annotated[
        int, Meta(ge=1, le=1_000_000, description="the same, for max_tokens: it bounds the bill")
    ] = 1024
    nonstream_passthrough: Annotated[
        bool,
        Meta(
            description='true sends "stream": false requests on as they are, without the '
            "guarantees of a stream"
        ),
    ] = False
    log_format: Annotated[
        Literal["json", "console"], Meta(description="one line per stream, at its end")
    ] = "json"
    simulator_spec: Annotated[
        str,
        Meta(
            description="what the embedded simulator plays when a request does not say",
            extra={"allowed": "a script as `finalstop simulate --list` explains them"},
        ),
    ] = "text"
    simulator_pace_ms: Annotated[
        int, Meta(ge=0, le=60_000, description="between two words of the embedded simulator")
    ] = 30

    @property
    def is_simulated(self) -> bool:
        """Whether the upstream is the embedded simulator."""
        return self.upstream == SIMULATOR

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the gateway."""
        return is_loopback(self.host)

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other; a single value's range is its annotation."""
        self._check_addresses()
        if not self.is_local and not self.tokens:
            raise ValueError(
                f"host={self.host} lets other machines in, and there are no gateway tokens: make "
                "one with `finalstop token` and put its line into tokens or tokens_file, or keep "
                "host=127.0.0.1"
            )
        if self.tokens and not self.is_simulated and self.api_key is None:
            raise ValueError(
                "there are gateway tokens but no api_key: whoever comes in with a token has "
                f"nothing to show the upstream; set api_key (or {API_KEY_ENV}), or drop tokens"
            )

    def _check_addresses(self) -> None:
        if self.proxy is not None:
            check_proxy(self.proxy.reveal())
        if self.is_simulated:
            # Only here: a gateway that asks the API does not load the simulator.
            from finalstop.simulator.script import parse_script  # noqa: PLC0415

            try:
                parse_script(self.simulator_spec)
            except ValueError as error:
                raise ValueError(f"simulator_spec={self.simulator_spec}: {error}") from None
            return
        upstream = check_upstream(self.upstream)
        if self.is_local and is_loopback(upstream.hostname or "") and upstream.port == self.port:
            raise ValueError(
                f"upstream={self.upstream} is this gateway itself (port={self.port}): it would "
                "ask itself for ever"
            )


class ConfigError(ValueError):
    """The configuration is refused. `complaints` says why, one sentence each, without secrets."""

    def __init__(self, complaints: Iterable[str]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("\n".join(self.complaints))


class Row(Struct, frozen=True):
    """One line of `finalstop config`; a secret's value says only whether it is set."""

    name: str
    value: Any
    source: str
    reason: str


class Configuration(Struct, frozen=True):
    """What `load` makes: the settings, and of each where it came from."""

    settings: Settings
    origins: Mapping[str, str]

    def rows(self) -> list[Row]:
        """Every limit and setting, in the order of the reference page."""
        return [
            Row(knob.name, self._shown(knob), self.origins[knob.name], knob.reason)
            for knob in KNOBS
        ]

    def _shown(self, knob: Knob) -> Any:
        is_limit = knob.name in Limits.__struct_fields__
        value = getattr(self.settings.limits if is_limit else self.settings, knob.name)
        if not knob.secret:
            return value
        if isinstance(value, tuple):
            return f"{len(value)} (hidden)" if value else None
        return "(hidden)" if value else None


LIMIT_KNOBS: Final = tuple(knobs_of(Limits))
SETTING_KNOBS: Final = tuple(knobs_of(Settings))
KNOBS: Final = (*SETTING_KNOBS, *LIMIT_KNOBS)

# The options of the command line that are not called like their setting.
FLAGS: Final = {
    "--host": "host",
    "--port": "port",
    "--upstream": "upstream",
    "--model": "default_model",
    "--max-tokens": "default_max_tokens",
}


def load(
    flags: Mapping[str, str | None] | None = None,
    assignments: Sequence[str] = (),
    *,
    config: Path | None = None,
) -> Configuration:
    """Read the configuration: options, environment, `.env`, TOML file, defaults.

    Args:
        flags: options as spelled in `FLAGS`; None means not given.
        assignments: what was given to `--set`, `NAME=VALUE` each.
        config: the TOML file, else FINALSTOP_CONFIG, else `finalstop.toml` where it is there.

    Raises:
        ConfigError: with everything that is wrong.
    """
    named = {flag: (FLAGS[flag], text) for flag, text in (flags or {}).items() if text is not None}
    findings = gather(KNOBS, flags=named, assignments=assignments, config=config)
    complaints = list(findings.complaints)
    values, origins = _read_values(findings, complaints)
    _read_files(values, origins, findings, complaints)
    if complaints:
        raise ConfigError(complaints)
    _derive(values)
    limits = {name: values.pop(name) for name in Limits.__struct_fields__ if name in values}
    try:
        settings = Settings(limits=Limits(**limits), **values)
    except ValueError as error:
        raise ConfigError([f"{error}{_whence(str(error), findings)}"]) from None
    return Configuration(settings, {knob.name: origins.get(knob.name, "default") for knob in KNOBS})


def configuration_markdown() -> str:
    """Every setting and limit as a table, for docs/reference/configuration.md."""
    return "\n".join(
        f"### {title}\n\n{table_of(knobs, derived=DERIVED)}\n"
        for title, knobs in (("Settings", SETTING_KNOBS), ("Limits", LIMIT_KNOBS))
    )


Values = dict[str, Any]
Origins = dict[str, str]


def _read_values(findings: Findings, complaints: list[str]) -> tuple[Values, Origins]:
    values, origins = {}, {}
    for knob in KNOBS:
        given = findings.given.get(knob.name)
        if given is None:
            continue
        try:
            values[knob.name] = knob.read(given.value, custom=_custom)
            origins[knob.name] = given.origin
        except msgspec.ValidationError:
            complaints.append(_complaint(knob, given))
    return values, origins


def _custom(kind: type, text: Any) -> Any:
    if not isinstance(text, str):
        raise TypeError("a secret is a string")
    return TokenHash.read(text) if kind is TokenHash else Secret(text)


def _complaint(knob: Knob, given: Given) -> str:
    value = "(hidden)" if knob.secret else given.value
    is_link = knob.name == "port" and str(given.value).startswith("tcp://")
    hint = kubernetes_hint(given.spelled) if is_link else ""
    return f"{given.where}={value}: it must be {knob.allowed}{hint}"


def _read_files(
    values: Values, origins: Origins, findings: Findings, complaints: list[str]
) -> None:
    """Bring in what the two files hold, and the key under its common name."""
    if "api_key_file" in values:
        given, path = findings.given["api_key_file"], values["api_key_file"]
        if "api_key" in values:
            both = f"{findings.given['api_key'].where} and {given.where}"
            complaints.append(
                f"{both}: set only one of them, so that it is plain which key is used"
            )
        origins["api_key"] = f"file {path}"
        with _complaining(given, complaints):
            values["api_key"] = read_key(path)
    if "tokens_file" in values:
        given, path = findings.given["tokens_file"], values["tokens_file"]
        origins["tokens"] = ", ".join(filter(None, (origins.get("tokens"), f"file {path}")))
        with _complaining(given, complaints):
            values["tokens"] = (*values.get("tokens", ()), *read_tokens(path))
    if "api_key" not in values and (common := findings.given.get(API_KEY_ENV)):
        origins["api_key"] = common.origin
        with _complaining(common, complaints):
            values["api_key"] = Secret(common.value)


@contextmanager
def _complaining(given: Given, complaints: list[str]) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        complaints.append(f"{given.where}: {error}")


def _derive(values: Values) -> None:
    values.setdefault("upstream", API_URL if values.get("api_key") else SIMULATOR)
    values.setdefault("log_format", "console" if sys.stderr.isatty() else "json")


def _whence(message: str, findings: Findings) -> str:
    """Where the settings that a message names were set, for the end of that message."""
    set_somewhere = [
        f"{name}: {findings.given[name].origin}"
        for name in dict.fromkeys(re.findall(r"\w+", message))
        if name in findings.given
    ]
    return f" ({', '.join(set_somewhere)})" if set_somewhere else ""
