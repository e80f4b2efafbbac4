"""The official TypeScript SDK, newest and unmodified, through `/v1/messages`.

A complete answer is complete and the same as without us; every failure raises, whichever way a
program asks; nothing hangs.
"""

from __future__ import annotations

from typing import Any

import pytest

from finalstop.core.endings import EndReason
from finalstop.simulator.catalogue import Kind, names
from tests.conformance.typescript.sdk import WAYS, Case, Went, go
from tests.faults.table import BOUNDS, EXPECTED, PATIENT, TIMED, spec_of
from tests.gateway.running import Running, running

# The first of them may have to install the SDK.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

STREAMED = ("helper", "loop", "raw")
CALMLY: dict[str, Any] = dict(PATIENT)


def without_us(gateway: Running) -> str:
    """The URL of the simulator itself."""
    assert gateway.simulator is not None
    url: str = gateway.simulator.url
    return url


# --- healthy answers -------------------------------------------------------------------------

ANSWERS = names(Kind.ANSWER)
# An unknown delta cannot be put together, and a Message without it would be a lie. (A switch of the
# gateway passes such requests on as they are.)
NOT_PUT_TOGETHER = "unknown-events"


async def test_every_healthy_answer_is_the_same_as_without_us():
    async with running(**CALMLY) as gateway:
        straight, through = (
            [Case(url, spec, way, keep=True) for spec in ANSWERS for way in STREAMED]
            for url in (without_us(gateway), gateway.url)
        )
        went = await go([*straight, *through])
    before, after = went[: len(straight)], went[len(straight) :]
    wrong = [
        f"{case.spec} {case.way}: {one} became {other}"
        for case, one, other in zip(through, before, after, strict=True)
        if other.outcome != "complete" or (one.message, one.events) != (other.message, other.events)
    ]
    assert not wrong, "\n".join(wrong)


async def test_a_message_asked_for_whole_is_the_one_the_helper_puts_together():
    specs = [name for name in ANSWERS if name != NOT_PUT_TOGETHER]
    async with running(**CALMLY) as gateway:
        helper = await go([Case(without_us(gateway), it, "helper", keep=True) for it in specs])
        create = await go([Case(gateway.url, it, "create", keep=True) for it in specs])
    wrong = [
        f"{spec}: {one} is not {other}"
        for spec, one, other in zip(specs, helper, create, strict=True)
        if other.outcome != "complete" or other.message != without_sugar(one.message)
    ]
    assert not wrong, "\n".join(wrong)


def without_sugar(message: Any) -> Any:
    """The helper's message without the `parsed_output` that it adds and no wire ever carries."""
    match message:
        case dict():
            return {k: without_sugar(v) for k, v in message.items() if k != "parsed_output"}
        case list():
            return [without_sugar(it) for it in message]
        case _:
            return message


async def test_what_cannot_be_put_together_raises_and_is_named():
    async with running(**CALMLY) as gateway:
        [went] = await go([Case(gateway.url, NOT_PUT_TOGETHER, "create")])
    assert (went.outcome, went.error["status"]) == ("raised", 502)
    assert "hologram_delta" in went.error["message"]


async def test_unusual_bytes_of_a_healthy_answer_reach_the_sdk_as_the_plain_ones():
    specs = [f"{name},words=20,pace_ms=1,hold_s=0.02" for name in ("text", *names(Kind.FORM))]
    async with running(**CALMLY) as gateway:
        went = await go([Case(gateway.url, spec, "raw", keep=True) for spec in specs])
    plain, *formed = [known_events(it) for it in went]
    wrong = [spec for spec, it in zip(specs[1:], formed, strict=True) if it != plain]
    assert not wrong
    assert plain[-1]["type"] == "message_stop"


def known_events(went: Went) -> list[dict[str, Any]]:
    """The events but the first, which names the request, and but the one of an unknown type."""
    assert went.events is not None, went
    return [event for event in went.events[1:] if event["type"] != "weather_report"]


# --- faults ----------------------------------------------------------------------------------

# What happens before there is a connection has no simulator to ask for it.
CELLS = [
    (fault, phase) for fault, row in EXPECTED.items() for phase in row if phase != "before-dial"
]
CALM = [cell for cell in CELLS if cell[0] not in TIMED]
SILENT = [cell for cell in CELLS if cell[0] in TIMED]
# All at once on two cores: no limit may run out because the machine is busy.
CALM_LIMITS = {**PATIENT, "connect_s": 5.0}
SILENT_LIMITS = {"connect_s": 5.0, "first_content_s": 3.0, "idle_s": 2.0, "commit_s": 4.0}


@pytest.mark.parametrize(
    ("cells", "limits"), [(CALM, CALM_LIMITS), (SILENT, SILENT_LIMITS)], ids=["calm", "silent"]
)
async def test_what_is_whole_is_complete_and_every_failure_raises_whichever_way_one_asks(
    cells: list[tuple[str, str]], limits: dict[str, Any]
):
    asked = [(cell, way) for cell in cells for way in WAYS]
    bounded: dict[str, Any] = {**BOUNDS, **limits}
    async with running(**bounded) as gateway:
        went = await go([Case(gateway.url, spec_of(*cell), way) for cell, way in asked])
    wrong = [
        f"{spec_of(*cell)} {way}: {it}"
        for (cell, way), it in zip(asked, went, strict=True)
        if not is_as_promised(cell, way, it)
    ]
    assert not wrong, "\n".join(wrong)


def is_as_promised(cell: tuple[str, str], way: str, went: Went) -> bool:
    """Complete, or raised with the reason; and with the true status where there can be one."""
    fault, phase = cell
    reason, status = EXPECTED[fault][phase]
    if reason is EndReason.COMPLETE:
        return went.outcome == "complete"
    if went.outcome != "raised" or went.error["reason"] != reason:
        return False
    if way == "create":
        return went.error["status"] is not None
    return status in {None, 200} or went.error["status"] == status


async def test_an_error_the_api_answered_with_is_the_same_class_as_without_us():
    # A proxy's page has no type to keep; a body that never comes has nothing.
    not_the_api = {"status-502", "status-503", "status-stall"}
    specs = [it for it in EXPECTED if it.startswith("status-") and it not in not_the_api]
    async with running(**CALMLY) as gateway:
        straight = await go([Case(without_us(gateway), spec, "raw") for spec in specs])
        through = await go([Case(gateway.url, spec, "raw") for spec in specs])
    assert [kind_of(it) for it in through] == [kind_of(it) for it in straight]
    assert len(specs) > 10


def kind_of(went: Went) -> tuple[Any, ...]:
    assert went.outcome == "raised", went
    return went.error["name"], went.error["status"], went.error["type"]


# --- the SDK's own retries -------------------------------------------------------------------

DEFAULTS: dict[str, Any] = {}
# How often the upstream is asked when the client has its default of two retries.
ATTEMPTS = [
    ("status-400", 1),
    ("status-401", 1),
    ("status-413", 1),
    ("status-429-spend", 1),
    ("status-429", 3),
    ("status-500", 3),
    ("status-529", 3),
    ("error-first", 3),
    ("no-head", 3),
    ("fin@mid-text", 1),
    ("rst@mid-text", 1),
    ("error-overloaded@mid-text", 1),
    ("stall@mid-text", 1),
    ("text", 1),
    ("never-closed", 1),
]
WHOLE = {"text", "never-closed"}
QUICK = "words=20,pace_ms=1"


async def test_with_its_default_retries_the_sdk_tries_again_only_before_the_answer():
    # A seed of their own, so that the simulator's records of these calls are told from all others.
    specs = [f"{name},seed=7,{QUICK}" for name, _ in ATTEMPTS]
    async with running(commit_s=4.0, first_content_s=1.5, idle_s=1.5) as gateway:
        went = await go([Case(gateway.url, it, "helper", options=DEFAULTS) for it in specs])
        asked = [call.spec for call in gateway.calls]
    assert [(name, asked.count(f"{name},seed=7,{QUICK}")) for name, _ in ATTEMPTS] == ATTEMPTS
    complete = {
        name for (name, _), it in zip(ATTEMPTS, went, strict=True) if it.outcome == "complete"
    }
    assert complete == WHOLE


async def test_a_retry_of_the_sdk_meets_the_answer_that_is_then_whole():
    faults = ("status-529", "status-500", "error-first", "rst@before-head")
    async with running(**CALMLY) as gateway:
        cases = [
            Case(gateway.url, f"{it},times=1,{QUICK}", "raw", options=DEFAULTS) for it in faults
        ]
        went = await go(cases)
    assert [it.outcome for it in went] == ["complete"] * len(faults), went


# --- a busy reader ---------------------------------------------------------------------------

# How a program that is busy between two events learns of a failure. The helper's iterator drops an
# error that comes while nobody waits for the next event, with us or without us (SDK 1.12.0,
# lib/MessageStream); its finalMessage() still raises. It is the SDK's to mend. When this fails, it
# was mended.
BUSY = {"busy_raw": "raised", "busy_loop": "complete", "busy_loop_then_final": "raised"}


@pytest.mark.parametrize("fault", ["error-overloaded", "fin"])
async def test_a_busy_reader_learns_of_a_failure_from_the_raw_iterator_and_from_final_message(
    fault,
):
    async with running(**CALMLY) as gateway:
        went = await go([Case(gateway.url, f"{fault},{QUICK}", way) for way in BUSY])
    assert {way: it.outcome for way, it in zip(BUSY, went, strict=True)} == BUSY
