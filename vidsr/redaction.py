"""The redaction of secrets from all output."""

import io
import os
import re
import select
from collections.abc import Iterable
from contextlib import suppress
from typing import TextIO

from vidsr.stream_url import MASK, StreamUrl

_MIN_ANYWHERE, _MIN_WORD = 8, 4
_BEFORE, _AFTER = r"(?<=[:=/@?&'\"])", r"(?=[:=/@?&;'\"\s]|$)"
_USERINFO = re.compile(r"://(?:(?!://)[^\s])*@")
_QUERY = re.compile(r"(://[^\s?'\"<>]*\?)[^\s'\"<>]+")
_MAX_LINE = 4 * 4096  # four times what is written, so that no secret is cut
_WAIT_MS = 1000
_ATOMIC_WRITE = 4096  # a writable pipe takes as much at once


class Redactor:
    """Masks the secrets of URLs in texts, except user names that are part of a shown text.

    `shown` holds the texts that are shown besides the URLs: the names of cameras.
    """

    def __init__(self, urls: Iterable[StreamUrl] = (), shown: Iterable[str] = ()) -> None:
        self._known_urls: tuple[StreamUrl, ...] = ()
        self._shown: tuple[str, ...] = ()
        self.add(urls, shown)

    def add(self, urls: Iterable[StreamUrl], shown: Iterable[str] = ()) -> None:
        """Mask the secrets of further URLs, too, and show further texts. Thread-safe."""
        self._known_urls, self._shown = (*self._known_urls, *urls), (*self._shown, *shown)
        shown_text = "\n".join([*map(str, self._known_urls), *self._shown])
        masked = {url.text: str(url) for url in self._known_urls if url.scheme}
        known = {secret for url in self._known_urls for secret in url.secrets(shown_text)} - masked.keys()
        self._urls, self._patterns = masked, [re.compile(_pattern(secret), re.IGNORECASE) for secret in known]

    def redact(self, text: str) -> str:
        """The text with all known secrets masked, and the userinfo and query of every URL, known or not."""
        for url in sorted(self._urls, key=len, reverse=True):
            text = text.replace(url, self._urls[url])
        found = sorted(match.span() for pattern in self._patterns for match in pattern.finditer(text))
        text = _mask(text, found)
        text = _USERINFO.sub(f"://{MASK}@", text)
        return _QUERY.sub(rf"\1{MASK}", text)


class RedactingStream(io.TextIOBase):
    """A text stream that writes whole, redacted lines to another stream, which stays open.

    At most 4095 bytes of a line are written. If the reader stalls, lines are dropped and counted; only the first one
    is waited for, for a second.
    """

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        self._stream, self._redactor = stream, redactor
        self._partial_line = ""
        self._dropped_lines = 0

    def writable(self) -> bool:
        """True."""
        return True

    def fileno(self) -> int:
        """The descriptor of the other stream."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write the lines that end in the text; the rest is kept until its line ends."""
        *lines, self._partial_line = (self._partial_line + text).split("\n")
        for line in lines:
            self._write_line(line)
        self._partial_line = self._partial_line[:_MAX_LINE]
        return len(text)

    def close(self) -> None:
        """Write the incomplete line."""
        if not self.closed and self._partial_line:
            self.write("\n")
        super().close()

    def _write_line(self, line: str) -> None:
        if self._dropped_lines and self._send(
            f"vidsr: {self._dropped_lines} lines were dropped, as they were not read"
        ):
            self._dropped_lines = 0
        if not self._send(self._redactor.redact(line)):
            self._dropped_lines += 1

    def _send(self, line: str) -> bool:
        """Whether the line was written; also True if the reader has closed the pipe."""
        data = line.encode(errors="backslashreplace")[: _ATOMIC_WRITE - 1] + b"\n"
        with suppress(OSError):
            if not _is_writable(self._stream.fileno(), 0 if self._dropped_lines else _WAIT_MS):
                return False
            os.write(self._stream.fileno(), data)
        return True


def _is_writable(descriptor: int, timeout_ms: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(timeout_ms))


def _pattern(secret: str) -> str:
    """A pattern that finds long secrets anywhere, short ones as a word, the shortest only within a URL."""
    quoted = re.escape(secret)
    if len(secret) >= _MIN_ANYWHERE:
        return quoted
    if len(secret) >= _MIN_WORD:
        return rf"(?<![^\W_]){quoted}(?![^\W_])"
    return f"{_BEFORE}{quoted}{_AFTER}"


def _mask(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text with the spans masked, which are sorted and may overlap."""
    kept, end = [], 0
    for first, last in spans:
        if first >= end:
            kept += [text[end:first], MASK]
        end = max(end, last)
    return "".join([*kept, text[end:]])
