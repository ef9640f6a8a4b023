"""Where a live source or target is: an address that may hold a password, and shows none."""

import re
from dataclasses import dataclass, field
from pathlib import Path

SOURCES = ("rtsp", "rtsps", "http", "https", "udp")
TARGETS = ("rtmp", "rtmps", "rtsp", "rtsps")
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")


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

    def __str__(self) -> str:
        if not self.scheme:
            return self.text
        host = re.split(r"[/?#]", self.text.partition("://")[2].rpartition("@")[2], maxsplit=1)[0]
        return f"{self.scheme}://{host}"
