"""A gateway that waits for the body's end after message_stop, and then adds an error of its own."""

import asyncio
import json
import os

import aiohttp
from aiohttp import web

READ_S = 1.0


async def messages(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
    headers = {
        "x-api-key": os.environ["ANTHROPIC_API_KEY"],
        "anthropic-version": "2023-06-01",
        "content-type": "application/json",
    }
    url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=await request.read(), headers=headers) as upstream,
    ):
        if upstream.status != 200:
            return web.Response(
                status=upstream.status,
                body=await upstream.read(),
                headers={"retry-after": upstream.headers.get("retry-after", "1")},
                content_type="application/json",
            )
        await answer.prepare(request)
        try:
            async with asyncio.timeout(READ_S) as silence:
                async for chunk in upstream.content.iter_any():
                    await answer.write(chunk)
                    silence.reschedule(asyncio.get_running_loop().time() + READ_S)
        except (TimeoutError, aiohttp.ClientError) as error:
            told = {"type": "api_error", "message": type(error).__name__}
            payload = json.dumps({"type": "error", "error": told})
            await answer.write(f"event: error\ndata: {payload}\n\n".encode())
    return answer


app = web.Application()
app.router.add_post("/v1/messages", messages)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), print=None)
