"""The one line per stream: the whole receipt, nothing of the question or the answer."""

import io
import json
import sys

import pytest
import structlog

from finalstop.core.endings import EndReason
from finalstop.core.lifecycle import Lifecycle
from finalstop.core.limits import Limits
from finalstop.core.receipt import Ended, Receipt
from finalstop.telemetry.logline import configure, ends
from tests.gateway.served import ASK, served
from tests.simulator.rawclient import MESSAGE

WITH_RECEIPT = {"event", "level", "timestamp", *Receipt.__struct_fields__}


@pytest.fixture(autouse=True)
def as_before():
    yield
    structlog.reset_defaults()


# the script, what the line says: reason, complete, party
ENDS = [
    ("text,words=5", "complete", True, "model"),
    ("fin@mid-text", "truncated", False, "upstream"),
    ("status-401", "upstream_error", False, "caller"),
    ("status-529", "upstream_error", False, "upstream"),
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("spec", "reason", "complete", "party"), ENDS)
async def test_every_stream_leaves_one_line_with_its_receipt(spec, reason, complete, party, stream):
    async with served() as gateway:
        reply = await gateway.post("/v1/messages", ASK | {"stream": stream}, f"x-simulator: {spec}")
        (line,) = gateway.lines
        assert line["event"] == "stream_ended"
        assert (line["reason"], line["complete"], line["party"]) == (reason, complete, party)
        assert set(line) == WITH_RECEIPT
        id = reply.headers["finalstop-stream-id"]
        kept = (await gateway.get(f"/streams/{id}/receipt")).json
        assert {name: line[name] for name in kept} == kept


async def test_what_is_no_stream_leaves_no_line():
    async with served() as gateway:
        await gateway.get("/healthz")
        await gateway.get("/v1/models")
        await gateway.get("/nope")
        await gateway.post("/v1/messages", [])
        assert gateway.lines == []


async def test_no_line_holds_the_question_or_the_answer():
    async with served() as gateway:
        reply = await gateway.post("/v1/messages", ASK, "x-simulator: text,words=30")
        words = reply.json["content"][0]["text"].split()
        log = gateway.log.getvalue()
        assert MESSAGE["content"] not in log
        assert " ".join(words[:3]) not in log


ENDED = Lifecycle("s", Limits(), now=0.0).end(EndReason.STOPPED, now=1.0)[-1]
assert isinstance(ENDED, Ended)


def test_for_a_machine_a_line_is_json():
    kept = io.StringIO()
    configure(json=True, stream=kept)
    ends()(ENDED)
    line = json.loads(kept.getvalue())
    assert (line["event"], line["level"], line["reason"]) == ("stream_ended", "info", "stopped")
    assert line["timestamp"].endswith("Z")


def test_for_a_person_a_line_is_words():
    kept = io.StringIO()
    configure(json=False, stream=kept)
    ends()(ENDED)
    assert "stream_ended" in kept.getvalue()
    assert "stopped" in kept.getvalue()
    assert not kept.getvalue().startswith("{")


def test_lines_go_to_standard_error(capsys):
    configure(json=True, stream=sys.stderr)
    ends()(ENDED)
    said = capsys.readouterr()
    assert "stream_ended" in said.err
    assert said.out == ""


def test_standard_error_is_the_default(capsys):
    configure(json=True)
    ends()(ENDED)
    assert "stream_ended" in capsys.readouterr().err


def test_what_is_for_debugging_only_is_not_written():
    kept = io.StringIO()
    configure(json=True, stream=kept)
    structlog.get_logger("x").debug("detail")
    assert kept.getvalue() == ""
