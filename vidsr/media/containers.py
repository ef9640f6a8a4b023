"""Container formats by file name suffix, and the options of their muxers."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from vidsr.errors import TargetError
from vidsr.media.pipes import STDOUT
from vidsr.media.side_data import StreamKind


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container format."""

    format: str
    """FFmpeg's name of the muxer."""
    has_display_matrix: bool = False
    """Whether the container stores a display matrix, by which players rotate the frames."""
    side_data: frozenset[StreamKind] = frozenset()
    """The side data of a stream that it stores."""
    seekable: bool = True
    """Whether the header can be completed when all is written."""
    codecs: frozenset[str] | None = None
    """The codecs it supports, if FFmpeg writes others as unreadable data; None: FFmpeg checks them."""

    @property
    def is_raw(self) -> bool:
        """Whether it holds the frames of one video and nothing else, not even their times."""
        return self.format == "yuv4mpegpipe"


_MATROSKA_SIDE_DATA = frozenset(
    [
        StreamKind.STEREO3D, StreamKind.SPHERICAL, StreamKind.MASTERING_DISPLAY_METADATA,
        StreamKind.CONTENT_LIGHT_LEVEL, StreamKind.FRAME_CROPPING,
    ]
)  # fmt: skip
_MP4_SIDE_DATA = _MATROSKA_SIDE_DATA | {
    StreamKind.DISPLAYMATRIX, StreamKind.ICC_PROFILE, StreamKind.AMBIENT_VIEWING_ENVIRONMENT,
}  # fmt: skip
_MPEGTS_CODECS = frozenset(
    [
        "h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vvc", "aac", "aac_latm", "ac3", "eac3", "dts", "mp1",
        "mp2", "mp3", "opus", "s302m", "truehd", "dvb_subtitle", "dvb_teletext", "klv", "timed_id3", "smpte_2038",
    ]
)  # fmt: skip
# Without AVI: it has no time stamps, and B-frames shift its frames.
_VIDEOS = {
    ".mp4": Container(format="mp4", has_display_matrix=True, side_data=_MP4_SIDE_DATA),
    ".m4v": Container(format="mp4", has_display_matrix=True, side_data=_MP4_SIDE_DATA),
    ".mov": Container(format="mov", has_display_matrix=True, side_data=_MP4_SIDE_DATA - {StreamKind.STEREO3D}),
    ".mkv": Container(format="matroska", side_data=_MATROSKA_SIDE_DATA),
    ".webm": Container(format="webm", side_data=_MATROSKA_SIDE_DATA),
    ".ts": Container(format="mpegts", codecs=_MPEGTS_CODECS),
    ".nut": Container(format="nut"),
}
_Y4M = Container(format="yuv4mpegpipe", codecs=frozenset(["rawvideo"]))
_STREAMS = {"y4m": _Y4M, "matroska": _VIDEOS[".mkv"], "nut": _VIDEOS[".nut"], "mpegts": _VIDEOS[".ts"]}
"""What may be written to standard output."""
_STREAM_SUFFIXES = {"y4m": ".nut", "matroska": ".mkv", "nut": ".nut", "mpegts": ".ts"}
"""Of files that hold the same."""
_IMAGES = {".png": "png", ".jpg": "mjpeg", ".jpeg": "mjpeg"}

VIDEO_SUFFIXES = frozenset(_VIDEOS)
IMAGE_SUFFIXES = frozenset(_IMAGES)
READ_ONLY_VIDEO_SUFFIXES = frozenset(
    [
        ".264", ".265", ".3g2", ".3gp", ".apng", ".asf", ".av1", ".avi", ".avs", ".avs2", ".avs3", ".cine",
        ".dav", ".dif", ".divx", ".dv", ".dvr-ms", ".f4v", ".flc", ".fli", ".flv", ".gif", ".gxf", ".h261",
        ".h263", ".h264", ".h265", ".hevc", ".insv", ".ivf", ".kux", ".lrv", ".m1v", ".m2t", ".m2ts", ".m2v",
        ".mj2", ".mjpeg", ".mjpg", ".mod", ".moflex", ".mp2v", ".mpe", ".mpeg", ".mpg", ".mpv", ".mts",
        ".mxf", ".mxg", ".nsv", ".nuv", ".obu", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".ser", ".smk", ".swf",
        ".tod", ".tp", ".trp", ".ty", ".vc1", ".viv", ".vob", ".vro", ".vvc", ".wmv", ".wtv", ".xmv", ".y4m",
    ]
)  # fmt: skip
READ_ONLY_IMAGE_SUFFIXES = frozenset(
    [
        ".avif", ".bmp", ".dds", ".dpx", ".exr", ".heic", ".heif", ".hif", ".j2k", ".jfif", ".jp2", ".jpe",
        ".jls", ".pam", ".pbm", ".pcx", ".pgm", ".pnm", ".ppm", ".psd", ".qoi", ".ras", ".sgi", ".tga",
        ".tif", ".tiff", ".webp", ".xbm", ".xpm", ".xwd",
    ]
)  # fmt: skip
"""Suffixes that are read, but not written."""
READABLE_VIDEOS = VIDEO_SUFFIXES | READ_ONLY_VIDEO_SUFFIXES
READABLE = READABLE_VIDEOS | IMAGE_SUFFIXES | READ_ONLY_IMAGE_SUFFIXES

_MIN_TIMESCALE = 90_000  # ticks per second: copied audio, too, should keep its start time


def container_for(target: Path, output_format: str | None = None, *, or_image: bool = True) -> Container:
    """The container of a video file by its suffix, and of standard output by the `output_format` of the settings.

    Raises TargetError for an unknown suffix; its sentence names those of images, too, if `or_image`.
    """
    if target == STDOUT:
        return replace(_STREAMS[output_format or "y4m"], seekable=False)
    try:
        return _VIDEOS[target.suffix.lower()]
    except KeyError:
        known = " ".join(sorted({*_VIDEOS, *(_IMAGES if or_image else ())}))
        raise TargetError(f"{target}: the name must end in one of {known}") from None


def trial_suffix(target: Path, output_format: str | None) -> str:
    """The suffix of a file that holds what the target would: its own, for standard output by the `output_format`."""
    return _STREAM_SUFFIXES[output_format or "y4m"] if target == STDOUT else target.suffix


def image_codec_for(target: Path) -> str | None:
    """The encoder of an image file by its suffix; None for other suffixes."""
    return _IMAGES.get(target.suffix.lower())


def muxer_options(kind: Container, time_base: Fraction, *, covers: bool, tags: Iterable[str]) -> dict[str, str]:
    """Muxer options for a video with this `time_base`, file tags, and cover art or not (`covers`)."""
    options = {"flush_packets": "1"}  # otherwise the last 256 KiB are lost in a crash
    if kind.is_raw:
        options["strict"] = "unofficial"  # for more than 8 bits
    if kind.format in ("matroska", "webm"):
        options["fflags"] = "+bitexact"  # otherwise their identifiers are random: the same run writes the same bytes
    if not kind.has_display_matrix:
        return options
    # The edit list stores the start of each stream in ticks of the movie, by default 1000 per second; in fragmented
    # files FFmpeg writes it on request only.
    ticks = time_base.denominator * -(-_MIN_TIMESCALE // time_base.denominator)
    options |= {"movie_timescale": str(ticks), "use_editlist": "1"}
    if kind.format == "mp4":
        options["strict"] = "unofficial"  # for the side data of 360 degrees and stereo
    flags = []
    if any(tag.startswith("com.") for tag in tags):  # phones write such tags
        flags.append("use_metadata_tags")
    if not covers or kind.format == "mov":  # FFmpeg writes cover art in fragmented MP4 as an empty track
        # Fragmented while it is written, readable after a crash; a regular file once it is closed.
        flags.append("hybrid_fragmented")
        options["frag_duration"] = "1000000"
    return options | ({"movflags": "+".join(["", *flags])} if flags else {})


def is_playlist(path: Path) -> bool:
    """Whether a target is an HLS playlist."""
    return path.suffix.lower() == ".m3u8"


def is_video(path: Path) -> bool:
    """Whether a target is a single file, of a writable format or not. All other paths are directories."""
    return path.suffix.lower() in READABLE_VIDEOS
