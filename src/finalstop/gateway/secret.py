"""What must never be shown: the API key, proxy credentials, gateway tokens.

A `Secret` can be used and not printed. A gateway token is not even kept: only its SHA-256 is, so a
dump of this process does not hand out the right to enter. Tokens are random and long, which is
why a plain hash is enough and a slow one would only be a way to tire the server.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path
from typing import Final

# What an HTTP header may carry without quoting, and a shell or a file cannot break.
VISIBLE_ASCII: Final = re.compile(r"[\x21-\x7e]+")
NEW_PREFIX: Final = "fs-"
HASH_PREFIX: Final = "sha256:"
# 32 random bytes. Shorter tokens of people's own making are accepted down to a length that cannot
# be guessed over a network.
TOKEN_BYTES: Final = 32
TOKEN_CHARACTERS_MIN: Final = 16
SHA256_BYTES: Final = 32


class Secret:
    """A string that shows itself only to whoever asks with `reveal`.

    Raises:
        ValueError: the text is empty, or holds spaces, control or non-ASCII characters; the
            message does not repeat it.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not VISIBLE_ASCII.fullmatch(text):
            raise ValueError("it is empty, or holds spaces, control or non-ASCII characters")
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that must send it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __str__(self) -> str:
        return "(hidden)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return secrets.compare_digest(self._text, other._text)

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> str:
        raise TypeError("a Secret cannot be pickled or copied into another process")


class TokenHash:
    """The SHA-256 of a gateway token. Make it with `TokenHash.of` or `TokenHash.read`."""

    __slots__ = ("digest",)

    def __init__(self, digest: bytes) -> None:
        assert len(digest) == SHA256_BYTES
        self.digest = digest

    @classmethod
    def of(cls, token: str) -> TokenHash:
        """The hash of a token as a client presents it."""
        return cls(hashlib.sha256(token.encode()).digest())

    @classmethod
    def read(cls, text: str) -> TokenHash:
        """From configuration: a plain token, or `sha256:` and 64 hexadecimal digits.

        Raises:
            ValueError: neither; the message does not repeat it.
        """
        if text.startswith(HASH_PREFIX):
            if not re.fullmatch(r"[0-9a-fA-F]{64}", text.removeprefix(HASH_PREFIX)):
                raise ValueError(f"after {HASH_PREFIX} come 64 hexadecimal digits")
            return cls(bytes.fromhex(text.removeprefix(HASH_PREFIX)))
        if len(text) < TOKEN_CHARACTERS_MIN or not VISIBLE_ASCII.fullmatch(text):
            raise ValueError(
                f"a token has at least {TOKEN_CHARACTERS_MIN} visible ASCII characters; "
                "`finalstop token` makes one"
            )
        return cls.of(text)

    def line(self) -> str:
        """The form that configuration reads: `sha256:<hex>`. It opens nothing by itself."""
        return HASH_PREFIX + self.digest.hex()

    def __repr__(self) -> str:
        return "TokenHash(hidden)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TokenHash):
            return NotImplemented
        return secrets.compare_digest(self.digest, other.digest)

    def __hash__(self) -> int:
        return hash(self.digest)


def make_token() -> str:
    """A new gateway token. Show it once; keep `TokenHash.of(token).line()`."""
    return NEW_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def read_key(path: str) -> Secret:
    """The API key that a file holds, alone on its line.

    Raises:
        ValueError: the file cannot be read or holds no key; the message does not repeat it.
    """
    lines = _lines(path)
    if len(lines) != 1:
        raise ValueError(f"{path}: it must hold one API key and nothing else")
    return Secret(lines[0][1])


def read_tokens(path: str) -> tuple[TokenHash, ...]:
    """The gateway tokens that a file holds, one a line; `#` begins a comment.

    Raises:
        ValueError: the file cannot be read, holds none, or a line is no token.
    """
    tokens = []
    for number, line in _lines(path):
        try:
            tokens.append(TokenHash.read(line))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
    if not tokens:
        # An empty list would open the door, and nobody who names a file means that.
        raise ValueError(f"{path}: it holds no gateway token; `finalstop token` makes one")
    return tuple(tokens)


def _lines(path: str) -> list[tuple[int, str]]:
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: it is not UTF-8 text") from None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except RuntimeError as error:  # ~somebody whom this machine does not know
        raise ValueError(f"{path}: {error}") from None
    stripped = [line.partition("#")[0].strip() for line in text.splitlines()]
    return [(number, line) for number, line in enumerate(stripped, start=1) if line]
