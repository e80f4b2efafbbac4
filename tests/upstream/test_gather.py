"""The sink that gathers one whole response."""

import pytest

from finalstop.core.endings import EndReason
from finalstop.upstream.contract import Response, ResponseHead, UpstreamFailedError
from finalstop.upstream.gather import Gather

OK = ResponseHead(200, {})
NO = ResponseHead(404, {})


async def test_the_pieces_become_one_body():
    gather = Gather(bytes_max=6)
    gather.connected()
    gather.written()
    gather.responded(OK)
    gather.data(b"abc")
    gather.data(b"def")
    assert not gather.response.done()
    gather.eof()
    assert await gather.response == Response(OK, b"abcdef")


async def test_a_refusal_is_a_response():
    gather = Gather(bytes_max=6)
    gather.refused(NO, b"no")
    assert await gather.response == Response(NO, b"no")


async def test_one_byte_over_the_cap_is_no_response_and_is_not_kept():
    gather = Gather(bytes_max=6)
    gather.responded(OK)
    gather.data(b"abcdefg")
    gather.data(b"more")
    gather.eof()
    gather.failed(EndReason.TRUNCATED, "later")
    with pytest.raises(UpstreamFailedError, match="cap of 6 bytes") as caught:
        await gather.response
    assert caught.value.reason is EndReason.UPSTREAM_INVALID


async def test_a_failure_is_raised_with_its_reason():
    gather = Gather(bytes_max=6)
    gather.failed(EndReason.UNREACHABLE, "nobody there")
    with pytest.raises(UpstreamFailedError, match="nobody there"):
        await gather.response


async def test_nobody_waiting_any_more_is_no_error():
    gather = Gather(bytes_max=6)
    gather.response.cancel()
    gather.refused(NO, b"")
    gather.failed(EndReason.TRUNCATED, "late")
    assert gather.response.cancelled()
