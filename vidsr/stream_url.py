"""The URL or path of a live source or target, which may hold a password, but never shows it."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

SOURCE_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp")
TARGET_SCHEMES = ("rtmp", "rtmps", "rtsp", "rtsps")
STDOUT = "-"
"""The target that is the standard output."""
PIPE_SCHEME = "pipe"
"""Of the target in its place, pipe://FD, while processes hand on its file."""
MASK = "***"
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")
_URL = re.compile(
    r"(?P<scheme>[^:]+)://((?P<userinfo>[^/?#\s]*)@)?(?P<host>([\w.-]*|\[[0-9a-fA-F:.]+\])(:\d{1,5})?)"
    r"(?P<rest>([/?#][^@\s]*)?)"
)
_STREAM_KEY_SCHEMES = ("rtmp", "rtmps")
_SEPARATORS = re.compile(r"[/?#@:&;=\s]")
_MIN_WORD, _MIN_KEY = 4, 12


@dataclass(frozen=True)
class StreamUrl:
    """A URL, or the path of a file or directory: `text` is complete, with secrets; `str()` may be shown."""

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
    def is_device(self) -> bool:
        """Whether it is the path of a camera of V4L2: /dev/video0, or a link in /dev/v4l; not a file in /dev/shm."""
        return self.text.startswith(("/dev/video", "/dev/v4l/"))

    @property
    def is_file(self) -> bool:
        """Whether it is the path of anything else."""
        return not self.scheme and not self.is_device

    @property
    def is_playlist(self) -> bool:
        """Whether it is the URL of an HLS playlist."""
        return self.scheme in ("http", "https") and re.split(r"[?#]", self.text)[0].lower().endswith(".m3u8")

    @property
    def is_wellformed(self) -> bool:
        """Whether the host can be separated from the rest: a path, or a URL whose password has no raw / ? # @.

        Of any other URL only the scheme is shown: its apparent host may be part of a password.
        """
        return not self.scheme or _URL.fullmatch(self.text) is not None

    def __str__(self) -> str:
        if not self.scheme:
            return self.text
        if self.scheme == PIPE_SCHEME:
            return "standard output"
        found = _URL.fullmatch(self.text)
        return f"{self.scheme}://{found['host'] if found else MASK}"

    def secrets(self, shown: str = "") -> frozenset[str]:
        """The parts of a URL that must not be shown anywhere: all but scheme, host and port, in every spelling.

        A segment of its path is a secret only if it looks like a key or holds "="; the user name and the path are none
        where they are part of `shown`, as of a camera that is pushed under its own name.
        """
        if not self.scheme or self.scheme == PIPE_SCHEME:
            return frozenset()
        spellings = {spelling for part in self._secret_parts(shown) for spelling in _spellings(part)}
        return frozenset(line for text in spellings for line in text.splitlines() if line)

    def _secret_parts(self, shown: str) -> Iterator[str]:
        """The secret parts as they are written, including the whole URL."""
        yield self.text
        head, _, tail = self.text.partition("://")[2].rpartition("@")
        found = _URL.fullmatch(self.text)
        userinfo, rest = (found["userinfo"] or "", found["rest"]) if found else (head, tail)
        if not found:  # any piece may be part of a password
            yield from (piece for piece in _SEPARATORS.split(f"{head}@{tail}") if len(piece) >= _MIN_WORD)
        user, _, password = userinfo.partition(":")
        yield from (userinfo, password)
        if userinfo:
            yield b64encode(unquote(userinfo).encode()).decode()  # as HTTP sends it
        path, _, query = rest.partition("?")
        for part in (user, *self._path_secrets(path), *([rest] if len(rest.strip("/?#")) >= _MIN_KEY else [])):
            if "=" in part or unquote(part).lower() not in shown.lower():
                yield part
        yield from re.findall(r"=(.+?)(?=[_&;,][^_&;,=/#]*=|\.\w+(?:[/#]|$)|[/#]|$)", path)
        for pair in re.split(r"[&;#]", query):
            yield pair.partition("=")[2] or pair

    def _path_secrets(self, path: str) -> Iterator[str]:
        """The segments of a path that are secrets: stream keys, and "user=admin_password=secret"."""
        segments = [segment for segment in re.split(r"[/#]", path) if segment]
        for number, segment in enumerate(segments):
            key = self.scheme in _STREAM_KEY_SCHEMES and number == len(segments) - 1
            if key or "=" in segment or (len(segment) >= _MIN_KEY and re.search(r"\d", segment)):
                yield segment


def _spellings(text: str) -> Iterator[str]:
    """The text as it is, decoded, encoded again, and as Python and JSON quote it."""
    decoded = unquote(text)
    for form in (text, decoded):
        yield from (form, quote(form, safe=""), quote(form))
    yield from (repr(decoded)[1:-1], json.dumps(decoded)[1:-1])
