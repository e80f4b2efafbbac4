"""A relay in raw bytes, as a server of its own: `relay.py PORT [MODE]`. Standard library only.

It answers whatever it is asked with the bytes of its upstream. MODE is one of

  attentive   closes the upstream when its reader leaves, and ends at SIGTERM (the default)
  careless    does neither
  fragile     dies of an upstream that resets
  deaf        never asks the upstream
  cold        takes COLD_S seconds for its first answer, which is no good
  single      serves one reader at a time, and does not see it leave
  frugal      cuts an answer that has been silent for IDLE_S seconds
"""

# ruff: noqa: T201 - a program that says what it does

from __future__ import annotations

import asyncio
import os
import signal
import sys
from urllib.parse import urlsplit

BODY = b'{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}'
ASK = (
    b"POST /v1/messages HTTP/1.1\r\nhost: upstream\r\nconnection: close\r\nx-api-key: %s\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n"
)
DEAF = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9\r\n\r\ndata: x\n\n"
ELSEWHERE = b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n"
COLD_S = 2.5
WARM = asyncio.Event()
ONE = asyncio.Lock()
PORT, MODE = int(sys.argv[1]), (sys.argv[2:] or ["attentive"])[0]
IDLE_S = float(os.environ.get("IDLE_S", "2")) if MODE == "frugal" else None


async def serve(reader, writer):
    try:
        asked = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return writer.close()  # somebody only wanted to know whether we listen
    print("asked", asked.split(b" ")[0].decode(), flush=True)
    if not asked.startswith((b"POST ", b"HEAD ")):
        writer.write(ELSEWHERE)
    elif MODE == "cold" and not WARM.is_set():
        await asyncio.sleep(COLD_S)
        WARM.set()
        writer.write(ELSEWHERE)
    elif MODE == "deaf":
        writer.write(DEAF)
    elif MODE == "single":
        async with ONE:
            await relay(reader, writer)
    else:
        await relay(reader, writer)
    return writer.close()


async def relay(reader, writer):
    url = urlsplit(os.environ["ANTHROPIC_BASE_URL"])
    upstream, pipe = await asyncio.open_connection(url.hostname, url.port)
    pipe.write(ASK % (os.environ["ANTHROPIC_API_KEY"].encode(), len(BODY)) + BODY)
    loop = asyncio.get_running_loop()
    carry, leave = loop.create_task(carried(upstream, writer)), loop.create_task(left(reader))
    watched = [carry] if MODE in {"careless", "single"} else [carry, leave]
    await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
    for task in (carry, leave):
        task.cancel()
    pipe.close()


async def carried(upstream, writer):
    try:
        while data := await read(upstream):
            writer.write(data)
    except TimeoutError:
        print("idle", flush=True)
    except ConnectionResetError:
        if MODE == "fragile":
            os._exit(3)


async def read(upstream):
    async with asyncio.timeout(IDLE_S):
        return await upstream.read(65536)


async def left(reader):
    while await reader.read(65536):
        pass


async def main():
    if MODE == "careless":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server = await asyncio.start_server(serve, "127.0.0.1", PORT)
    print("listening", flush=True)
    await server.serve_forever()


asyncio.run(main())
