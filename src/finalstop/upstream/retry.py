"""Whether to ask again, and when: the retry policy of the official SDKs, within our window.

Pure: it knows what came of an attempt and what time it is, and nothing of sockets. Its one rule
beyond the SDKs' is that nobody waits in silence: a delay that does not fit before `retry_until` is
no delay at all, the answer is passed on at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from finalstop.core.endings import RETRYABLE_STATUSES, SERVER_ERROR, EndReason
from finalstop.upstream.contract import ResponseHead

# The SDKs' own backoff: doubling from half a second, up to 25 % off so that clients spread out.
BACKOFF_S: Final = 0.5
BACKOFF_S_MAX: Final = 8.0
JITTER_SHARE: Final = 0.25
# 0.5 s doubled this often is past the maximum, whatever `attempt` is.
DOUBLINGS_MAX: Final = 10

Outcome = ResponseHead | EndReason


def decide(
    *,
    attempt: int,
    attempts: int,
    outcome: Outcome,
    now: float,
    retry_until: float,
    jitter: float,
) -> float | None:
    """Seconds to wait before the next attempt; None to pass the outcome on.

    Args:
        attempt: how many attempts have been made; 1 after the first.
        attempts: at most this many, the first included.
        outcome: the head of a response, or the end reason of an attempt that got none.
        now: the loop's clock.
        retry_until: no attempt starts after this instant of the same clock.
        jitter: from [0, 1); chance is the caller's.
    """
    if attempt >= attempts or not _may_help(outcome):
        return None
    delay_s = _asked_s(outcome) or _backoff_s(attempt, jitter)
    return delay_s if now + delay_s <= retry_until else None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """What the upstream asks for, in seconds; None when it asks for nothing we understand.

    `retry-after-ms` wins over `retry-after` (RFC 9110 section 10.2.3). A date is read against the
    response's own `date`, so that no clock of ours is in it.
    """
    ms = _positive(headers.get("retry-after-ms", ""))
    if ms is not None:
        return ms / 1000
    after = headers.get("retry-after", "")
    return _positive(after) or _seconds_between(headers.get("date", ""), after)


def _may_help(outcome: Outcome) -> bool:
    """Statuses as in the SDKs; of the rest, only failures that happened before the request went."""
    if isinstance(outcome, EndReason):
        return outcome is EndReason.UNREACHABLE
    wish = outcome.headers.get("x-should-retry", "").lower()
    if wish in {"true", "false"}:
        return wish == "true"
    return outcome.status in RETRYABLE_STATUSES or outcome.status >= SERVER_ERROR


def _asked_s(outcome: Outcome) -> float | None:
    return None if isinstance(outcome, EndReason) else retry_after_s(outcome.headers)


def _backoff_s(attempt: int, jitter: float) -> float:
    doubled_s = BACKOFF_S * 2.0 ** min(attempt - 1, DOUBLINGS_MAX)
    return min(doubled_s, BACKOFF_S_MAX) * (1 - JITTER_SHARE * jitter)


def _positive(text: str) -> float | None:
    """A plain decimal number above zero: float() alone would take `inf`, `nan` and `1e9`."""
    digits = text.strip().replace(".", "", 1)
    if not (digits.isascii() and digits.isdigit()):
        return None
    return float(text) or None


def _seconds_between(sent: str, wanted: str) -> float | None:
    """The time between two HTTP dates, where both are dates and the second is the later."""
    try:
        apart_s = (parsedate_to_datetime(wanted) - parsedate_to_datetime(sent)).total_seconds()
    except (TypeError, ValueError):
        return None
    return apart_s if apart_s > 0 else None
