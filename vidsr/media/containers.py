"""The files that can be written, by the end of their name."""

from dataclasses import dataclass, field
from pathlib import Path

from vidsr.errors import TargetError


@dataclass(frozen=True, kw_only=True)
class Container:
    """How FFmpeg writes a kind of file."""

    format: str
    options: dict[str, str] = field(default_factory=dict)
    turns: bool = False
    """Whether it can tell a player to turn the picture."""


# Fragments while it is written, so that a crash leaves what was done; a plain MP4 once it is closed. FFmpeg leaves
# edit lists, which hold the start of each stream, out of fragments unless it is told.
_MP4 = {"movflags": "+hybrid_fragmented", "frag_duration": "1000000", "flush_packets": "1", "use_editlist": "1"}

_VIDEOS = {
    ".mp4": Container(format="mp4", options=_MP4, turns=True),
    ".m4v": Container(format="mp4", options=_MP4, turns=True),
    ".mov": Container(format="mov", options=_MP4, turns=True),
    ".mkv": Container(format="matroska"),
    ".webm": Container(format="webm"),
    ".ts": Container(format="mpegts"),
    ".avi": Container(format="avi"),
    ".nut": Container(format="nut"),
}
_PICTURES = {".png": "png", ".jpg": "mjpeg", ".jpeg": "mjpeg"}

VIDEO_SUFFIXES = frozenset(_VIDEOS)
PICTURE_SUFFIXES = frozenset(_PICTURES)


def container_for(target: Path) -> Container:
    """The container of a video file's name. Raises TargetError for an end that is not known."""
    try:
        return _VIDEOS[target.suffix.lower()]
    except KeyError:
        known = " ".join(sorted({*_VIDEOS, *_PICTURES}))
        raise TargetError(f"{target}: the name must end in one of {known}") from None


def picture_codec_for(target: Path) -> str | None:
    """The encoder of a picture file's name, None for other names."""
    return _PICTURES.get(target.suffix.lower())
