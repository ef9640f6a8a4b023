"""Where a live source or target is: an address that may hold a password, and shows none."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

SOURCES = ("rtsp", "rtsps", "http", "https", "udp")
TARGETS = ("rtmp", "rtmps", "rtsp", "rtsps")
HIDDEN = "***"
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")
_URL = re.compile(
    r"(?P<scheme>[^:]+)://((?P<userinfo>[^/?#\s]*)@)?(?P<host>([\w.-]*|\[[0-9a-fA-F:.]+\])(:\d{1,5})?)"
    r"(?P<rest>([/?#][^@\s]*)?)"
)
_KEYS = ("rtmp", "rtmps")
_PIECES = re.compile(r"[/?#@:&;=\s]")
_WORD_LENGTH, _SECRET_LENGTH = 4, 12


@dataclass(frozen=True)
class Address:
    """A URL, or the path of a file or folder: `text` as it was given, with its secrets; `str()` is fit to be shown."""

    text: str = field(repr=False)

    @property
    def scheme(self) -> str:
        """The scheme in lower case; "" for a path."""
        found = _SCHEME.match(self.text)
        return found[1].lower() if found else ""

    @property
    def path(self) -> Path | None:
        """The path; None for a URL."""
        return None if self.scheme else Path(self.text)

    @property
    def sound(self) -> bool:
        """Whether it is clear where the host ends and begins: a path, or a URL with no raw / ? # @ in its password.

        Nothing but the scheme of a URL that is not sound is shown: what looks like its host may be half a password.
        """
        return not self.scheme or _URL.fullmatch(self.text) is not None

    def __str__(self) -> str:
        if not self.scheme:
            return self.text
        found = _URL.fullmatch(self.text)
        return f"{self.scheme}://{found['host'] if found else HIDDEN}"

    def secrets(self, shown: str = "") -> frozenset[str]:
        """What of a URL must not be shown wherever it turns up: all but scheme, host and port, in every spelling.

        Of its path, a segment alone is one only where it looks like a key or holds "=": others are words. The name of
        the user is none where it is part of `shown`.
        """
        if not self.scheme:
            return frozenset()
        spelt = {spelling for part in self._parts(shown) for spelling in _spellings(part)}
        return frozenset(line for text in spelt for line in text.splitlines() if line)

    def _parts(self, shown: str) -> Iterator[str]:
        """The secret parts as they are written, the whole among them."""
        yield self.text
        before, _, behind = self.text.partition("://")[2].rpartition("@")
        found = _URL.fullmatch(self.text)
        userinfo, rest = (found["userinfo"] or "", found["rest"]) if found else (before, behind)
        if not found:  # any piece may be one of a password's
            yield from (piece for piece in _PIECES.split(f"{before}@{behind}") if len(piece) >= _WORD_LENGTH)
        user, _, password = userinfo.partition(":")
        yield from (userinfo, password)
        if userinfo:
            yield b64encode(unquote(userinfo).encode()).decode()  # as HTTP sends it
        if unquote(user).lower() not in shown.lower():
            yield user
        path, _, query = rest.partition("?")
        if len(rest.strip("/?#")) >= _SECRET_LENGTH:
            yield rest
        for pair in re.split(r"[&;#]", query):
            yield pair.partition("=")[2] or pair
        yield from self._keys(path)

    def _keys(self, path: str) -> Iterator[str]:
        """What in a path is no word: stream keys, and "user=admin_password=secret" with its values."""
        segments = [segment for segment in re.split(r"[/#]", path) if segment]
        for number, segment in enumerate(segments):
            key = self.scheme in _KEYS and number == len(segments) - 1
            if key or "=" in segment or (len(segment) >= _SECRET_LENGTH and re.search(r"\d", segment)):
                yield segment
            yield from re.findall(r"=(.+?)(?=[_&;,][^_&;,=]*=|\.\w+$|$)", segment)


def _spellings(text: str) -> Iterator[str]:
    """The text as it is, decoded, encoded again, and as Python and JSON would quote it."""
    plain = unquote(text)
    for written in (text, plain):
        yield from (written, quote(written, safe=""), quote(written))
    yield from (repr(plain)[1:-1], json.dumps(plain)[1:-1])
