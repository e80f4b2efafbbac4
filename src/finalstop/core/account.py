"""What a stream cost, and how sure that is: the arithmetic behind invariant I8.

The upstream states usage twice: in `message_start`, where the output count is a placeholder, and
in `message_delta`, where it is cumulative. Only the second, together with the stop reason, is the
bill. A stream cut before it has a lower bound and the characters that were delivered, and says so.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import astuple

from finalstop.core.events import Block, Delta, MessageDelta, MessageHead, UsageView
from finalstop.core.receipt import Usage, UsageStatus

_NOTHING: Final = UsageView()


class Account(Struct, gc=False):
    """The running account of one stream; `usage()` may be asked at any moment.

    A Struct, so that a copy of it costs next to nothing: the lifecycle keeps one per batch.
    """

    model: str | None = None
    stop_reason: str | None = None
    characters: int = 0
    _stated: UsageView | None = None
    _output_tokens: int | None = None
    _final: bool = False

    def began(self, message: MessageHead) -> None:
        """Note what `message_start` states."""
        self.model = message.model or None
        self._stated = message.usage

    def opened(self, block: Block) -> None:
        """Count the text that a block starts with; it is empty with the API itself."""
        self.characters += len(block.text or "")

    def grew(self, delta: Delta) -> None:
        """Count the characters of a delta: text, thinking, or the JSON of a tool's input."""
        self.characters += len(delta.text or delta.partial_json or delta.thinking or "")

    def reported(self, report: MessageDelta) -> None:
        """Note the stop reason and the cumulative usage of a `message_delta`."""
        if report.delta.stop_reason is not None:
            self.stop_reason = report.delta.stop_reason
        if report.usage is None:
            return
        self._stated = _merged(report.usage, self._stated)
        if report.usage.output_tokens is not None:
            self._output_tokens = report.usage.output_tokens
            self._final = self._final or self.stop_reason is not None

    def usage(self) -> Usage:
        """The usage as far as it is known. An explicit 0 stays 0."""
        stated = self._stated
        if stated is None or stated == _NOTHING:
            return Usage(UsageStatus.UNKNOWN, self.characters)
        at_least = self._output_tokens
        if at_least is None:
            # The count in message_start is a placeholder; one token is all that content proves.
            at_least = 1 if self.characters else 0
        return Usage(
            status=UsageStatus.FINAL if self._final else UsageStatus.PARTIAL,
            characters=self.characters,
            input_tokens=stated.input_tokens,
            output_tokens=self._output_tokens if self._final else None,
            output_tokens_at_least=None if self._final else at_least,
            cache_creation_input_tokens=stated.cache_creation_input_tokens,
            cache_read_input_tokens=stated.cache_read_input_tokens,
        )


def _merged(later: UsageView, earlier: UsageView | None) -> UsageView:
    """What was stated later stands; what it left out stands as it was stated earlier."""
    if earlier is None:
        return later
    return UsageView(
        *(
            old if new is None else new
            for new, old in zip(astuple(later), astuple(earlier), strict=True)
        )
    )
