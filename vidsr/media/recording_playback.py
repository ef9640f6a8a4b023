"""What browsers show of recorded segments: thumbnails, and their packets as fragmented MP4."""

import os
from itertools import islice
from pathlib import Path
from struct import unpack

import av
from av.video.reformatter import Interpolation, VideoReformatter

from vidsr.errors import SourceError
from vidsr.media.atomic_file import FullWriteFile
from vidsr.media.error_text import DISK_FULL, closing_output, read_error_text
from vidsr.media.image_writer import encode_image
from vidsr.media.open_input import open_source
from vidsr.media.stream_copy import copy_stream

_THUMBNAIL_WIDTH = 240
_FRAGMENTED = {"movflags": "+frag_keyframe+empty_moov+default_base_moof+negative_cts_offsets+frag_discont"}


def recording_thumbnail(path: Path) -> bytes:
    """The first frame of a segment as a JPEG of 240 pixels in width. Raises SourceError."""
    with open_source(path) as container:
        try:
            frame = next(container.decode(video=0))
        except (av.FFmpegError, IndexError, StopIteration) as error:
            raise SourceError(f"{path}: no frame can be read") from error
    height = max(2, round(frame.height * _THUMBNAIL_WIDTH / frame.width / 2) * 2)
    scaler = VideoReformatter()
    return encode_image(
        scaler.reformat(frame, width=_THUMBNAIL_WIDTH, height=height, interpolation=Interpolation.AREA, threads=1),
        "mjpeg",
    )


def write_fragmented(path: Path, target: Path, *, start_s: float, headers_only: bool) -> int:
    """Write a segment to `target` as fragmented MP4 for HLS, or only its headers; returns the bytes of the headers.

    Its time begins at `start_s`, as some players do not begin again where a playlist has a discontinuity. Of a damaged
    segment, what is readable is written. Raises SourceError if nothing is, or if MP4 cannot hold it, and OSError where
    the disk of `target` is full.
    """
    with open_source(path) as source:
        streams = [*source.streams.video[:1], *source.streams.audio[:1]]
        try:
            with (
                FullWriteFile(target, "wb") as file,  # FFmpeg reports no full disk of a file that it opens
                closing_output(av.open(file, "w", format="mp4", container_options=_FRAGMENTED)) as output,
            ):
                copies = {stream.index: copy_stream(stream, output) for stream in streams}
                output.start_encoding()
                for packet in islice(source.demux(streams), 0 if headers_only else None):
                    if not packet.size or packet.dts is None:
                        continue
                    offset = round(start_s / packet.time_base)
                    packet.pts = (packet.dts if packet.pts is None else packet.pts) + offset
                    packet.dts += offset
                    packet.stream = copies[packet.stream.index]
                    output.mux_one(packet)
        except (av.FFmpegError, OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in DISK_FULL:
                raise
            if headers_only or not _headers_end(target):
                reason = "MP4 cannot hold it" if isinstance(error, ValueError) else read_error_text(error)
                raise SourceError(f"{path}: {reason}") from error
    return _headers_end(target)


def _headers_end(path: Path) -> int:
    """Where the first fragment begins: the end of `moov`; 0 without one."""
    at = 0
    with path.open("rb") as file:
        while len(head := file.read(8)) == 8:
            length, name = unpack(">I4s", head)
            if length < 8:
                return 0
            at = file.seek(at + length, os.SEEK_SET)
            if name == b"moov":
                return at
    return 0
