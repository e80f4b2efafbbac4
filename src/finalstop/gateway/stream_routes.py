"""The routes that produce a stream: the one list of them.

Not beside their handlers: the settings name these routes, and are read before, and without, the
server. A route that opens a stream is added here; the tests of this module see to it.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

StreamRoute = Literal["/v1/messages", "/stream-claude"]
STREAM_ROUTES: Final[tuple[StreamRoute, ...]] = get_args(StreamRoute)
