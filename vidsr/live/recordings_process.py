"""`python -m vidsr.live.recordings_process`: reads recorded files for the HTTP server, which loads no media library.

Each line of stdin is a request in JSON, each line of stdout its answer. It ends with stdin, or after a minute without
a request.
"""

import json
import math
import os
import selectors
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from vidsr.errors import SourceError, VidsrError
from vidsr.media.recording_export import export_recording
from vidsr.media.recording_index import RecordedSegment, RecordingIndex, parse_moment
from vidsr.media.recording_playback import recording_thumbnail, write_fragmented

Request = Mapping[str, str]
Facts = dict[str, object]

_IDLE_S = 60.0
_NICE = 10  # cameras go first
_MAX_LISTED = 2000
_MAX_START_S = 1e6  # in a playlist
_MAX_EXPORT_S, _MAX_EXPORT_BYTES, _MIN_FREE = 3600.0, 2_000_000_000, 500_000_000


def main() -> int:
    """The exit code, 0."""
    os.nice(_NICE)
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        while selector.select(_IDLE_S) and (line := sys.stdin.readline()):
            print(json.dumps(_answer(json.loads(line))), flush=True)
    return 0


def _answer(request: Request) -> Facts:
    """The facts; with `invalid`, what is wrong with the request; with `error`, why there is none."""
    try:
        return _ACTIONS[request["action"]](request)
    except ValueError as error:
        return {"invalid": str(error)}
    except VidsrError as error:
        folder = request.get("folder") or str(Path(request["path"]).parents[1])
        return {"error": str(error).replace(f"{folder}/", "")}
    except OSError as error:
        return {"error": str(error.strerror)}


def _list(request: Request) -> Facts:
    """The segments of a time, at most 2000, each with its files; `more` if there are others after them."""
    since_s, until_s = _times(request)
    found = dict[tuple[str, str], list[RecordedSegment]]()
    with RecordingIndex(Path(request["folder"])) as index:
        for segment in index.segments(since_s, until_s):
            found.setdefault(_key(segment.path), []).append(segment)
    entries = list(map(_entry, found.values()))
    return {"segments": entries[:_MAX_LISTED], "more": len(entries) > _MAX_LISTED}


def _key(path: Path) -> tuple[str, str]:
    """What a segment and its original share: the day, and the name without suffixes."""
    return path.parent.name, path.name.partition(".")[0]


def _entry(files: list[RecordedSegment]) -> Facts:
    first = files[0]
    return {
        "camera": first.camera,
        "start_s": round(first.start_s, 3),
        "seconds": round(max(each.seconds for each in files), 3),
        **{
            kind: next((_file(each) for each in files if each.original == (kind == "original")), None)
            for kind in ("upscaled", "original")
        },
    }


def _file(segment: RecordedSegment) -> Facts:
    """A file with its own length: under load, the upscaled one is shorter than its original."""
    return {
        "path": f"{segment.path.parent.name}/{segment.path.name}",
        "bytes": segment.size,
        "start_s": round(segment.start_s, 3),
        "seconds": round(segment.seconds, 3),
    }


def _thumbnail(request: Request) -> Facts:
    Path(request["output"]).write_bytes(recording_thumbnail(Path(request["path"])))
    return {}


def _fragmented(request: Request) -> Facts:
    headers_only, start_s = request["part"] == "init", _moment(request.get("at") or "0")
    if not 0 <= start_s <= _MAX_START_S:
        raise ValueError(f"{start_s:g} s is no time in a playlist")
    path, output = Path(request["path"]), Path(request["output"])
    return {"headers": write_fragmented(path, output, start_s=start_s, headers_only=headers_only)}


def _export(request: Request) -> Facts:
    """The bounded export of a moment; `damage` has a sentence for each damaged segment."""
    since_s, until_s = _times(request)
    if not request.get("from"):
        raise ValueError("an export needs from and to")
    if until_s - since_s > _MAX_EXPORT_S:
        raise ValueError("an export over HTTP is at most an hour; `vidsr recordings export` has no limit")
    output, original = Path(request["output"]), bool(request.get("original"))
    with RecordingIndex(Path(request["folder"])) as index:
        found = list(index.segments(since_s, until_s))
    segments = [each for each in found if each.original == original]
    if not segments:
        hint = " but the original: export it by original=1" if found and not original else ""
        raise SourceError(f"nothing is recorded of that time{hint}")
    n_bytes = sum(segment.size for segment in segments)
    if n_bytes > min(_MAX_EXPORT_BYTES, shutil.disk_usage(output.parent).free - _MIN_FREE):
        raise ValueError("the export is too large for HTTP; use `vidsr recordings export`, or ask for a shorter time")
    since_s = max(since_s, segments[0].start_s)
    paths, damage = export_recording(segments, output, since_s=since_s, until_s=until_s, overwrite=False)
    if len(paths) > 1:
        for path in paths:
            path.unlink()
        raise ValueError("the size or codec of the camera changed within that time; ask for a part of it")
    return {"damage": damage}


def _times(request: Request) -> tuple[float, float]:
    since, until = (request.get(name, "") for name in ("from", "to"))
    since_s = _moment(since) if since else 0.0
    until_s = _moment(until) if until else time.time()
    if since_s >= until_s:
        raise ValueError("from must be before to")
    return since_s, until_s


def _moment(text: str) -> float:
    """Seconds since 1970, of a number or a local time."""
    try:
        moment_s = float(text)
    except ValueError:
        return parse_moment(text)
    if not math.isfinite(moment_s):
        raise ValueError(f"{text} is not a time")
    return moment_s


_ACTIONS: dict[str, Callable[[Request], Facts]] = {
    "list": _list,
    "thumbnail": _thumbnail,
    "fragmented": _fragmented,
    "export": _export,
}


if __name__ == "__main__":
    sys.exit(main())
