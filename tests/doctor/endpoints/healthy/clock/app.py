"""An event stream that is no model's: ten ticks with ids, then `done`; who has all gets a 204."""

import asyncio
import os
from contextlib import suppress

TICKS = 10
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\n"
    b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
)
NOTHING_MORE = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"
NOT_ALLOWED = (
    b"HTTP/1.1 405 Method Not Allowed\r\nallow: GET\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"get "):
            writer.write(NOT_ALLOWED)
        elif b"\r\nlast-event-id:" in head:
            writer.write(NOTHING_MORE)
        else:
            await tick(writer)
        await writer.drain()
    writer.close()


async def tick(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    for second in range(TICKS):
        await send(writer, f"id: {second}\nevent: tick\ndata: 12:00:{second:02d}\n\n")
        await asyncio.sleep(0.1)
    await send(writer, "event: done\ndata: {}\n\n")
    writer.write(b"0\r\n\r\n")


async def send(writer: asyncio.StreamWriter, event: str) -> None:
    writer.write(f"{len(event.encode()):x}\r\n{event}\r\n".encode())
    await writer.drain()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", int(os.environ["PORT"]))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
