"""Secrets can be used and not shown; tokens are kept as hashes only."""

from __future__ import annotations

import copy
import pickle

import pytest

from finalstop.gateway.secret import Secret, TokenHash, make_token, read_key, read_tokens

CANARY = "canary-0123456789"


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r}".format, "%s".__mod__])
@pytest.mark.parametrize("hidden", [Secret(CANARY), TokenHash.of(CANARY)], ids=["key", "token"])
def test_nothing_shows_a_secret(hidden, show):
    assert "canary" not in show(hidden)
    assert TokenHash.of(CANARY).digest.hex() not in show(hidden)


def test_only_reveal_tells():
    assert Secret(CANARY).reveal() == CANARY


@pytest.mark.parametrize("leave", [pickle.dumps, copy.copy])
def test_a_secret_does_not_leave_the_process(leave):
    with pytest.raises(TypeError, match="cannot be pickled"):
        leave(Secret(CANARY))


@pytest.mark.parametrize("wrong", ["", "can ary", "canary\n", "can\x00ary", "canary\u00e9"])
def test_what_no_header_can_carry_is_no_secret(wrong):
    with pytest.raises(ValueError, match="empty, or holds") as refused:
        Secret(wrong)
    assert "ary" not in str(refused.value)


def test_equal_secrets_are_equal_and_nothing_else_is():
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert len({TokenHash.of("a"), TokenHash.of("a"), TokenHash.of("b")}) == 2
    assert Secret("a") != "a"
    assert TokenHash.of("a") != TokenHash.of("a").digest


def test_a_token_is_the_same_plain_or_hashed():
    token = make_token()
    assert (
        TokenHash.read(token) == TokenHash.of(token) == TokenHash.read(TokenHash.of(token).line())
    )


def test_every_token_is_new_and_long():
    tokens = {make_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(token.startswith("fs-") and len(token) >= 43 for token in tokens)


@pytest.mark.parametrize(
    "wrong", ["", "short-canary", "a canary of many words", "sha256:", "sha256:canary", "\x7f" * 20]
)
def test_what_is_no_token_is_refused_unrepeated(wrong):
    with pytest.raises(ValueError, match=r"64 hexadecimal|at least 16") as refused:
        TokenHash.read(wrong)
    assert "canary" not in str(refused.value)


def test_a_key_file_holds_one_key(tmp_path):
    path = tmp_path / "key"
    path.write_text(f"\n  {CANARY}  \n")
    assert read_key(str(path)) == Secret(CANARY)


def test_a_tokens_file_holds_one_a_line(tmp_path):
    path = tmp_path / "tokens"
    path.write_text(f"# who: us\n{CANARY}  # laptop\n\n{TokenHash.of('b').line()}\n")
    assert read_tokens(str(path)) == (TokenHash.of(CANARY), TokenHash.of("b"))


# read by,    content,                        complaint
BAD_FILES = [
    (read_key, b"canary\ncanary\n", "it must hold one API key and nothing else"),
    (read_key, b"", "it must hold one API key and nothing else"),
    (read_key, b"can\xff", "it is not UTF-8 text"),
    (read_key, None, "No such file"),
    (read_tokens, b"# none\n", "it holds no gateway token"),
    (read_tokens, CANARY.encode() + b"\ncanary\n", "line 2: a token has at least 16"),
]


@pytest.mark.parametrize("read", [read_key, read_tokens])
def test_a_file_in_the_home_of_somebody_unknown_is_refused_by_its_name(read):
    with pytest.raises(ValueError, match=r"^~nobody-we-know/key: "):
        read("~nobody-we-know/key")


@pytest.mark.parametrize(("read", "content", "complaint"), BAD_FILES)
def test_a_file_that_does_not_hold_what_it_should_is_refused(read, content, complaint, tmp_path):
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=complaint) as refused:
        read(str(path))
    assert "file" in str(refused.value)
    assert "canary" not in str(refused.value)
