"""What was seen: raw facts with times, and no judgement.

The one place where the hands (probe, trials: I/O) and the head (findings, report: pure) meet.
Times are seconds since the exchange began, unless a name says otherwise. Nothing here may know how
the facts were got, nor what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Framing(StrEnum):
    """What says where a response's body ends (RFC 9112, section 6.3)."""

    NONE = "none"  # no body: HEAD, 204, 304
    CHUNKED = "chunked"
    LENGTH = "content-length"
    UNTIL_CLOSE = "until-close"  # HTTP/1.0, or neither header


class Ending(StrEnum):
    """How an exchange ended, as its socket saw it."""

    WHOLE = "whole"  # the framing said so: final chunk, or the length reached
    CLOSED = "closed"  # FIN ended an until-close body: nobody can tell whether it was whole
    CUT = "cut"  # FIN before the framing was satisfied, or before the head
    RESET = "reset"
    STILL_OPEN = "still-open"  # we stopped looking
    LEFT = "left"  # we left, as planned
    NO_CONNECTION = "no-connection"  # name, refusal, TLS or a connect timeout: `failure` says which
    NOT_HTTP = "not-http"  # what came was no HTTP/1.x response: `failure` says why


@dataclass(frozen=True, slots=True)
class Question:
    """One request, as it was sent. Header names are lower-case."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What one read brought of the body.

    `data` is freed of transfer and content coding and may be empty while a compressor holds back;
    `wire_bytes` is its size before content coding, chunk sizes not counted.
    """

    at_s: float
    data: bytes
    wire_bytes: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and all that came of it.

    `status` is None when no whole head came; `headers` keep their order, names are lower-case.
    `ended_s` is when it ended or, for STILL_OPEN, when we stopped looking. `failure` has the
    operating system's or parser's own words where there were any.
    """

    question: Question
    connected_s: float | None
    head_s: float | None
    status: int | None
    version: str
    headers: tuple[tuple[str, str], ...]
    framing: Framing
    arrivals: tuple[Arrival, ...]
    ending: Ending
    ended_s: float
    failure: str = ""

    @property
    def body(self) -> bytes:
        """All of the body that came."""
        return b"".join(arrival.data for arrival in self.arrivals)

    def header(self, name: str) -> str:
        """The first header of that (lower-case) name, or ""."""
        return next((value for key, value in self.headers if key == name), "")


class Step(StrEnum):
    """The requests that need no simulator. One exchange each."""

    ASK = "ask"  # the question itself, read to its end
    HEAD = "head"
    PREFLIGHT = "preflight"  # OPTIONS with an Origin
    LEAVE_BEFORE_HEAD = "leave-before-head"
    LEAVE_MID_STREAM = "leave-mid-stream"
    RECONNECT = "reconnect"  # GET with Last-Event-ID, as an EventSource does after the end
    IDLE = "idle"  # with --idle: the shortest silence that was cut, else the longest survived


class Case(StrEnum):
    """What the upstream does in a trial. The simulator's script of each is in `cases.py`."""

    HEALTHY = "healthy"
    NEVER_CLOSED = "never-closed"  # message_stop, and the body stays open
    NEVER_CLOSED_PINGS = "never-closed-pings"  # the same, with pings for ever
    STALL = "stall"  # silence mid-answer
    PINGS_ONLY = "pings-only"  # pings and nothing else, from mid-answer on
    NO_HEAD = "no-head"  # takes the request and says nothing
    TRUNCATED = "truncated"  # a proper end of body mid-answer
    RESET = "reset"  # a TCP reset mid-answer
    ERROR_FIRST = "error-first"  # an `error` event before any content
    ERROR_MIDWAY = "error-midway"
    RATE_LIMITED = "rate-limited"  # 429 with retry-after
    OVERLOADED = "overloaded"  # 529
    SLOW = "slow"  # long, healthy, with long gaps
    TOOLS_AND_THINKING = "tools-and-thinking"  # deltas that have no text
    LEAVE_MID_STREAM = "leave-mid-stream"  # we leave; does the upstream call end?
    LEAVE_BEFORE_HEAD = "leave-before-head"


@dataclass(frozen=True, slots=True)
class Call:
    """One call that the endpoint made to the simulator, in seconds since the exchange began.

    `closed_s` is when the endpoint closed it or, with `finished`, when the simulator had played all
    of its script, breaking off included; None when it was still open when we stopped looking.
    """

    began_s: float
    closed_s: float | None
    finished: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """One fault of the upstream, driven through the endpoint.

    `left_s` is when we left, for the cases in which we do. `survived` says whether the server's
    process was alive afterwards, None where it is not ours to watch. `said` is what the process
    wrote meanwhile (the last 2 KiB).
    """

    case: Case
    exchange: Exchange
    calls: tuple[Call, ...]
    left_s: float | None = None
    survived: bool | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """SIGTERM with a stream open. Times are seconds since the exchange began.

    `exited_s` is None when the process had to be killed; `status` is then None, too.
    """

    exchange: Exchange
    signalled_s: float
    exited_s: float | None
    status: int | None


@dataclass(frozen=True, slots=True)
class Untold:
    """Something that could not be told, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Observations:
    """All that was seen of one endpoint: the only input of `findings.examine`.

    `window_s` is how long an exchange without progress was watched before we called it open.
    `command` is the `--run` command, `sources` what of the person's program could be read (file
    name -> text): both only to tell the stack apart. `calls` are the upstream calls that a step
    brought about, where a simulator saw them. `idle_limit_s` is (survived, cut), cut being infinite
    where nothing was cut.
    """

    url: str
    window_s: float
    steps: Mapping[Step, Exchange]
    calls: Mapping[Step, tuple[Call, ...]] = field(default_factory=dict)
    trials: Mapping[Case, Trial] = field(default_factory=dict)
    shutdown: Shutdown | None = None
    idle_limit_s: tuple[float, float] | None = None
    command: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    untold: tuple[Untold, ...] = ()
