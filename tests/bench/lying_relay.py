"""A relay that spoils what it relays, so that the load's checks can be seen to see it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Frames = list[bytes]
END = b"0\r\n\r\n"


def chunked(frames: Frames) -> bytes:
    """A body of one chunk per frame, without its end."""
    return b"".join(b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames)


def split(body: bytes) -> Frames:
    """The frames of a chunked body."""
    plain, rest = b"", body
    while not rest.startswith(b"0\r\n"):
        size, _, rest = rest.partition(b"\r\n")
        plain, rest = plain + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return [frame + b"\n\n" for frame in plain.split(b"\n\n") if frame]


def is_delta(frame: bytes) -> bool:
    return b"content_block_delta" in frame


def spoiled(change: Callable[[Frames], Frames]) -> Callable[[bytes, bytes], bytes]:
    """A relay that changes the frames and is right in everything else."""
    return lambda head, body: head + chunked(change(split(body))) + END


def third_delta(frames: Frames) -> int:
    return [at for at, frame in enumerate(frames) if is_delta(frame)][2]


def without_one(frames: Frames) -> Frames:
    at = third_delta(frames)
    return frames[:at] + frames[at + 1 :]


def with_one_twice(frames: Frames) -> Frames:
    at = third_delta(frames)
    return [*frames[: at + 1], *frames[at:]]


def out_of_order(frames: Frames) -> Frames:
    at = third_delta(frames)
    return [*frames[:at], frames[at + 1], frames[at], *frames[at + 2 :]]


def of_another_stream(frames: Frames) -> Frames:
    at = third_delta(frames)
    before, mark, after = frames[at].partition(b"@")
    return [*frames[:at], before + mark + b"fffff" + after[5:], *frames[at + 1 :]]


def without_the_last_delta(frames: Frames) -> Frames:
    last = max(at for at, frame in enumerate(frames) if is_delta(frame))
    return frames[:last] + frames[last + 1 :]


# What it does, and what the viewers must say of every stream.
LIES = {
    "nothing": (spoiled(lambda frames: frames), "complete"),
    "byte by byte": (spoiled(lambda frames: [bytes([it]) for it in b"".join(frames)]), "complete"),
    "drops an event": (spoiled(without_one), "disorder"),
    "sends one twice": (spoiled(with_one_twice), "disorder"),
    "swaps two": (spoiled(out_of_order), "disorder"),
    "mixes streams": (spoiled(of_another_stream), "mixed"),
    "ends early": (spoiled(without_the_last_delta), "short"),
    "has no end marker": (spoiled(lambda frames: frames[:-1]), "no_end"),
    "ends twice": (spoiled(lambda frames: [*frames, frames[-1]]), "no_end"),
    "cuts the last chunk": (lambda head, body: head + body[: -len(END)], "cut"),
    "breaks the framing": (lambda head, body: head + b"zz\r\n" + body, "broken"),
    "goes on after the end": (lambda head, body: head + body + b"1\r\nx\r\n", "broken"),
    "is an error": (lambda *_: b"HTTP/1.1 529 Busy\r\nContent-Length: 0\r\n\r\n", "status"),
    "is not chunked": (lambda *_: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "unframed"),
    "says nothing": (lambda *_: b"", "refused"),
}  # fmt: skip


@contextmanager
def lying(origin_port: int, lie: Callable[[bytes, bytes], bytes]) -> Iterator[int]:
    """The relay, listening; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads: list[threading.Thread] = []

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                thread = threading.Thread(target=_relay, args=(client, origin_port, lie))
                thread.start()
                threads.append(thread)

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for thread in threads:
                thread.join()


def _relay(client: socket.socket, origin_port: int, lie: Callable[[bytes, bytes], bytes]) -> None:
    with client, socket.create_connection(("127.0.0.1", origin_port), 10) as origin:
        origin.sendall(client.recv(65536))
        got = b""
        while not got.endswith(END) and (more := origin.recv(65536)):
            got += more
        head, _, body = got.partition(b"\r\n\r\n")
        try:
            client.sendall(lie(head + b"\r\n\r\n", body))
        except ConnectionError:
            return  # the viewer had seen enough
