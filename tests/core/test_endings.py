"""The table of endings: closed, spelled once, and what follows from each row."""

from __future__ import annotations

import pytest

from finalstop.core.endings import (
    ENDINGS,
    ERROR_STATUS,
    ERROR_TYPE,
    RETRY_AFTER_S,
    WHOLE_STOP_REASONS,
    EndReason,
    Party,
    Refusal,
    error_type_of,
    party_of,
    retry_after_s_of,
)

# The spelling is a promise to dashboards and to code of others: this column is pinned, not derived.
# reason, party, status before the head, error.type, retryable
ROWS = [
    ("complete", "model", 200, "", False),
    ("upstream_error", "upstream", 502, "api_error", True),
    ("upstream_invalid", "upstream", 502, "api_error", False),
    ("truncated", "upstream", 502, "api_error", True),
    ("unreachable", "upstream", 502, "api_error", True),
    ("first_content_timeout", "upstream", 504, "timeout_error", True),
    ("idle_timeout", "upstream", 504, "timeout_error", True),
    ("deadline", "relay", 504, "timeout_error", False),
    ("too_large", "relay", 502, "api_error", False),
    ("stopped", "caller", 409, "conflict_error", False),
    ("abandoned", "caller", 499, "api_error", False),
    ("draining", "operator", 503, "overloaded_error", True),
    ("owner_lost", "relay", 503, "api_error", True),
    ("log_failed", "relay", 503, "api_error", True),
    ("internal_error", "relay", 500, "api_error", False),
]


@pytest.mark.parametrize(("reason", "party", "status", "error_type", "retryable"), ROWS)
def test_what_follows_from_an_end_reason(reason, party, status, error_type, retryable):
    row = ENDINGS[EndReason(reason)]
    assert (row.party, row.status, row.error_type, row.retryable) == (
        party, status, error_type, retryable,
    )  # fmt: skip


def test_the_set_of_end_reasons_is_closed_and_each_has_one_row_in_the_same_order():
    assert [str(reason) for reason in EndReason] == [row[0] for row in ROWS]
    assert list(ENDINGS) == list(EndReason)


def test_the_parties_are_spelled_so_and_each_ends_something():
    assert [str(party) for party in Party] == ["model", "upstream", "caller", "relay", "operator"]
    assert {row.party for row in ENDINGS.values()} == set(Party)


@pytest.mark.parametrize("reason", EndReason)
def test_every_row_speaks_to_a_person(reason):
    row = ENDINGS[reason]
    assert row.says.endswith(".")
    assert row.trigger
    assert not row.trigger.endswith(".")


@pytest.mark.parametrize("reason", [it for it in EndReason if it is not EndReason.COMPLETE])
def test_every_failure_has_an_error_status_and_an_error_type_the_api_knows(reason):
    assert ENDINGS[reason].status >= 400
    assert ENDINGS[reason].error_type in ERROR_STATUS


def test_no_two_endings_say_the_same():
    assert len({row.says for row in ENDINGS.values()}) == len(ENDINGS)
    assert len({row.trigger for row in ENDINGS.values()}) == len(ENDINGS)


def test_an_answer_is_whole_only_when_the_model_was_done():
    assert {"end_turn", "stop_sequence", "tool_use"} == WHOLE_STOP_REASONS


# -- the upstream's own errors --------------------------------------------------------------------

# Messages API reference, errors.
API_ERRORS = [
    (400, "invalid_request_error"),
    (401, "authentication_error"),
    (402, "billing_error"),
    (403, "permission_error"),
    (404, "not_found_error"),
    (409, "conflict_error"),
    (413, "request_too_large"),
    (429, "rate_limit_error"),
    (500, "api_error"),
    (504, "timeout_error"),
    (529, "overloaded_error"),
]


def test_the_apis_error_types_and_statuses_are_one_to_one():
    assert sorted((status, type_) for type_, status in ERROR_STATUS.items()) == API_ERRORS
    assert sorted(ERROR_TYPE.items()) == API_ERRORS


# Statuses that have no type of their own fall back by class.
UNTYPED = [(405, "invalid_request_error"), (408, "timeout_error"), (422, "invalid_request_error"),
           (501, "api_error"), (503, "api_error")]  # fmt: skip


@pytest.mark.parametrize(("status", "type_"), [*API_ERRORS, *UNTYPED])
def test_a_status_that_came_without_a_type_gets_one(status, type_):
    assert error_type_of(status) == type_


# status, x-should-retry, retryable
RETRIES = [
    (400, None, False),
    (401, None, False),
    (408, None, True),
    (409, None, True),
    (413, None, False),
    (429, None, True),
    (499, None, False),
    (500, None, True),
    (503, None, True),
    (529, None, True),
    (429, False, False),  # a spend limit is a 429 too; only the upstream knows
    (529, False, False),
    (400, True, True),
]


@pytest.mark.parametrize(("status", "should_retry", "retryable"), RETRIES)
def test_the_upstreams_own_word_on_retrying_wins_over_the_status(status, should_retry, retryable):
    assert Refusal(status, {}, should_retry=should_retry).retryable is retryable


PARTIES = [(400, "caller"), (429, "caller"), (499, "caller"), (500, "upstream"), (529, "upstream")]


@pytest.mark.parametrize(("status", "party"), PARTIES)
def test_a_refusal_of_class_4xx_is_the_callers_to_mend(status, party):
    assert party_of(EndReason.UPSTREAM_ERROR, Refusal(status, {})) == party


@pytest.mark.parametrize("reason", EndReason)
def test_without_a_refusal_the_party_is_the_tables(reason):
    assert party_of(reason, None) is ENDINGS[reason].party


@pytest.mark.parametrize("reason", EndReason)
def test_only_a_server_that_goes_away_or_a_full_log_says_when_to_come_back(reason):
    expect = RETRY_AFTER_S if reason in {EndReason.DRAINING, EndReason.LOG_FAILED} else None
    assert retry_after_s_of(reason, None) == expect


@pytest.mark.parametrize("retry_after_s", [None, 0.0, 2.5])
def test_the_upstreams_retry_after_is_passed_on_as_it_is(retry_after_s):
    refusal = Refusal(429, {}, retry_after_s=retry_after_s)
    assert retry_after_s_of(EndReason.UPSTREAM_ERROR, refusal) == retry_after_s
