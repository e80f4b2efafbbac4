"""One response off the wire, in whatever pieces it comes; whole calls are in `test_calls`."""

import pytest

from finalstop.upstream.reader import HEAD_LINES_MAX, SILENT_BYTES_MAX, Reader

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
ANSWER = CHUNKED + b"5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nx: y\r\n\r\n"


def read(*chunks):
    """A reader that was fed until it complained or was whole; the body, the complaint."""
    reader, body, complaint = Reader(), b"", None
    for chunk in chunks:
        complaint = reader.feed(chunk)
        body += b"".join(reader.pieces)
        reader.pieces.clear()
        if complaint or reader.is_whole:
            break
    return reader, body, complaint


def bytewise(data):
    return [bytes([byte]) for byte in data]


@pytest.mark.parametrize("at", range(1, len(ANSWER)))
def test_where_it_is_cut_changes_nothing(at):
    reader, body, complaint = read(ANSWER[:at], ANSWER[at:])
    assert (body, complaint, reader.is_whole, reader.is_reusable) == (b"hello!", None, True, True)


def test_byte_by_byte_is_the_same():
    reader, body, complaint = read(*bytewise(ANSWER))
    assert (body, complaint, reader.is_whole) == (b"hello!", None, True)
    assert reader.head.status == 200


# name, the response, whether it is whole, whether the connection may be kept, until close
FRAMES = [
    ("chunked", ANSWER, True, True, False),
    ("with a length", b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", True, True, False),
    ("neither", b"HTTP/1.1 200 OK\r\n\r\na", False, False, True),
    ("another coding", b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\na", False, False, True),
    ("connection: close", b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\na",
     True, False, False),
    ("HTTP/1.0", b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na", True, False, False),
    ("204", b"HTTP/1.1 204 No\r\n\r\n", True, True, True),
    ("bytes beyond it", ANSWER + b"HTTP/1.1 200 OK\r\n", True, False, False),
    ("garbage beyond it", ANSWER + b"evil", True, False, False),
    ("a forged answer beyond it", ANSWER + ANSWER, True, False, False),
    ("a switch", b"HTTP/1.1 101 S\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nxyz", True, False,
     True),
]  # fmt: skip


@pytest.mark.parametrize(("data", "whole", "reusable", "until_close"), [it[1:] for it in FRAMES],
                         ids=[it[0] for it in FRAMES])  # fmt: skip
def test_the_framing_says_whether_it_is_over_and_what_becomes_of_the_connection(
    data, whole, reusable, until_close
):
    reader, body, complaint = read(data)
    assert complaint is None
    seen = (reader.is_whole, reader.is_reusable, reader.until_close)
    assert seen == (whole, reusable, until_close)
    assert b"evil" not in body
    assert len(body) <= 6


def test_an_interim_response_is_passed_over():
    reader, body, _ = read(b"HTTP/1.1 103 E\r\nlink: a\r\n\r\n", ANSWER)
    assert (reader.head.status, body) == (200, b"hello!")
    assert "link" not in reader.head.headers


def test_a_header_that_repeats_is_joined_and_a_trailer_is_not_a_header():
    reader, _, _ = read(b"HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\nb: \xff\r\n", ANSWER[17:])
    assert reader.head.headers == {"a": "1, 2", "b": "\ufffd", "transfer-encoding": "chunked"}


# name, the pieces, what the complaint says
MALFORMED = [
    ("not HTTP", [b"SSH-2.0\r\n"], "Expected HTTP"),
    ("a bad chunk size", [CHUNKED, b"zz\r\n"], "chunk size"),
    ("length and chunks", [b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n", CHUNKED[17:]], "Length"),
    ("two lengths", [b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"],
     "Length"),
    ("a line without end", [b"HTTP/1.1 200 OK\r\nx: "] + [b"a" * 1000] * 40, "too large"),
    ("many lines", [b"HTTP/1.1 200 OK\r\n" + b"x: a\r\n" * (HEAD_LINES_MAX + 2)], "too large"),
    ("trailers without end", [CHUNKED + b"0\r\n"] + [b"x: yyyyyyyyyy\r\n" * 9] * 9999, "too large"),
    ("a chunk that is all extension", [CHUNKED + b"1;"] + [b"x" * 1000] * 40, "too large"),
    ("interim heads without end", [b"HTTP/1.1 103 E\r\nx: y\r\n\r\n"] * 999, "too large"),
]  # fmt: skip


@pytest.mark.parametrize(("pieces", "says"), [it[1:] for it in MALFORMED],
                         ids=[it[0] for it in MALFORMED])  # fmt: skip
def test_what_is_malformed_or_endless_is_complained_of(pieces, says):
    _, _, complaint = read(*pieces)
    assert says in complaint


def test_what_came_before_a_complaint_is_there():
    reader, body, complaint = read(CHUNKED + b"2\r\nab\r\nzz\r\n")
    assert (reader.head.status, body) == (200, b"ab")
    assert complaint


def test_a_body_may_be_as_long_as_it_likes():
    piece = b"400\r\n" + b"x" * 1024 + b"\r\n"
    _, body, complaint = read(CHUNKED, *[piece] * 99, b"0\r\n\r\n")
    assert (len(body), complaint) == (99 * 1024, None)
    assert len(body) > SILENT_BYTES_MAX


def test_nothing_is_unread_only_until_the_first_byte():
    reader = Reader()
    assert reader.is_unread
    reader.feed(b"H")
    assert not reader.is_unread


def test_of_a_head_that_is_taken_nothing_is_left_and_trailers_are_not_kept():
    reader = Reader()
    reader.feed(b"HTTP/1.1 200 OK\r\nx-long: 1\r\ntransfer-encoding: chunked\r\n\r\n")
    head, reader.head = reader.head, None
    assert head is not None
    assert head.headers["x-long"] == "1"
    assert reader._headers is None
    reader.feed(b"1\r\nx\r\n0\r\nx-trailer: 2\r\n\r\n")
    assert reader.is_whole
    assert reader.has_head
    assert reader._headers is None
    assert "x-trailer" not in head.headers
