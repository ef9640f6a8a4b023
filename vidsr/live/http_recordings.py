"""The recordings over HTTP: lists in JSON, playlists, thumbnails, the files themselves, exports, and a page."""

import json
import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO
from urllib.parse import parse_qsl

from vidsr.html_template import render_html_template
from vidsr.live.config import CameraConfig, module_command
from vidsr.live.http_response import Environ, Response, file_answer, not_found, text_response
from vidsr.live.recordings_client import Facts, RecordingsClient, RecordingsError
from vidsr.media.sink.retention import SEGMENT_NAME, finished_segments

_SEGMENT = re.compile(rf"(\d{{4}}-\d{{2}}-\d{{2}})/({SEGMENT_NAME.pattern})")
_PATH = re.compile(r"/recordings/([A-Za-z0-9_-]+)/(.*)", re.DOTALL)
_READ_S, _EXPORT_S, _MAX_WAITING = 60.0, 600.0, 6
_MAX_THUMBNAILS = 500
_SAME_S = 1.0  # between the end of a segment and the start of the next: their starts were taken by a clock
_VIDEO_KINDS = {".mp4": "video/mp4", ".mkv": "video/matroska"}
_KEPT = {"Cache-Control": "private, max-age=3600"}
"""Headers of what never changes; thumbnails are asked for again and again."""
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'; media-src 'self'; "
    "style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class RecordingsSite:
    """Answers what is below /recordings and /api, for the cameras with a directory of segments."""

    def __init__(self, configs: Callable[[], Sequence[CameraConfig]], temp_dir: Path) -> None:
        """`configs` is called from several threads; exports are written in `temp_dir` first."""
        self._configs, self._temp_dir = configs, temp_dir
        command = module_command("vidsr.live.recordings_process")
        self._reader = RecordingsClient(command, timeout_s=_READ_S, max_waiting=_MAX_WAITING)
        self._exporter = RecordingsClient(command, timeout_s=_EXPORT_S, max_waiting=1)
        self._thumbnail = lru_cache(_MAX_THUMBNAILS)(self._read_thumbnail)
        self._lock, self._n_outputs = Lock(), 0

    @property
    def pids(self) -> list[int]:
        """The ids of the running processes."""
        return [pid for client in (self._reader, self._exporter) if (pid := client.pid)]

    def close(self) -> None:
        """End the processes."""
        self._reader.close()
        self._exporter.close()

    def folders(self) -> dict[str, Path]:
        """The directory of segments of each camera that has one."""
        return {config.name: config.segment_dir for config in self._configs() if config.segment_dir}

    def answer(self, environ: Environ) -> Response:
        """The answer to a request."""
        path = environ["PATH_INFO"]
        try:
            query = dict(parse_qsl(environ["QUERY_STRING"], max_num_fields=16))
            if path == "/api/recordings":
                return self._list(query)
            if path == "/api/export":
                return self._export(query, environ)
            if found := _PATH.fullmatch(path):
                folder = self.folders().get(found[1])
                return self._of_camera(found[1], folder, found[2], query, environ) if folder else not_found()
            return not_found()
        except RecordingsError as error:
            return text_response("503 Service Unavailable", f"{error}\n", headers={"Retry-After": "2"})
        except ValueError as error:
            return text_response("400 Bad Request", f"{error}\n")
        except LookupError as error:
            return text_response("404 Not Found", f"{error}\n")
        except OSError:
            return not_found()

    def _of_camera(self, name: str, folder: Path, rest: str, query: Mapping[str, str], environ: Environ) -> Response:
        match rest:
            case "":
                days = _days(folder)
                page = render_html_template("live/recordings.html", camera=name, days=days)
                return text_response(
                    "200 OK", page, kind="text/html", headers={"Content-Security-Policy": _PAGE_POLICY}
                )
            case "player.js":
                script = files("vidsr.live").joinpath("player.js").read_text(encoding="utf-8")
                return text_response("200 OK", script, kind="text/javascript")
            case "playlist.m3u8":
                return self._playlist(folder, query)
            case _:
                return self._of_segment(folder, rest, query, environ)

    def _list(self, query: Mapping[str, str]) -> Response:
        folders = self.folders()
        if "camera" not in query:
            cameras = [{"name": name, "days": _days(folder)} for name, folder in folders.items()]
            return _json({"cameras": cameras})
        if not (folder := folders.get(query["camera"])):
            return not_found()
        return _json(self._segments(folder, query))

    def _segments(self, folder: Path, query: Mapping[str, str]) -> Facts:
        return _checked(self._reader.call({"action": "list", "folder": str(folder), **_times(query)}))

    def _playlist(self, folder: Path, query: Mapping[str, str]) -> Response:
        facts: Any = self._segments(folder, query)
        kind = "original" if query.get("original") else "upscaled"
        found = [each[kind] for each in facts["segments"] if each[kind]]
        listed = [(file["seconds"], file["start_s"], file["path"]) for file in found]
        listed = [each for each in listed if each[0] > 0 and each[2].endswith(".mp4")]
        return text_response("200 OK", playlist_text(listed), kind="application/vnd.apple.mpegurl")

    def _of_segment(self, folder: Path, rest: str, query: Mapping[str, str], environ: Environ) -> Response:
        """A segment itself, its thumbnail (.jpg), or its parts for HLS (.init, .m4s)."""
        stem, _, suffix = rest.rpartition(".")
        asked = rest if _SEGMENT.fullmatch(rest) else stem
        if not (found := _SEGMENT.fullmatch(asked)):
            return not_found()
        file = open_segment(folder, found[1], found[2])
        if asked == rest:
            return file_answer(file, environ, kind=_VIDEO_KINDS[Path(rest).suffix])
        file.close()
        match suffix:
            case "jpg":
                data = self._thumbnail(folder / asked)
                return Response(headers={"Content-Type": "image/jpeg", **_KEPT}, body=data)
            case "init" | "m4s":
                return self._fragmented(folder / asked, suffix, query.get("at", "0"), environ)
            case _:
                return not_found()

    def _read_thumbnail(self, path: Path) -> bytes:
        output, _ = self._output(self._reader, {"action": "thumbnail", "path": str(path)}, ".jpg")
        with output:
            return output.read()

    def _fragmented(self, path: Path, part: str, at: str, environ: Environ) -> Response:
        request = {"action": "fragmented", "path": str(path), "part": part, "at": at}
        output, facts = self._output(self._reader, request, ".mp4")
        headers = facts["headers"]
        assert isinstance(headers, int)
        begin, end = (0, headers) if part == "init" else (headers, None)
        return file_answer(output, environ, kind="video/mp4", begin=begin, end=end)

    def _export(self, query: Mapping[str, str], environ: Environ) -> Response:
        name = query.get("camera", "")
        if not (folder := self.folders().get(name)):
            return not_found()
        original = {"original": "1"} if query.get("original") else {}
        request = {"action": "export", "folder": str(folder), **_times(query), **original}
        output, facts = self._output(self._exporter, request, ".mp4")
        damaged = {"X-Vidsr-Damaged": "1"} if facts["damage"] else {}
        stem = "-".join(re.sub(r"[^0-9T.]", "", part) for part in _times(query).values())
        attached = {"Content-Disposition": f'attachment; filename="{name}-{stem}.mp4"', **damaged}
        return file_answer(output, environ, kind="video/mp4", headers=attached)

    def _output(self, client: RecordingsClient, request: Mapping[str, str], suffix: str) -> tuple[BinaryIO, Facts]:
        """The file that the process wrote, which has no name any more, and what it said."""
        with self._lock:
            self._n_outputs += 1
            path = self._temp_dir / f"recording-{self._n_outputs}{suffix}"
        try:
            facts = _checked(client.call({**request, "output": str(path)}))
            return path.open("rb"), facts
        finally:
            for each in (path, path.with_name(path.name + ".part")):
                with suppress(OSError):
                    each.unlink(missing_ok=True)


def playlist_text(segments: Sequence[tuple[float, float, str]]) -> str:
    """An HLS playlist of segments: seconds, start in seconds since 1970, and path.

    Its time is that of the clock, from the first segment on; a segment that begins about where the one before ends
    begins exactly there.
    """
    longest = max((seconds for seconds, _, _ in segments), default=0.0)
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        f"#EXT-X-TARGETDURATION:{round(longest + 0.5)}",
    ]
    end_s = 0.0
    for number, (seconds, start_s, path) in enumerate(segments):
        at_s = start_s - segments[0][1]
        if number and abs(at_s - end_s) < _SAME_S:
            at_s = end_s
        elif number:
            lines.append("#EXT-X-DISCONTINUITY")
        lines += [f'#EXT-X-MAP:URI="{path}.init"', f"#EXT-X-PROGRAM-DATE-TIME:{_utc(start_s)}"]
        lines += [f"#EXTINF:{seconds:.3f},", f"{path}.m4s?at={at_s:.3f}"]
        end_s = at_s + seconds
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def open_segment(folder: Path, day: str, name: str) -> BinaryIO:
    """The file of a segment, through no link below its directory. Raises OSError."""
    handle = os.open(folder / day, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        file = os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle), "rb")
    finally:
        os.close(handle)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise FileNotFoundError(name)
    return file


def _days(folder: Path) -> list[str]:
    """The days with segments, in order."""
    return sorted({segment.paths[0].parent.name for segment in finished_segments(folder)})


def _times(query: Mapping[str, str]) -> dict[str, str]:
    return {name: query[name] for name in ("from", "to") if name in query}


def _checked(facts: Facts) -> Facts:
    """The facts. Raises ValueError for an invalid request, and LookupError for what cannot be read."""
    if "invalid" in facts:
        raise ValueError(facts["invalid"])
    if "error" in facts:
        raise LookupError(facts["error"])
    return facts


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _json(facts: Mapping[str, object]) -> Response:
    return text_response("200 OK", json.dumps(facts) + "\n", kind="application/json")
