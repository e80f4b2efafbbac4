"""The grammar in which a call is told what to do: `NAME[@PHASE][,key=value...]`.

Pure: text in, a frozen `Script` out. It may not know how a script is played.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from finalstop.simulator.catalogue import BY_NAME, Entry, Kind, Phase, names

# As long as the read timeout of the official SDKs, so that a client which relies on that alone
# meets its own limit before ours.
HOLD_S: Final = 600.0


class ScriptError(ValueError):
    """A script that cannot be read or played; the message names the part and what is allowed."""


@dataclass(frozen=True, slots=True)
class Script:
    """What one call will do. Make it with `parse_script`.

    `None` means "not said": whoever plays the script has a default for it.
    """

    spec: str
    entry: Entry
    phase: Phase | None = None
    answer: str = "text"
    pace_ms: int | None = None
    words: int | None = None
    seed: int = 0
    times: int | None = None
    retry_after: int | None = None
    hold_s: float | None = None
    delay_s: float = 0.0
    segment: int | None = None
    gzip: bool = False
    bytes: int | None = None

    def held_s(self, default_s: float = HOLD_S) -> float:
        """Seconds a hang is held before the simulator gives up."""
        return default_s if self.hold_s is None else self.hold_s

    def pace_s(self, default_ms: int) -> float:
        """Seconds between two deltas, or two repetitions."""
        return (default_ms if self.pace_ms is None else self.pace_ms) / 1000


def parse_script(spec: str) -> Script:
    """Read one script.

    Raises:
        ScriptError: a name, phase, key or value is not allowed; says which, and what is.
    """
    head, *pairs = [part.strip() for part in spec.strip().split(",")]
    name, at, place = head.partition("@")
    entry = _entry(name)
    phase = _phase(entry, place) if at else _default_phase(entry)
    values = _values(pairs)
    answer = str(values.pop("answer", _implied_answer(entry, phase)))
    return Script(spec.strip(), entry, phase, answer, **values)  # type: ignore[arg-type]


def healthy_again(script: Script) -> Script:
    """What the script's call does once its `times` are used up: its answer, without the fault."""
    return Script(
        script.spec, BY_NAME[script.answer], None, script.answer, script.pace_ms, script.words,
        script.seed, segment=script.segment, gzip=script.gzip, bytes=script.bytes,
    )  # fmt: skip


def _entry(name: str) -> Entry:
    entry = BY_NAME.get(name)
    if entry is None:
        answers, forms, faults = (
            " ".join(names(kind)) for kind in (Kind.ANSWER, Kind.FORM, Kind.FAULT)
        )
        message = f"simulator script: no answer or fault is called {name!r}; answers: {answers}; "
        raise ScriptError(message + f"unusual but healthy: {forms}; faults: {faults}")
    if entry.kind is Kind.CONNECT:
        message = f"simulator script: {name!r} happens before there is a call to script; "
        raise ScriptError(message + "use finalstop.simulator.connect")
    return entry


def _phase(entry: Entry, place: str) -> Phase:
    for phase in entry.phases:
        if phase.value == place:
            return phase
    allowed = " ".join(phase.value for phase in entry.phases) or "none, it happens in one place"
    message = f"simulator script: {entry.name!r} has no phase {place!r}; allowed: {allowed}"
    raise ScriptError(message)


def _default_phase(entry: Entry) -> Phase | None:
    if Phase.MID_TEXT in entry.phases:
        return Phase.MID_TEXT
    return entry.phases[0] if entry.phases else None


def _implied_answer(entry: Entry, phase: Phase | None) -> str:
    if entry.kind is Kind.ANSWER:
        return entry.name
    return _ANSWER_OF_PHASE.get(phase, "text")


def _values(pairs: list[str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for pair in pairs:
        key, equals, text = (part.strip() for part in pair.partition("="))
        if key not in _READERS or not equals:
            message = f"simulator script: {pair!r} is not a key=value pair; keys: "
            raise ScriptError(message + " ".join(_READERS))
        if key in values:
            message = f"simulator script: {key!r} is given twice"
            raise ScriptError(message)
        values[key] = _READERS[key](key, text)
    return values


def _whole(low: int, high: int) -> Callable[[str, str], int]:
    def read(key: str, text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            message = f"simulator script: {key}={text!r} is not a whole number {low} to {high}"
            raise ScriptError(message)
        return int(text)

    return read


def _seconds(high: float) -> Callable[[str, str], float]:
    def read(key: str, text: str) -> float:
        plain = text.isascii() and text.replace(".", "", 1).isdigit()
        if not plain or float(text) > high:
            message = f"simulator script: {key}={text!r} is not a number of seconds 0 to {high:g}"
            raise ScriptError(message)
        return float(text)

    return read


def _flag(key: str, text: str) -> bool:
    if text not in {"0", "1"}:
        message = f"simulator script: {key}={text!r} must be 0 or 1"
        raise ScriptError(message)
    return text == "1"


def _answer_name(_key: str, text: str) -> str:
    if text not in names(Kind.ANSWER):
        message = f"simulator script: no answer is called {text!r}; answers: "
        raise ScriptError(message + " ".join(names(Kind.ANSWER)))
    return text


_ANSWER_OF_PHASE: Final[dict[Phase | None, str]] = {
    Phase.MID_THINKING: "thinking",
    Phase.MID_TOOL_JSON: "tools",
}
_READERS: Final[dict[str, Callable[[str, str], object]]] = {
    "answer": _answer_name,
    "pace_ms": _whole(0, 60_000),
    "words": _whole(0, 1_000_000),
    "seed": _whole(0, 2**63),
    "times": _whole(1, 1_000_000),
    "retry_after": _whole(0, 86_400),
    "hold_s": _seconds(86_400),
    "delay_s": _seconds(86_400),
    "segment": _whole(1, 1 << 20),
    "gzip": _flag,
    "bytes": _whole(0, 4 << 30),
}
KEYS: Final = tuple(_READERS)
