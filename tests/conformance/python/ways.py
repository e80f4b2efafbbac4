"""Every way in which the official Python SDK lets a program ask for a Message, sync and async.

The SDK is used as its README says and changed in nothing. A way takes a client and the arguments
of the call and gives a `Heard`; whatever the SDK raises, it raises.
"""

import warnings
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import anthropic

MESSAGE = {"role": "user", "content": "Why is the ocean salty?"}
PLAIN = {"max_tokens": 64, "messages": [MESSAGE]}
# A hang must end a test and not the SDK's ten minutes; nothing here takes nearly as long.
TIMEOUT_S = 20.0


@dataclass
class Heard:
    """What a program got: the Message or the events as plain data, and who said so."""

    said: Any
    request_id: str | None
    stream_id: str | None = None


def asked(spec, **fields):
    """The arguments of a call that is answered with the simulator's script `spec`."""
    return {**PLAIN, "model": f"sim:{spec}", **fields}


# -- clients --------------------------------------------------------------------------------------


def _options(url, options):
    return {"api_key": "sk-test", "base_url": url, "max_retries": 0, "timeout": TIMEOUT_S} | options


@asynccontextmanager
async def async_client(url, **options):
    async with anthropic.AsyncAnthropic(**_options(url, options)) as client:
        yield client


@contextmanager
def sync_client(url, **options):
    with anthropic.Anthropic(**_options(url, options)) as client:
        yield client


# -- async ----------------------------------------------------------------------------------------


async def helper(client, ask, *, beta=False):
    """`messages.stream()`, and the message it puts together."""
    messages = client.beta.messages if beta else client.messages
    async with messages.stream(**ask) as stream:
        message = await stream.get_final_message()
        return _heard(plain(message), stream.response)


async def raw(client, ask, *, beta=False):
    """`create(stream=True)`: every event, to the end of the loop."""
    messages = client.beta.messages if beta else client.messages
    stream = await messages.create(**ask, stream=True)
    return _heard([plain(event) async for event in stream], stream.response)


async def streaming_response(client, ask):
    """`with_streaming_response`: the events once more, by way of the open response."""
    opening = client.messages.with_streaming_response.create(**ask, stream=True)
    async with opening as response:
        events = [plain(event) async for event in await response.parse()]
        return _heard(events, response)


async def whole(client, ask, *, beta=False):
    """`create()`: the Message at once."""
    messages = client.beta.messages if beta else client.messages
    message = await messages.create(**ask)
    return Heard(plain(message), message._request_id)


# -- sync -----------------------------------------------------------------------------------------


def sync_helper(client, ask, *, beta=False):
    messages = client.beta.messages if beta else client.messages
    with messages.stream(**ask) as stream:
        message = stream.get_final_message()
        return _heard(plain(message), stream.response)


def sync_raw(client, ask, *, beta=False):
    messages = client.beta.messages if beta else client.messages
    stream = messages.create(**ask, stream=True)
    return _heard([plain(event) for event in stream], stream.response)


def sync_streaming_response(client, ask):
    opening = client.messages.with_streaming_response.create(**ask, stream=True)
    with opening as response:
        events = [plain(event) for event in response.parse()]
        return _heard(events, response)


def sync_whole(client, ask, *, beta=False):
    messages = client.beta.messages if beta else client.messages
    message = messages.create(**ask)
    return Heard(plain(message), message._request_id)


ASYNC_STREAMS = {"helper": helper, "raw": raw, "streaming_response": streaming_response}
SYNC_STREAMS = {
    "helper": sync_helper,
    "raw": sync_raw,
    "streaming_response": sync_streaming_response,
}


def is_whole(said):
    """Whether a program may take this for the whole answer: a Message, or events with their end."""
    return said[-1]["type"] == "message_stop" if isinstance(said, list) else bool(said["content"])


def plain(model):
    """A model of the SDK as JSON. It warns of blocks that it does not know, and keeps them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return model.to_dict()


def _heard(said, response):
    headers = response.headers
    return Heard(said, headers.get("request-id"), headers.get("finalstop-stream-id"))
