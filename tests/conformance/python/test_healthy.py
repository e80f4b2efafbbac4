"""A healthy answer through the gateway is, to the official Python SDK, the API's own answer.

Each call is made twice: of the simulator, and of a gateway in front of the same simulator. What
the SDK hands to its program must be equal, deeply.
"""

import asyncio
from importlib.metadata import version

import anthropic
import pytest
import pytest_asyncio

from finalstop.simulator.catalogue import Kind, names
from tests.conformance.python.ways import (
    ASYNC_STREAMS,
    MESSAGE,
    SYNC_STREAMS,
    asked,
    async_client,
    helper,
    raw,
    sync_client,
    sync_whole,
    whole,
)
from tests.gateway.running import running

# The SDK puts a long answer together in quadratic time; a short one shows the same.
ANSWERS = ["long,bytes=4096" if name == "long" else name for name in names(Kind.ANSWER)]
# A Message is put together by us when no stream was asked for. What we do not know we do not
# guess at: the call fails and says what it was (docs/reference/endings.md).
NOT_ADDED_UP = {"unknown-events"}
# What the SDK cannot read when it comes from the API (see tests/simulator/test_sdk.py).
FORMS = [name for name in names(Kind.FORM) if name not in {"bom", "no-event-names"}]
TOUCH = ",words=30,pace_ms=1,hold_s=0.02"


@pytest_asyncio.fixture
async def gateway():
    async with running(connect_s=5.0) as it:
        yield it


@pytest_asyncio.fixture
async def there(gateway):
    async with async_client(gateway.url) as client:
        yield client


@pytest_asyncio.fixture
async def here(gateway):
    async with async_client(gateway.simulator.url) as client:
        yield client


def test_the_sdk_is_the_one_that_the_facts_are_about():
    assert version("anthropic").split(".")[0] == "2"


@pytest.mark.slow
@pytest.mark.parametrize("way", ASYNC_STREAMS)
async def test_every_answer_is_streamed_as_the_api_streams_it(there, here, way):
    ask = ASYNC_STREAMS[way]
    for name in ANSWERS:
        relayed, direct = await ask(there, asked(name)), await ask(here, asked(name))
        assert relayed.said == direct.said, name


@pytest.mark.slow
@pytest.mark.parametrize("way", SYNC_STREAMS)
async def test_every_answer_is_streamed_to_a_sync_program_too(gateway, way):
    ask = SYNC_STREAMS[way]

    def compare():
        with sync_client(gateway.url) as there, sync_client(gateway.simulator.url) as here:
            for name in ANSWERS:
                assert ask(there, asked(name)).said == ask(here, asked(name)).said, name

    await asyncio.to_thread(compare)


@pytest.mark.slow
@pytest.mark.parametrize("way", [helper, raw, whole])
async def test_the_beta_api_is_relayed_like_the_other(there, here, way):
    for name in ANSWERS:
        if way is whole and name in NOT_ADDED_UP:
            continue
        relayed = await way(there, asked(name), beta=True)
        direct = await way(here, asked(name), beta=True)
        assert relayed.said == (_signed(direct.said) if way is whole else direct.said), name


@pytest.mark.slow
async def test_every_answer_that_is_not_streamed_is_the_same_message(gateway, there, here):
    for name in set(ANSWERS) - NOT_ADDED_UP:
        relayed, direct = await whole(there, asked(name)), await whole(here, asked(name))
        assert relayed.said == _signed(direct.said), name
        with sync_client(gateway.url) as client:
            synced = await asyncio.to_thread(sync_whole, client, asked(name))
        assert synced.said == relayed.said, name


def _signed(message):
    """With the name of the model that spoke in the end, as the SDK's beta helper signs it.

    The simulator's own Message keeps the name that was asked for.
    """
    switches = [block for block in message["content"] if block["type"] == "fallback"]
    return message | {"model": switches[-1]["to"]["model"]} if switches else message


async def test_what_cannot_be_added_up_raises_and_is_named(there):
    with pytest.raises(anthropic.InternalServerError, match="_delta") as raised:
        await whole(there, asked("unknown-events"))
    assert raised.value.status_code == 502


@pytest.mark.slow
async def test_unusual_bytes_make_no_difference(there, here):
    for form in FORMS:
        relayed = await helper(there, asked(form + TOUCH))
        direct = await helper(here, asked(form + TOUCH))
        assert relayed.said == direct.said, form


@pytest.mark.parametrize("form", ["bom", "no-event-names"])
async def test_what_the_sdk_cannot_read_it_can_read_through_the_gateway(there, here, form):
    expected = (await helper(here, asked("text" + TOUCH))).said
    relayed = (await helper(there, asked(form + TOUCH))).said
    assert relayed["content"] == expected["content"]
    assert relayed["usage"] == expected["usage"]


@pytest.mark.parametrize("way", [*ASYNC_STREAMS.values(), whole])
async def test_the_request_id_of_the_api_is_the_one_that_the_program_sees(gateway, there, way):
    heard = await way(there, asked("text,words=5"))
    (ended,) = gateway.ended
    assert heard.request_id == ended.receipt.request_id
    assert heard.request_id.startswith("req_")


async def test_tokens_are_counted_and_models_are_listed(there, here):
    for client in (there, here):
        counted = await client.messages.count_tokens(model="m", messages=[MESSAGE])
        assert counted.input_tokens > 5
    relayed = [model.to_dict() async for model in there.models.list(limit=3)]
    assert relayed == [model.to_dict() async for model in here.models.list(limit=3)]
    one = await there.models.retrieve("claude-sonnet-5")
    assert one._request_id.startswith("req_")
    with pytest.raises(anthropic.NotFoundError):
        await there.models.retrieve("claude-unheard-of")


async def test_what_the_sdk_says_about_itself_reaches_the_api_where_the_api_needs_it(
    gateway, there
):
    extra = {"extra_headers": {"anthropic-beta": "one-2026,two-2026"}}
    await helper(there, asked("text,words=3", **extra))
    await helper(there, asked("text,words=3", betas=["three-2026"]), beta=True)
    plain, beta = gateway.calls
    assert plain.headers["anthropic-beta"] == "one-2026,two-2026"
    assert "three-2026" in beta.headers["anthropic-beta"]
    assert plain.headers["anthropic-version"] == beta.headers["anthropic-version"] == "2026-10-21"
    assert plain.key_present


@pytest.mark.slow
async def test_an_upstream_that_never_closes_ends_at_once(there):
    for spec in ("never-closed", "never-closed-pings", "never-closed-events"):
        for way in (helper, raw, whole):
            async with asyncio.timeout(1.0):
                heard = await way(there, asked(spec))
            assert "end_turn" in str(heard)  # as the Message says it, or the last message_delta
