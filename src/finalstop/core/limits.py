"""Every bound, with its reason beside it.

One source: the configuration, its validation, `finalstop config` and the reference page are all
read off this class. A limit that is not here does not exist.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct, ValidationError, convert, defstruct
from msgspec.structs import fields

MIB: Final = 1024 * 1024
GIB: Final = 1024 * MIB

# A day: nobody waits longer, and a larger value is a slip of the unit.
DAY_S: Final = 86_400.0

Seconds = Annotated[float, Meta(gt=0, le=DAY_S)]
SecondsOrZero = Annotated[float, Meta(ge=0, le=DAY_S)]
GateSeconds = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Attempts = Annotated[int, Meta(ge=1, le=10)]
Bytes = Annotated[int, Meta(ge=1024, le=1024 * GIB)]


class Limits(Struct, frozen=True, kw_only=True):
    """The bounds of one relay. Durations are in seconds, sizes in bytes.

    Raises:
        ValueError: a limit is out of its range, or two contradict each other; the message names
            the limit, its value and what is allowed.
    """

    connect_s: Annotated[
        Seconds,
        Meta(
            description="under the official SDKs' 5, and under commit_s, so that an upstream that "
            "cannot be reached is still a true status"
        ),
    ] = 4.0
    commit_s: Annotated[
        SecondsOrZero,
        Meta(
            description="how long the response head is held for a true status: under the shortest "
            "first-byte limit of common platforms, long enough for a 429 or 529"
        ),
    ] = 5.0
    first_content_s: Annotated[
        Seconds, Meta(description="long thinking is normal; it must still end")
    ] = 300.0
    idle_s: Annotated[
        Seconds, Meta(description="between two content events; pings do not count")
    ] = 120.0
    deadline_s: Annotated[
        Seconds, Meta(description="total time of a stream: a fixed instant, not a timeout")
    ] = 3600.0
    keep_alive_s: Annotated[
        Seconds, Meta(description="half of the shortest common proxy idle limit")
    ] = 15.0
    gate_s: Annotated[
        GateSeconds,
        Meta(
            description="the gateway reads a stream that says more within this time only once in "
            "it, which saves half of the work; 0 reads at once"
        ),
    ] = 0.027
    body_s: Annotated[
        Seconds, Meta(description="for a client to send its request body; then 408")
    ] = 30.0
    write_s: Annotated[
        Seconds,
        Meta(description="a reader that takes nothing this long is detached; the stream lives on"),
    ] = 30.0
    linger_s: Annotated[
        SecondsOrZero,
        Meta(description="how long a stream lives on without a viewer; a request may ask for more"),
    ] = 0.0
    linger_s_max: Annotated[
        SecondsOrZero, Meta(description="the most a request may ask for; somebody pays for it")
    ] = 300.0
    drain_s: Annotated[
        Seconds,
        Meta(description="shutdown window, terminals included: under Kubernetes' 30"),
    ] = 20.0
    attempts_sdk: Annotated[
        Attempts,
        Meta(description="attempts on SDK-compatible routes: the SDKs retry themselves"),
    ] = 1
    attempts_own: Annotated[
        Attempts,
        Meta(description="attempts on our own routes, within the commit window"),
    ] = 2
    event_bytes: Annotated[
        Bytes, Meta(description="one event; beyond it the upstream is invalid")
    ] = 16 * MIB
    stream_bytes: Annotated[
        Bytes, Meta(description="one stream; beyond it the stream ends too_large")
    ] = 64 * MIB
    body_bytes: Annotated[Bytes, Meta(description="one request body: the API's own limit")] = (
        32 * MIB
    )
    max_streams: Annotated[
        Count, Meta(description="live streams per process; more are refused with 529")
    ] = 10_000
    log_bytes_total: Annotated[
        Bytes,
        Meta(description="all logs of the process; memory is bounded before it is needed"),
    ] = 2 * GIB
    max_viewers: Annotated[Count, Meta(description="viewers per stream")] = 1_000
    retention_s: Annotated[
        SecondsOrZero,
        Meta(description="how long receipts and replays are kept after the end; then gone"),
    ] = 300.0

    def __post_init__(self) -> None:
        """Refuse what is out of range, and bounds that contradict each other."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        try:
            convert(values, _Ranges)
        except ValidationError as error:
            name = str(error).rpartition("$.")[2].rstrip("`")
            msg = f"{name}={values[name]}: {error}"
            raise ValueError(msg) from None
        if self.commit_s >= self.keep_alive_s:
            # Before the head there is no place for a keep-alive, so the wire would be silent.
            msg = f"commit_s={self.commit_s:g} must be less than keep_alive_s={self.keep_alive_s:g}"
            raise ValueError(msg)
        if self.linger_s > self.linger_s_max:
            msg = f"linger_s={self.linger_s:g} must not exceed linger_s_max={self.linger_s_max:g}"
            raise ValueError(msg)
        if self.event_bytes > self.stream_bytes:
            msg = f"event_bytes={self.event_bytes} must not exceed stream_bytes={self.stream_bytes}"
            raise ValueError(msg)


# The same fields without the checks above: what a value's own annotation allows, and no more.
_Ranges: Final = defstruct("_Ranges", [(field.name, field.type) for field in fields(Limits)])

DEFAULTS: Final = Limits()


def limits_of(given: object, default: Limits) -> Limits:
    """Check what somebody gave as limits; `default` where it is None.

    Raises:
        TypeError: it is anything else.
    """
    if given is None:
        return default
    if isinstance(given, Limits):
        return given
    msg = f"limits must be a finalstop.Limits, e.g. Limits(idle_s=60), not {type(given).__name__}"
    raise TypeError(msg)
