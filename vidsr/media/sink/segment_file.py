"""A file that is being recorded: a .part file until it is complete; and the recovery of those that a crash cut off."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from struct import unpack
from typing import BinaryIO

import av
from av.stream import Stream

from vidsr.errors import SourceError, TargetError
from vidsr.media.atomic_file import AtomicFile, fsync_dir
from vidsr.media.containers import container_for, muxer_options
from vidsr.media.open_input import open_source
from vidsr.media.sink.muxer import Muxer
from vidsr.media.source.live_timestamps import TIME_BASE
from vidsr.media.stream_template import StreamTemplate


class SegmentFile:
    """A file with a video stream like `video` and, unless None, an audio stream like `audio`, from `start_pts`.

    It gets its final name by `finish`, `finish_or_recover` or `recover`. One of them or `discard` must be called, in
    any thread. Raises TargetError for a codec that its format does not hold.
    """

    def __init__(
        self,
        path: Path,
        *,
        video: Stream,
        audio: StreamTemplate | None,
        start_pts: int,
        on_frame: Callable[[int], None] = lambda _pts: None,
        tags: Mapping[str, str] = {},
        overwrite: bool = False,
    ) -> None:
        self.start_pts, self._overwrite = start_pts, overwrite
        kind = container_for(path, or_image=False)
        self._atomic_file = AtomicFile(path, source=None, overwrite=overwrite, part=segment_part_path(path))
        options = muxer_options(kind, TIME_BASE, covers=False, tags=())
        if kind.has_display_matrix:
            # Write the index after the first packet of each stream: an earlier edit list hides the first second of a
            # file that is never closed, and without an edit list audio that begins late is out of sync.
            options["movflags"] += "+delay_moov"
        try:
            self._muxer = Muxer(
                self._atomic_file.file,
                format=kind.format,
                options=options,
                video=video,
                audio=audio,
                start_pts=start_pts,
                on_frame=on_frame,
                tags=tags,
            )
        except BaseException as error:
            self._atomic_file.discard()
            if isinstance(error, ValueError) and not isinstance(error, av.FFmpegError):  # a codec, in PyAV's words
                raise TargetError(f"{path}: {error}; use .mkv") from error
            raise
        self.write_video, self.write_audio = self._muxer.write_video, self._muxer.write_audio

    def finish(self) -> bool:
        """Close, validate and rename the file; returns whether it holds any frame.

        After a TargetError, FFmpegError or OSError the file can still be recovered or discarded.
        """
        self._muxer.close()
        if not is_playable(self._atomic_file.part):
            return self.recover()
        self._atomic_file.commit()
        return True

    def finish_or_recover(self) -> bool:
        """As `finish`, and after an error as `recover` before it is raised."""
        try:
            return self.finish()
        except (TargetError, av.FFmpegError, OSError):
            if self._atomic_file.owns_part():
                self.recover()
            raise

    def recover(self) -> bool:
        """Like `finish`, for a file that could not be written completely. Raises OSError."""
        self._atomic_file.file.close()  # first, so that PyAV writes no index
        with suppress(av.FFmpegError, OSError, ValueError):
            self._muxer.close()
        return recover_part(self._atomic_file.part, overwrite=self._overwrite)

    def discard(self) -> None:
        """Close and delete the file; does nothing after `finish` or `recover`. Raises OSError."""
        self._atomic_file.discard()
        with suppress(av.FFmpegError, OSError, ValueError):
            self._muxer.close()


_FRAGMENTED = {".mp4", ".m4v", ".mov"}


def is_playable(path: Path) -> bool:
    """Whether the file opens and begins with a key frame."""
    try:
        with open_source(path) as container:
            first = next((packet for packet in container.demux(video=0) if packet.size), None)
            return first is not None and first.is_keyframe
    except (SourceError, av.FFmpegError, IndexError):
        return False


def recover_part(part: Path, *, overwrite: bool = False) -> bool:
    """Truncate a .part file to its last complete fragment and give it its final name; returns whether that succeeded.

    Another file of that name is replaced with `overwrite`, else this one gets an `unused_path`. A file without a
    complete fragment is deleted. Raises OSError, also for one that may not be read, which stays.
    """
    is_fragmented = part.with_suffix("").suffix in _FRAGMENTED
    with part.open("r+b" if is_fragmented else "rb") as file:
        if is_fragmented:
            file.truncate(end_of_last_fragment(file))
            os.fsync(file.fileno())
    if not is_playable(part):
        part.unlink()
        return False
    target = part.with_suffix("")
    part.rename(target if overwrite else unused_path(target, own=part))
    fsync_dir(part.parent)
    return True


def unused_path(path: Path, *, own: Path | None = None) -> Path:
    """The path, or the first of path_2, path_3 and so on for which no file and no other .part file exists than `own`.

    Names sort by time: "_" sorts behind ".", while "-" would sort before it.
    """
    names = chain([path], (path.with_stem(f"{path.stem}_{number}") for number in count(2)))
    # Test the .part file first: another thread may rename it in between.
    return next(
        name
        for name in names
        if (segment_part_path(name) == own or not segment_part_path(name).exists()) and not name.exists()
    )


def segment_part_path(path: Path) -> Path:
    """The path of a file while it is being written."""
    return path.with_name(path.name + ".part")


def end_of_last_fragment(file: BinaryIO) -> int:
    """The end of the last complete fragment: a `moof` counts only with its `mdat`."""
    size = file.seek(0, os.SEEK_END)
    at = end = file.seek(0)
    while len(head := file.read(16)) >= 8:
        length, name = unpack(">I4s", head[:8])
        if length == 1 and len(head) == 16:
            (length,) = unpack(">Q", head[8:])
        if length < 8 or at + length > size:
            break
        at = file.seek(at + length)
        end = end if name == b"moof" else at
    return end
