"""What sources give that are plain iterators: a whole healthy answer as events, or nothing."""

HEALTHY = [
    {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant",
     "content": [], "model": "m", "stop_reason": None, "usage": {"output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Salt."}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]  # fmt: skip


class Unread:
    """A stream object that may only be closed."""

    closed = False

    def __aiter__(self):
        return self

    async def __anext__(self):
        raise AssertionError("nobody may read it")

    async def aclose(self):
        self.closed = True
