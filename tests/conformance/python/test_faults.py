"""Whatever goes wrong upstream, the official Python SDK neither hangs nor believes half an answer.

The cells, and how each must end, are those of `tests/faults/table.py`. Here the question is what
the program sees: a whole answer exactly where the stream is complete, and an exception of the SDK
everywhere else, of the class that its status or type deserves, never a bare transport error.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import anthropic
import pytest

from finalstop.core.endings import ENDINGS, EndReason
from tests.conformance.python.ways import (
    asked,
    async_client,
    helper,
    is_whole,
    raw,
    sync_client,
    sync_helper,
    sync_raw,
    whole,
)
from tests.faults.table import BOUNDS, EXPECTED, PATIENT, TIMED, spec_of
from tests.gateway.running import running

AT_ONCE = 40
HANG_S = 15.0
# Few words, so that the SDK's own work does not become the test.
WORDS = ",words=24"
# Many threads and one loop share the machine here: what connects slowly is not unreachable.
CONNECT = {"connect_s": 5.0, "first_content_s": 3.0, "idle_s": 2.0, "commit_s": 4.0}
CALM_LIMITS = {**PATIENT, **CONNECT}

# What the SDK itself makes of it, from whomever it comes: its helper reads tool input while it
# arrives, and 500 KiB of what is no JSON anger it before our error does.
SDK_RAISES_FIRST = {("flood", "mid-tool-json"): ValueError}

# The class that the SDK has for a status. A 5xx without one of its own is an InternalServerError.
CLASS_OF = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    409: anthropic.ConflictError,
    422: anthropic.UnprocessableEntityError,
    429: anthropic.RateLimitError,
}

CELLS = [
    (fault, phase)
    for fault, row in EXPECTED.items()
    for phase in row
    if phase != "before-dial"  # no simulator to ask; see test_an_unreachable_upstream_raises
]
CALM = [cell for cell in CELLS if cell[0] not in TIMED]
SILENT = [cell for cell in CELLS if cell[0] in TIMED]
ONE_EACH = [next(cell for cell in CELLS if cell[0] == fault) for fault, _ in dict(CELLS).items()]


@pytest.mark.slow
@pytest.mark.parametrize("way", [helper, raw, whole])
async def test_a_complete_answer_is_whole_and_every_failure_raises(way):
    for cells, limits in ((SILENT, CONNECT), (CALM, CALM_LIMITS)):
        async with running(**BOUNDS, **limits) as gateway:
            wrong = await _all_async(gateway, way, cells)
        assert wrong == []


@pytest.mark.slow
async def test_a_sync_program_sees_the_same():
    async with running(**BOUNDS, **CALM_LIMITS) as gateway:
        cells = [cell for cell in ONE_EACH if cell[0] not in TIMED]
        wrong = await _all_sync(gateway, list(product((sync_helper, sync_raw), cells)))
    assert wrong == []


@pytest.mark.slow
async def test_a_sync_program_is_not_kept_waiting_by_silence():
    async with running(**BOUNDS, **CONNECT) as gateway:
        wrong = await _all_sync(gateway, list(product((sync_helper, sync_raw), SILENT)))
    assert wrong == []


async def test_an_unreachable_upstream_raises():
    async with (
        running(upstream="http://127.0.0.1:9") as gateway,
        async_client(gateway.url) as client,
    ):
        for way in (helper, raw, whole):
            with pytest.raises(anthropic.InternalServerError) as raised:
                await way(client, asked("text"))
            assert raised.value.status_code == 502
            assert "[finalstop: unreachable" in raised.value.message


def script_of(cell):
    spec = spec_of(*cell)
    return spec if "words=" in spec else spec + WORDS


# -- running the cells ----------------------------------------------------------------------------


async def _all_async(gateway, way, cells):
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(client, cell):
        async with turns, asyncio.timeout(HANG_S):
            return await way(client, asked(script_of(cell)))

    async with async_client(gateway.url) as client:
        outcomes = await asyncio.gather(  # noqa: TID251 # what each raises is what we want to see
            *(one(client, cell) for cell in cells), return_exceptions=True
        )
    return _wrong(gateway, zip(cells, outcomes, strict=True), streamed=way is not whole)


async def _all_sync(gateway, rounds):
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(AT_ONCE) as threads, sync_client(gateway.url) as client:
        futures = [
            loop.run_in_executor(threads, way, client, asked(script_of(cell)))
            for way, cell in rounds
        ]
        async with asyncio.timeout(2 * HANG_S):
            outcomes = await asyncio.gather(*futures, return_exceptions=True)  # noqa: TID251
    cells = [cell for _, cell in rounds]
    return _wrong(gateway, zip(cells, outcomes, strict=True), streamed=True)


# -- judging them ---------------------------------------------------------------------------------


def _wrong(gateway, outcomes, *, streamed):
    receipts = {ended.receipt.stream: ended.receipt for ended in gateway.ended}
    return [
        f"{'@'.join(cell)}: {complaint}"
        for cell, outcome in outcomes
        for complaint in _complaints(cell, outcome, receipts, streamed=streamed)
    ]


def _complaints(cell, outcome, receipts, *, streamed):
    fault, phase = cell
    expected = EXPECTED[fault][phase]
    if not isinstance(outcome, BaseException):
        if expected.reason is not EndReason.COMPLETE:
            yield "it returned, as if the answer were whole"
        elif not is_whole(outcome.said):
            yield f"what it returned is not whole: {outcome.said}"
    elif isinstance(outcome, SDK_RAISES_FIRST.get(cell, ())):
        return
    elif not isinstance(outcome, anthropic.APIStatusError):
        yield f"it raised {outcome!r}, which is no APIStatusError"
    elif expected.reason is EndReason.COMPLETE:
        yield f"it raised {outcome!r}, though the answer is complete"
    else:
        yield from _about_the_error(outcome, expected, receipts, streamed=streamed)


def _about_the_error(error, expected, receipts, *, streamed):
    receipt = receipts[error.response.headers["finalstop-stream-id"]]
    said = error.body["finalstop"]["reason"]
    if not said == receipt.reason == expected.reason:
        yield f"reason: {said}, {receipt.reason}, {expected.reason}"
    if expected.reason is not EndReason.UPSTREAM_ERROR:
        row = ENDINGS[expected.reason]
        if error.type != row.error_type or error.status_code not in {200, row.status}:
            yield f"it is a {error.type} with {error.status_code}"
    if not streamed and error.status_code == 200:
        yield "an answer that is not streamed failed with 200"
    if streamed and expected.status is not None and error.status_code != expected.status:
        yield f"status {error.status_code}, not {expected.status}"
    if error.status_code != 200 and not isinstance(error, _class_of(error.status_code)):
        yield f"{error.status_code} is a {type(error).__name__}"
    if error.request_id != receipt.request_id:
        yield f"request id {error.request_id}, not {receipt.request_id}"
    if not error.type or not error.api_message:
        yield "it does not say what it is"


def _class_of(status):
    if status >= 500:
        return anthropic.InternalServerError
    return CLASS_OF.get(status, anthropic.APIStatusError)
