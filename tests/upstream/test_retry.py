"""The retry policy, row by row. Pure: time and chance are arguments."""

import pytest

from finalstop.core.endings import EndReason
from finalstop.upstream.contract import ResponseHead
from finalstop.upstream.retry import BACKOFF_S_MAX, decide, retry_after_s

SENT = "Wed, 21 Oct 2026 07:28:00 GMT"
LATER = "Wed, 21 Oct 2026 07:28:03 GMT"


def head(status, **headers):
    return ResponseHead(status, {name.replace("_", "-"): value for name, value in headers.items()})


def delay(outcome, *, attempt=1, attempts=3, now=100.0, retry_until=200.0, jitter=0.0):
    return decide(
        attempt=attempt, attempts=attempts, outcome=outcome, now=now, retry_until=retry_until,
        jitter=jitter,
    )  # fmt: skip


# outcome,                                                    delay in seconds
OUTCOMES = [
    (EndReason.UNREACHABLE,                                    0.5),
    (EndReason.TRUNCATED,                                      None),
    (EndReason.UPSTREAM_INVALID,                               None),
    (head(200),                                                None),
    (head(307),                                                None),
    (head(400),                                                None),
    (head(401),                                                None),
    (head(408),                                                0.5),
    (head(409),                                                0.5),
    (head(413),                                                None),
    (head(422),                                                None),
    (head(429),                                                0.5),
    (head(500),                                                0.5),
    (head(503),                                                0.5),
    (head(529),                                                0.5),
    (head(529, x_should_retry="false"),                        None),
    (head(429, x_should_retry="false", retry_after="1"),       None),
    (head(400, x_should_retry="true"),                         0.5),
    (head(400, x_should_retry="TRUE"),                         0.5),
    (head(400, x_should_retry="maybe"),                        None),
    (head(529, x_should_retry="maybe"),                        0.5),
    (head(429, retry_after="3"),                               3.0),
    (head(429, retry_after="0"),                               0.5),
    (head(429, retry_after_ms="1500", retry_after="7"),        1.5),
    (head(400, retry_after="3"),                               None),
]  # fmt: skip


@pytest.mark.parametrize(("outcome", "expected"), OUTCOMES)
def test_what_came_of_an_attempt_decides_whether_another_may_help(outcome, expected):
    assert delay(outcome) == expected


# attempt, attempts, delay: no attempt beyond the allowed ones
ATTEMPTS = [(1, 1, None), (1, 2, 0.5), (2, 2, None), (2, 3, 1.0), (3, 9, 2.0), (4, 9, 4.0),
            (5, 9, 8.0), (6, 9, 8.0), (5000, 9999, 8.0)]  # fmt: skip


@pytest.mark.parametrize(("attempt", "attempts", "expected"), ATTEMPTS)
def test_the_backoff_doubles_up_to_its_maximum_and_attempts_run_out(attempt, attempts, expected):
    assert delay(head(529), attempt=attempt, attempts=attempts) == expected


@pytest.mark.parametrize(("jitter", "expected"), [(0.0, 0.5), (0.5, 0.4375), (0.999, 0.375125)])
def test_chance_takes_at_most_a_quarter_off(jitter, expected):
    assert delay(head(529), jitter=jitter) == pytest.approx(expected)


def test_what_the_upstream_asks_for_is_not_shortened_by_chance():
    assert delay(head(429, retry_after="3"), jitter=0.9) == 3.0


# time left in the window, what the upstream asks for, delay
WINDOWS = [(0.5, "", 0.5), (0.49, "", None), (3.0, "3", 3.0), (2.9, "3", None), (-1.0, "", None)]


@pytest.mark.parametrize(("left_s", "after", "expected"), WINDOWS)
def test_no_wait_goes_beyond_the_window(left_s, after, expected):
    assert delay(head(429, retry_after=after), now=100.0, retry_until=100.0 + left_s) == expected


# headers, seconds
AFTER = [
    ({}, None),
    ({"retry-after": "2"}, 2.0),
    ({"retry-after": " 2.5 "}, 2.5),
    ({"retry-after": "0"}, None),
    ({"retry-after": "-2"}, None),
    ({"retry-after": "inf"}, None),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "1e3"}, None),
    ({"retry-after": "."}, None),
    ({"retry-after": "soon"}, None),
    ({"retry-after": "\u0664"}, None),
    ({"retry-after-ms": "250"}, 0.25),
    ({"retry-after-ms": "bad", "retry-after": "2"}, 2.0),
    ({"retry-after": LATER, "date": SENT}, 3.0),
    ({"retry-after": SENT, "date": LATER}, None),
    ({"retry-after": LATER}, None),
    ({"retry-after": "soon", "date": SENT}, None),
    ({"retry-after": "Wed, 21 Oct 2026 07:28:03 -0000", "date": SENT}, None),
]


@pytest.mark.parametrize(("headers", "expected"), AFTER)
def test_retry_after_is_read_in_every_form_and_never_believed_blindly(headers, expected):
    assert retry_after_s(headers) == expected


def test_the_longest_backoff_is_what_the_sdks_use():
    assert BACKOFF_S_MAX == 8.0
