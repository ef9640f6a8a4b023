"""Nothing secret is written: a registry of what is known, and a writer that looks at every line."""

import io
import os
import re
import select
from collections.abc import Iterable
from contextlib import suppress
from typing import TextIO

from vidsr.stream_url import HIDDEN, Address

_LONG, _WORD = 8, 4
_BEFORE, _AFTER = r"(?<=[:=/@?&'\"])", r"(?=[:=/@?&;'\"\s]|$)"
_USERINFO = re.compile(r"://(?:(?!://)[^\s])*@")
_QUERY = re.compile(r"(://[^\s?'\"<>]*\?)[^\s'\"<>]+")
_LONGEST_LINE = 4 * 4096  # four times what is written: no secret ends behind it that begins within
_PATIENCE_MS = 1000
_WHOLE_WRITE = 4096  # a pipe that is ready takes as much at once


class Secrets:
    """What must not be shown: the secrets of addresses, but for the name of a user that is shown on purpose.

    `shown` is what is, beside the addresses themselves: the names of cameras.
    """

    def __init__(self, addresses: Iterable[Address], shown: Iterable[str] = ()) -> None:
        addresses = tuple(addresses)
        self._urls = {address.text: str(address) for address in addresses if address.scheme}
        open_ = "\n".join([*map(str, addresses), *shown])
        known = {secret for address in addresses for secret in address.secrets(open_)} - self._urls.keys()
        self._patterns = [re.compile(_pattern(secret), re.IGNORECASE) for secret in known]

    def clean(self, text: str) -> str:
        """The text with every known secret hidden, and the userinfo and query of every URL, known or not."""
        for url in sorted(self._urls, key=len, reverse=True):
            text = text.replace(url, self._urls[url])
        found = sorted(match.span() for pattern in self._patterns for match in pattern.finditer(text))
        text = _without(text, found)
        text = _USERINFO.sub(f"://{HIDDEN}@", text)
        return _QUERY.sub(rf"\1{HIDDEN}", text)


class CleanWriter(io.TextIOBase):
    """A text stream of whole lines without secrets, in place of another, which stays open.

    Of a line no more than 4095 bytes are written. Where nobody reads, lines are left out and counted: the writer waits
    a second for the first of them, and for no other.
    """

    def __init__(self, stream: TextIO, secrets: Secrets) -> None:
        self._stream, self._secrets = stream, secrets
        self._begun = ""
        self._lost = 0

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """That of the stream beneath."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write the lines that end in the text; what is behind them waits for its end."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._put(line)
        self._begun = self._begun[:_LONGEST_LINE]
        return len(text)

    def close(self) -> None:
        """Write the line that was begun."""
        if not self.closed and self._begun:
            self.write("\n")
        super().close()

    def _put(self, line: str) -> None:
        if self._lost and self._send(f"vidsr: {self._lost} lines were left out, for nobody read them"):
            self._lost = 0
        if not self._send(self._secrets.clean(line)):
            self._lost += 1

    def _send(self, line: str) -> bool:
        """Whether the line could be written; a reader that is gone for good has read all it wanted."""
        data = line.encode(errors="backslashreplace")[: _WHOLE_WRITE - 1] + b"\n"
        with suppress(OSError):
            if not _ready(self._stream.fileno(), 0 if self._lost else _PATIENCE_MS):
                return False
            os.write(self._stream.fileno(), data)
        return True


def _ready(descriptor: int, patience_ms: int) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLOUT)
    return bool(waiting.poll(patience_ms))


def _pattern(secret: str) -> str:
    """Where a secret is one: a long one anywhere, a short one as a word, the shortest where addresses have it."""
    quoted = re.escape(secret)
    if len(secret) >= _LONG:
        return quoted
    if len(secret) >= _WORD:
        return rf"(?<![^\W_]){quoted}(?![^\W_])"
    return f"{_BEFORE}{quoted}{_AFTER}"


def _without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text with sorted spans, which may overlap, hidden."""
    kept, end = [], 0
    for first, last in spans:
        if first >= end:
            kept += [text[end:first], HIDDEN]
        end = max(end, last)
    return "".join([*kept, text[end:]])
