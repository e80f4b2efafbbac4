"""FastAPI: `return respond(request, source)` in a path operation, `async def` or `def`.

FastAPI sends a Starlette response as it is, beside its own server-sent events: no `yield`, no
response model. Annotate the operation `-> Response`, or give no annotation.
"""

from __future__ import annotations

from finalstop.adapters.starlette import StreamResponse, respond

__all__ = ["StreamResponse", "respond"]
