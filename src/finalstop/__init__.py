"""finalstop: every Claude stream ends. Exactly once. In bounded time. And says why.

The front door. What is named here is public and documented in docs/reference/library.md; nothing
else is. Importing it starts nothing and pulls in no server, framework or SDK.
"""

from finalstop.core.endings import EndReason, Party, Refusal
from finalstop.core.events import Deltas, Entry, Event
from finalstop.core.limits import Limits
from finalstop.core.receipt import Ended, Receipt, Timings, Usage, UsageStatus
from finalstop.guarded import StreamError, guard
from finalstop.log.contract import UnknownStreamError
from finalstop.log.memory import MemoryLog
from finalstop.runtime.intake import UpstreamSource
from finalstop.runtime.relay import NotAcceptingError, Relay
from finalstop.runtime.sources import source_of
from finalstop.runtime.stream import Stream, TooManyViewersError
from finalstop.shared import drain_on_signals, shared_relay
from finalstop.upstream.contract import UpstreamRequest

__version__ = "0.1.0"

__all__ = [
    "Deltas",
    "EndReason",
    "Ended",
    "Entry",
    "Event",
    "Limits",
    "MemoryLog",
    "NotAcceptingError",
    "Party",
    "Receipt",
    "Refusal",
    "Relay",
    "Stream",
    "StreamError",
    "Timings",
    "TooManyViewersError",
    "UnknownStreamError",
    "UpstreamRequest",
    "UpstreamSource",
    "Usage",
    "UsageStatus",
    "__version__",
    "drain_on_signals",
    "guard",
    "shared_relay",
    "source_of",
]
