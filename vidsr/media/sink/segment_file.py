"""A file that is being recorded: a .part file until it is complete and synced to disk."""

from contextlib import suppress
from pathlib import Path

import av
from av.stream import Stream

from vidsr.media.atomic_file import AtomicFile
from vidsr.media.containers import container_for, muxer_options
from vidsr.media.sink.muxer import Muxer
from vidsr.media.sink.recovery import is_playable, part_path, recover_part
from vidsr.media.source.live_timestamps import TIME_BASE
from vidsr.media.stream_template import StreamTemplate


class SegmentFile:
    """A file with a video stream like `video` and, unless None, an audio stream like `audio`, from `start_pts`.

    It gets its final name by `finish` or `recover`. One of them must be called, in any thread.
    """

    def __init__(self, path: Path, *, video: Stream, audio: StreamTemplate | None, start_pts: int) -> None:
        self.start_pts, self.has_audio = start_pts, audio is not None
        kind = container_for(path)
        self._atomic_file = AtomicFile(path, source=None, overwrite=False, part=part_path(path))
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
            )
        except BaseException:
            self._atomic_file.discard()
            raise
        self.write_video, self.write_audio = self._muxer.write_video, self._muxer.write_audio

    def finish(self) -> bool:
        """Close, validate and rename the file; returns whether it holds any frame.

        After a TargetError, FFmpegError or OSError the file has been recovered as far as possible.
        """
        try:
            self._muxer.close()
        except (av.FFmpegError, OSError):
            self.recover()
            raise
        if not is_playable(self._atomic_file.part):
            return self.recover()
        self._atomic_file.commit()
        return True

    def recover(self) -> bool:
        """Like `finish`, for a file that could not be written completely. Raises OSError."""
        self._atomic_file.file.close()  # first, so that PyAV writes no index
        with suppress(av.FFmpegError, OSError, ValueError):
            self._muxer.close()
        return recover_part(self._atomic_file.part)
