"""A sink that gathers one whole response, for what is not a stream.

It may not know how a response comes about.
"""

from __future__ import annotations

import asyncio
from typing import Final

from finalstop.core.endings import EndReason
from finalstop.upstream.contract import Call, Response, ResponseHead, UpstreamFailedError


class Gather:
    """A `contract.Sink`; await `response`.

    Args:
        bytes_max: the largest body; beyond it `response` raises and the rest is ignored.
    """

    def __init__(self, *, bytes_max: int) -> None:
        self.response: Final[asyncio.Future[Response]] = asyncio.get_running_loop().create_future()
        self._bytes_max: Final = bytes_max
        self._head: ResponseHead | None = None
        self._body = bytearray()

    async def whole(self, call: Call, *, timeout_s: float, where: str) -> Response:
        """Wait for the response of `call`; whatever is left of the call is then cancelled.

        Args:
            call: the call that this sink hears.
            timeout_s: how long to wait.
            where: the upstream's host:port, for the sentence.

        Raises:
            UpstreamFailedError: no response, over `bytes_max`, or not within `timeout_s`.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self.response
        except TimeoutError as error:
            detail = f"{where} did not answer within {timeout_s:g} s"
            raise UpstreamFailedError(EndReason.DEADLINE, detail) from error
        finally:
            call.cancel()

    def connected(self) -> None:
        """Nothing to gather."""

    def written(self) -> None:
        """Nothing to gather."""

    def responded(self, head: ResponseHead) -> None:
        """Keep the head."""
        self._head = head

    def data(self, chunk: bytes) -> None:
        """Keep the bytes, up to the bound."""
        self._body += chunk
        if len(self._body) > self._bytes_max:
            self._body.clear()
            detail = f"the response is larger than the cap of {self._bytes_max} bytes"
            self.failed(EndReason.UPSTREAM_INVALID, detail)

    def eof(self) -> None:
        """The response is whole."""
        assert self._head is not None
        self._settle(Response(self._head, bytes(self._body)))

    def refused(self, head: ResponseHead, body: bytes) -> None:
        """A refusal is a response, too."""
        self._settle(Response(head, body))

    def failed(self, reason: EndReason, detail: str) -> None:
        """There is no response."""
        if not self.response.done():
            self.response.set_exception(UpstreamFailedError(reason, detail))

    def _settle(self, response: Response) -> None:
        if not self.response.done():
            self.response.set_result(response)
