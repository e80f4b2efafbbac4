"""The composition root: the settings decide which upstream is asked and whether ends are logged."""

import pytest

from finalstop.core.endings import EndReason
from finalstop.core.limits import Limits
from finalstop.gateway.compose import open_relay, open_upstream
from finalstop.gateway.config import Settings
from finalstop.gateway.secret import Secret
from finalstop.runtime.relay import NotAcceptingError
from finalstop.simulator import Simulator
from finalstop.upstream.contract import UpstreamFailedError, UpstreamRequest
from finalstop.upstream.direct import DirectUpstream
from tests.gateway.served import logged

MODELS = UpstreamRequest("GET", "/v1/models", {})


async def test_the_embedded_simulator_lives_as_long_as_the_upstream():
    async with open_upstream(Settings(port=0)) as upstream:
        answer = await upstream.fetch(MODELS, timeout_s=5)
        assert answer.head.status == 200
    with pytest.raises(RuntimeError, match="closed"):
        await upstream.fetch(MODELS, timeout_s=5)


async def test_the_embedded_simulator_plays_what_is_configured():
    async with open_upstream(Settings(port=0, simulator_spec="status-529")) as upstream:
        assert (await upstream.fetch(MODELS, timeout_s=5)).head.status == 529


async def test_the_configured_upstream_is_the_one_that_is_asked_and_is_shown_no_key():
    async with Simulator(require_key=False) as simulator:
        configured = Settings(port=0, upstream=simulator.url, api_key=Secret("sk-of-the-server"))
        async with open_upstream(configured) as upstream:
            await upstream.fetch(MODELS, timeout_s=5)
        # What to present is decided for each request, by the gatekeeper.
        assert not simulator.calls[0].key_present


async def test_the_configured_proxy_is_the_way():
    configured = Settings(
        port=0, upstream="http://127.0.0.1:9", proxy=Secret("http://127.0.0.1:1"),
        limits=Limits(connect_s=1.0),
    )  # fmt: skip
    async with open_upstream(configured) as upstream:
        with pytest.raises(UpstreamFailedError, match="unreachable"):
            await upstream.fetch(MODELS, timeout_s=5)


class Silent:
    """A source that feeds nothing."""

    def start(self, producer):
        del producer
        return self

    def release(self):
        pass

    def cancel(self):
        pass


@pytest.mark.parametrize("log_lines", [True, False])
async def test_every_end_is_one_line_where_lines_are_wanted(log_lines):
    with logged() as log:
        async with open_relay(Settings(port=0), log_lines=log_lines) as relay:
            stream = relay.open(Silent())
            stream.end(EndReason.STOPPED)
            stream.end(EndReason.STOPPED)
            assert log.getvalue().count("stream_ended") == log_lines
            assert (stream.id in log.getvalue()) is log_lines


async def test_a_relay_that_is_closed_ends_its_streams_and_takes_no_more():
    async with open_relay(Settings(port=0), log_lines=False) as relay:
        stream = relay.open(Silent())
    assert stream.ended is not None
    assert stream.ended.reason is EndReason.DRAINING
    with pytest.raises(NotAcceptingError):
        relay.open(Silent())


async def test_the_limits_are_the_configured_ones():
    limits = Limits(max_streams=1)
    async with open_relay(Settings(port=0, limits=limits), log_lines=False) as relay:
        relay.open(Silent())
        with pytest.raises(NotAcceptingError, match="max_streams"):
            relay.open(Silent())


async def test_the_loop_rests_as_long_as_is_configured():
    async with Simulator(require_key=False) as simulator:
        configured = Settings(port=0, upstream=simulator.url, rest_s=0.001)
        async with open_upstream(configured) as upstream:
            assert isinstance(upstream, DirectUpstream)
            rest = upstream._gate()._rest
            assert rest is not None
            assert rest._rest_s == 0.001
