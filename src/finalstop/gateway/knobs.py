"""What can be configured, read off the classes that hold it.

A knob is one annotated field of a frozen Struct: its name, type, range, default and reason all
stand there and nowhere else. This room may not know where values come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, get_type_hints

import msgspec
from msgspec import Struct, inspect

from finalstop.core.limits import MIB

ENV_PREFIX: Final = "FINALSTOP_"

# The unit is the end of the name; `event_bytes` and `log_bytes_total` both count bytes.
_UNITS: Final = (("_ms", " of milliseconds"), ("_s", " of seconds"), ("_s_max", " of seconds"))


class Knob(Struct, frozen=True, kw_only=True):
    """One thing that can be set.

    Args:
        name: as in a TOML file and in `--set NAME=VALUE`.
        type: the annotation, which holds the range.
        default: what holds when nobody says otherwise.
        reason: why it is there, or why the default is what it is.
        allowed: what a value may be, for a person.
        secret: whether its value must never be shown or stand on a command line.
    """

    name: str
    type: Any
    default: Any
    reason: str
    allowed: str
    secret: bool = False

    @property
    def env(self) -> str:
        """The environment variable that sets it."""
        return ENV_PREFIX + self.name.upper()

    def read(self, value: object, *, custom: Callable[[type, Any], Any] | None = None) -> Any:
        """The typed value, from a string (command line, environment) or from a TOML value.

        Args:
            value: as found. A list may be written as one string with commas.
            custom: makes what msgspec does not know: (type, value) -> object.

        Raises:
            msgspec.ValidationError: it is not allowed; may repeat the value.
        """
        if isinstance(value, str):
            value = value.strip()
            if self.default == ():
                value = [part for item in value.split(",") if (part := item.strip())]
        return msgspec.convert(value, self.type, strict=False, dec_hook=custom)


def knobs_of(holder: type[Struct]) -> Iterator[Knob]:
    """The knobs of a Struct: every field whose annotation says why it is there."""
    types = get_type_hints(holder, include_extras=True)
    for field in inspect.type_info(holder).fields:  # type: ignore[attr-defined]  # a StructType
        kind = field.type
        if isinstance(kind, inspect.Metadata):
            yield Knob(
                name=field.name,
                type=types[field.name],
                default=field.default,
                reason=(kind.extra_json_schema or {})["description"],
                allowed=_allowed(kind, field.name),
                secret=(kind.extra or {}).get("secret", False),
            )


def table_of(knobs: Iterable[Knob], *, derived: Mapping[str, str]) -> str:
    """The knobs as a table of Markdown.

    Args:
        knobs: one line each.
        derived: name -> what to say of a default that depends on something else.
    """
    lines = [
        f"| `{knob.name}` | {derived.get(knob.name) or _default(knob)} | {knob.allowed} "
        f"| {knob.reason} |"
        for knob in knobs
    ]
    return "\n".join(["| name | default | allowed | why |", "|---|---|---|---|", *lines])


def _default(knob: Knob) -> str:
    match knob.default:
        case None | ():
            return "none"
        case bool(value):
            return f"`{str(value).lower()}`"
        case int(value) if value >= MIB and value % MIB == 0:
            return f"`{value}` ({value // MIB} MiB)"
        case float(value):
            return f"`{value:g}`"
        case value:
            return f"`{value}`"


def _allowed(kind: inspect.Type, name: str) -> str:
    match kind:
        case inspect.Metadata(extra={"allowed": str(said)}):
            return said
        case inspect.Metadata(type=inner):
            return _allowed(inner, name)
        case inspect.FloatType():
            return f"a number{_unit(name)}, {_range(kind)}"
        case inspect.IntType():
            return f"a whole number{_unit(name)}, {_range(kind)}"
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType(values=values):
            return " or ".join(map(str, values))
        case _:
            raise AssertionError(f"{name}: say what is allowed, in Meta(extra={{'allowed': ...}})")


def _unit(name: str) -> str:
    if "bytes" in name.split("_"):
        return " of bytes"
    return next((unit for end, unit in _UNITS if name.endswith(end)), "")


def _range(kind: inspect.FloatType | inspect.IntType) -> str:
    ends = (("more than", kind.gt), ("at least", kind.ge), ("at most", kind.le))
    return " and ".join(f"{word} {_number(end)}" for word, end in ends if end is not None)


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)
