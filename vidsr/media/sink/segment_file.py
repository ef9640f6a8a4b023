"""A file that is being recorded: a .part file until it is complete."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import av
from av.stream import Stream

from vidsr.errors import TargetError
from vidsr.media.atomic_file import AtomicFile
from vidsr.media.containers import container_for, muxer_options
from vidsr.media.sink.muxer import Muxer
from vidsr.media.sink.segment_recovery import is_playable, recover_part, segment_part_path
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
