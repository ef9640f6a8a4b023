"""Answers of the HTTP server: bytes, files with ranges, and endless streams."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

Environ = dict[str, Any]

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_OWN_IMAGES_ONLY = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer, whose headers replace the common ones of the same names."""

    status: str = "200 OK"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | BinaryIO | Iterable[bytes] = b""
    """A file is at its first byte, and closed by the server."""
    length: int | None = None
    """The bytes of a body that is a file; None for an endless one."""

    def all_headers(self) -> list[tuple[str, str]]:
        """The headers, with those that all answers have."""
        length = len(self.body) if isinstance(self.body, bytes) else self.length
        sized = {} if length is None else {"Content-Length": str(length)}
        return list({**sized, **COMMON_HEADERS, **self.headers}.items())


COMMON_HEADERS: dict[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _OWN_IMAGES_ONLY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def text_response(status: str, text: str, *, kind: str = "text/plain", headers: Mapping[str, str] = {}) -> Response:
    """A text, in UTF-8."""
    body = text.encode(errors="replace")
    return Response(status=status, headers={"Content-Type": f"{kind}; charset=utf-8", **headers}, body=body)


def not_found() -> Response:
    """The answer for all that does not exist."""
    return text_response("404 Not Found", "not found\n")


def file_answer(
    file: BinaryIO,
    environ: Environ,
    *,
    kind: str,
    headers: Mapping[str, str] = {},
    begin: int = 0,
    end: int | None = None,
) -> Response:
    """The bytes of a file from `begin` to `end`, or the part of them that the request asks for."""
    size = (os.fstat(file.fileno()).st_size if end is None else end) - begin
    headers = {"Content-Type": kind, "Accept-Ranges": "bytes", **headers}
    first, last, status = 0, size - 1, "200 OK"
    found = _RANGE.fullmatch(environ.get("HTTP_RANGE", ""))
    if found and (found[1] or found[2]):
        first = int(found[1]) if found[1] else max(0, size - int(found[2]))
        last = min(last, int(found[2])) if found[1] and found[2] else last
        if first > last:
            file.close()
            unmet = {"Content-Range": f"bytes */{size}"}
            return text_response("416 Range Not Satisfiable", "the file has no such bytes\n", headers=unmet)
        headers["Content-Range"], status = f"bytes {first}-{last}/{size}", "206 Partial Content"
    file.seek(begin + first)
    return Response(status=status, headers=headers, body=file, length=last - first + 1)
