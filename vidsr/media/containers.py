"""The files that can be written, by the end of their name."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vidsr.errors import TargetError


@dataclass(frozen=True, kw_only=True)
class Container:
    """A kind of file, by FFmpeg's name for its format."""

    format: str
    turns: bool = False
    """Whether it can tell a player to turn the picture."""
    codecs: frozenset[str] | None = None
    """What it has names for, where FFmpeg would write all else as data that nothing can read; None: FFmpeg knows."""


_BROADCAST = frozenset(
    [
        "h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vvc", "aac", "aac_latm", "ac3", "eac3", "dts", "mp1",
        "mp2", "mp3", "opus", "s302m", "truehd", "dvb_subtitle", "dvb_teletext", "klv",
    ]
)  # fmt: skip
# AVI is not among them: it has no time stamps, and B-frames leave it shifted.
_VIDEOS = {
    ".mp4": Container(format="mp4", turns=True),
    ".m4v": Container(format="mp4", turns=True),
    ".mov": Container(format="mov", turns=True),
    ".mkv": Container(format="matroska"),
    ".webm": Container(format="webm"),
    ".ts": Container(format="mpegts", codecs=_BROADCAST),
    ".nut": Container(format="nut"),
}
_PICTURES = {".png": "png", ".jpg": "mjpeg", ".jpeg": "mjpeg"}

VIDEO_SUFFIXES = frozenset(_VIDEOS)
PICTURE_SUFFIXES = frozenset(_PICTURES)
OTHER_VIDEO_SUFFIXES = frozenset(
    [".3gp", ".avi", ".flv", ".m2ts", ".mpeg", ".mpg", ".mts", ".ogv", ".vob", ".wmv"]
)  # fmt: skip
OTHER_PICTURE_SUFFIXES = frozenset([".bmp", ".tif", ".tiff", ".webp"])
"""What is read, but not written."""

_FINEST_TICKS = 90_000  # a second, at least: copied sound, too, should begin where it began


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


def muxer_options(kind: Container, time_base: Fraction, *, covers: bool, tags: Iterable[str]) -> dict[str, str]:
    """What the muxer is told of a file with pictures timed in `time_base`, such tags, and perhaps `covers`."""
    options = {"flush_packets": "1"}  # or the last 256 KiB are lost in a crash
    if not kind.turns:
        return options
    # The edit list holds the start of each stream, in ticks of the movie: a thousand a second unless told otherwise.
    # FFmpeg leaves it out of fragments unless it is told, too.
    ticks = time_base.denominator * -(-_FINEST_TICKS // time_base.denominator)
    options |= {"movie_timescale": str(ticks), "use_editlist": "1"}
    flags = []
    if any(tag.startswith("com.") for tag in tags):  # a telephone's, which have no other place
        flags.append("use_metadata_tags")
    if not covers or kind.format == "mov":  # in fragments FFmpeg gives a cover in MP4 an empty track of its own
        # While it is written, so that a crash leaves what was done; a plain file once it is closed.
        flags.append("hybrid_fragmented")
        options["frag_duration"] = "1000000"
    return options | ({"movflags": "+".join(["", *flags])} if flags else {})
