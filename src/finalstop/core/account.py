"""What a stream cost, and how sure that is: the arithmetic behind invariant I8.

The upstream states usage twice: in `message_start`, where the output count is a placeholder, and
in `message_delta`, where it is cumulative. Only the second, together with the stop reason, is the
bill. A stream cut before it has a lower bound and the characters that were delivered, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import astuple, replace

from finalstop.core.events import Block, BlockDelta, MessageDelta, MessageHead, UsageView
from finalstop.core.receipt import Usage, UsageStatus

_NOTHING: Final = UsageView()


class Account(Struct, frozen=True, gc=False):
    """What one stream has been stated to cost; each statement makes a new account.

    Replaced and never changed, so that who must go back to an earlier one only keeps it. The
    characters are counted beside it, because they change with every event.
    """

    model: str | None = None
    stop_reason: str | None = None
    _stated: UsageView | None = None
    _output_tokens: int | None = None
    _final: bool = False

    def began(self, message: MessageHead) -> Account:
        """The account after what `message_start` states."""
        return replace(self, model=message.model or None, _stated=message.usage)

    def reported(self, report: MessageDelta) -> Account:
        """The account after the stop reason and the cumulative usage of a `message_delta`."""
        stop_reason = report.delta.stop_reason
        if stop_reason is None:
            stop_reason = self.stop_reason
        if report.usage is None:
            return replace(self, stop_reason=stop_reason)
        output_tokens, final = self._output_tokens, self._final
        if report.usage.output_tokens is not None:
            output_tokens = report.usage.output_tokens
            final = final or stop_reason is not None
        return Account(
            self.model, stop_reason, _merged(report.usage, self._stated), output_tokens, final
        )

    def usage(self, characters: int) -> Usage:
        """The usage as far as it is known, beside the characters that were logged.

        An explicit 0 stays 0.
        """
        stated = self._stated
        if stated is None or stated == _NOTHING:
            return Usage(UsageStatus.UNKNOWN, characters)
        at_least = self._output_tokens
        if at_least is None:
            # The count in message_start is a placeholder; one token is all that content proves.
            at_least = 1 if characters else 0
        return Usage(
            status=UsageStatus.FINAL if self._final else UsageStatus.PARTIAL,
            characters=characters,
            input_tokens=stated.input_tokens,
            output_tokens=self._output_tokens if self._final else None,
            output_tokens_at_least=None if self._final else at_least,
            cache_creation_input_tokens=stated.cache_creation_input_tokens,
            cache_read_input_tokens=stated.cache_read_input_tokens,
        )


def characters_of(views: Sequence[BlockDelta]) -> int:
    """The characters of deltas: text, thinking, or the JSON of a tool's input."""
    characters = 0
    for view in views:
        delta = view.delta
        characters += len(delta.text or delta.partial_json or delta.thinking or "")
    return characters


def opening_characters_of(block: Block) -> int:
    """The characters that a block opens with; none with the API itself, some with others."""
    return len(block.text or "")


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
