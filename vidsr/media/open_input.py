"""Opening local media files only: no network, playlists, file name patterns or protocols in a name."""

from pathlib import Path

import av
from av.container import InputContainer

from vidsr.errors import SourceError

_FORMATS = ",".join(
    [
        "3gp", "aiff", "apng", "asf", "av1", "avi", "dv", "flac", "flv", "gif", "h264", "hevc", "image2", "ivf", "m4v",
        "matroska", "mjpeg", "mov", "mp3", "mp4", "mpeg", "mpegts", "mpegvideo", "mxf", "nut", "obu", "ogg", "vc1",
        "wav", "wtv", "yuv4mpegpipe", "bmp_pipe", "jpeg_pipe", "png_pipe", "tiff_pipe", "webp_pipe", "webm",
    ]
)  # fmt: skip
TAG_ERRORS = "surrogateescape"
"""How tags are decoded, and encoded again: bytes that are not UTF-8 stay what they are."""
_STILLS = {"image2", "bmp_pipe", "jpeg_pipe", "png_pipe", "tiff_pipe", "webp_pipe"}


def open_source(path: Path) -> InputContainer:
    """The file, opened for reading; the caller closes it. Raises SourceError if it is not a media file."""
    try:
        if path.is_dir():
            raise SourceError(f"{path}: is a folder")
        if path.stat().st_size == 0:
            raise SourceError(f"{path}: is empty")
        options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS, "pattern_type": "none"}
        return av.open(f"file:{path.absolute()}", container_options=options, metadata_errors=TAG_ERRORS)
    except (av.InvalidDataError, av.ArgumentError) as error:  # ArgumentError: a format that is not in the list
        raise SourceError(f"{path}: not a media file, or cut off before its index") from error
    except (av.FFmpegError, OSError) as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error


def is_still(container: InputContainer) -> bool:
    """Whether the file is an image."""
    return container.format.name in _STILLS
