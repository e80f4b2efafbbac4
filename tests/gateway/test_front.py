"""The front: what is read from a request's own headers, and what an answer's headers say."""

import pytest
from aiohttp.test_utils import make_mocked_request

from finalstop.core.limits import Limits
from finalstop.gateway.errors import RequestError
from finalstop.gateway.front import LINGER_HEADER, linger_s
from tests.gateway.served import ASK, error_of, served

LIMITS = Limits(linger_s=1.5, linger_s_max=30.0)


def asking(value):
    return make_mocked_request("POST", "/v1/messages", headers={LINGER_HEADER: value})


@pytest.mark.parametrize(
    ("value", "seconds"), [("0", 0.0), ("30", 30.0), ("2.5", 2.5), (" 7 ", 7.0)]
)
def test_a_request_may_ask_for_a_linger_up_to_the_cap(value, seconds):
    assert linger_s(asking(value), LIMITS) == seconds


def test_a_request_that_does_not_ask_gets_the_default():
    assert linger_s(make_mocked_request("POST", "/"), LIMITS) == 1.5


@pytest.mark.parametrize("value", ["30.1", "-1", "nan", "inf", "-inf", "soon", "", "1s", "9" * 500])
def test_any_other_linger_is_refused_with_what_is_allowed(value):
    with pytest.raises(RequestError, match="must be 0 to 30 seconds") as raised:
        linger_s(asking(value), LIMITS)
    assert raised.value.status == 400
    assert len(raised.value.message) < 200


async def test_a_refused_linger_costs_no_upstream_call():
    async with served() as gateway:
        reply = await gateway.post("/v1/messages", ASK, f"{LINGER_HEADER}: for ever")
        assert reply.status == 400
        assert LINGER_HEADER in error_of(reply)[1]
        assert gateway.simulator.calls == []


@pytest.mark.parametrize("path", ["/v1/messages", "/stream-claude"])
@pytest.mark.parametrize("spec", ["text,words=3", "status-401", "fin@mid-text"])
async def test_every_answer_about_a_stream_says_which_and_where_its_receipt_is(path, spec):
    async with served() as gateway:
        reply = await gateway.post(path, ASK | {"stream": True}, f"x-simulator: {spec}")
        stream = reply.headers["finalstop-stream-id"]
        assert len(stream) == 32
        assert int(stream, 16)
        assert reply.headers["link"] == f'</streams/{stream}/receipt>; rel="receipt"'
        assert reply.headers["request-id"].startswith("req_")
        assert (await gateway.get(f"/streams/{stream}/receipt")).json["stream"] == stream
