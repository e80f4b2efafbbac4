"""The official Python SDK takes the simulator for the API."""

import warnings

import anthropic
import pytest
import pytest_asyncio

from finalstop.simulator.catalogue import BY_NAME, Kind, names
from tests.simulator.rawclient import MESSAGE

ANSWERS = names(Kind.ANSWER)
# Block types that the SDK's own model of a Message does not know; it keeps them all the same.
UNKNOWN_TO_THE_SDK = {"unknown-events"}
# Forms that the SDK itself (2.12) cannot read, and why. A relay reads them all.
SDK_CANNOT = {
    "bom": "it does not strip a byte order mark, so the first event has no name",
    "no-event-names": "it drops events without a name",
}
ASK = {"max_tokens": 64, "messages": [MESSAGE]}


@pytest_asyncio.fixture
async def client(simulator):
    # Without TLS: reading the system's certificates for every test costs more than all the rest.
    plain_http = anthropic.DefaultAsyncHttpxClient(verify=False)
    async with anthropic.AsyncAnthropic(
        api_key="k", base_url=simulator.url, max_retries=0, timeout=5, http_client=plain_http
    ) as made:
        yield made


def plain(message):
    """The message as JSON, without what is not said. The SDK warns of blocks it does not know."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return _without_none(message.to_dict())


def _without_none(value):
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value] if isinstance(value, list) else value


async def streamed(client, spec):
    messages = client.beta.messages if spec.startswith("beta") else client.messages
    async with messages.stream(model=f"sim:{spec}", **ASK) as stream:
        return plain(await stream.get_final_message())


async def created(client, spec):
    messages = client.beta.messages if spec.startswith("beta") else client.messages
    return plain(await messages.create(model=f"sim:{spec}", **ASK))


@pytest.mark.parametrize("name", ANSWERS)
async def test_streamed_and_not_streamed_are_the_same_message(client, name):
    told, given = [await how(client, f"{name},bytes=4000") for how in (streamed, created)]
    if name == "beta-blocks":
        # A `fallback` block makes the SDK name the model that took over.
        told["model"] = given["model"]
    assert told == given


@pytest.mark.parametrize("name", [n for n in names(Kind.FORM) if n not in SDK_CANNOT])
async def test_every_form_is_read_as_the_plain_answer(client, name):
    touch = "words=30,pace_ms=0,hold_s=0.02"
    plain_answer = await streamed(client, f"text,{touch}")
    formed = await streamed(client, f"{name},{touch}")
    assert formed["content"] == plain_answer["content"]
    assert formed["usage"] == plain_answer["usage"]


@pytest.mark.parametrize("name", SDK_CANNOT)
async def test_what_the_sdk_cannot_read_is_still_so(client, name):
    with pytest.raises(AssertionError):
        await streamed(client, name)


@pytest.mark.parametrize(
    ("spec", "error", "kind"),
    [
        ("status-401", anthropic.AuthenticationError, "authentication_error"),
        ("status-429", anthropic.RateLimitError, "rate_limit_error"),
        ("status-529", anthropic.APIStatusError, "overloaded_error"),
        ("error-overloaded", anthropic.APIStatusError, "overloaded_error"),
        ("nonsense", anthropic.BadRequestError, "invalid_request_error"),
    ],
)
async def test_errors_are_the_errors_the_sdk_knows(client, spec, error, kind):
    with pytest.raises(error) as raised:
        await streamed(client, spec)
    assert raised.value.type == kind
    assert raised.value.request_id.startswith("req_")


async def test_the_sdks_own_retries_meet_a_healthy_answer(simulator, client):
    async with client.with_options(max_retries=2) as patient:
        message = await streamed(patient, "status-429,times=1,retry_after=0,words=12")
    assert len(message["content"][0]["text"].split()) == 12
    assert [call.spec for call in simulator.calls] == [
        "status-429,times=1,retry_after=0,words=12"
    ] * 2


async def test_tokens_and_models_answer(client):
    counted = await client.messages.count_tokens(model="m", messages=[MESSAGE])
    assert counted.input_tokens > 5
    assert [model.id async for model in client.models.list()]
    assert (await client.models.retrieve("claude-sonnet-5")).display_name == "Claude Sonnet 5"


async def test_the_key_is_seen_and_not_kept(simulator, client):
    await created(client, "text")
    call = simulator.calls[0]
    assert (call.key_present, call.key_header) == (True, "authorization")
    assert "authorization" not in call.headers
    assert call.headers["anthropic-version"]
    assert BY_NAME["text"].whole
