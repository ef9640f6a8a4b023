"""A file that is recorded to: part of a name until it is done, whole or cut short, and on the disk."""

from contextlib import suppress
from pathlib import Path

import av
from av.stream import Stream

from vidsr.media.atomic_file import AtomicFile
from vidsr.media.containers import container_for, muxer_options
from vidsr.media.sink.muxer import Outlet
from vidsr.media.sink.recovery import is_whole, salvage
from vidsr.media.source.live_timestamps import TIME_BASE
from vidsr.media.stream_template import Stencil


class Recording:
    """A file with a video stream like `video` and, unless None, one like `audio`, its time beginning at `begin`.

    It has its name after `finish` or `rescue`, one of which must be called, and may be in another thread.
    """

    def __init__(self, path: Path, *, video: Stream, audio: Stencil | None, begin: int) -> None:
        self.begin, self.has_sound = begin, audio is not None
        kind = container_for(path)
        self._atomic_file = AtomicFile(path, source=None, overwrite=False)
        options = muxer_options(kind, TIME_BASE, covers=False, tags=())
        if kind.has_display_matrix:
            # The index waits for the first packet of each stream: an edit list made before that hides the first
            # second of a file that is never closed, and without one sound that begins late is out of step.
            options["movflags"] += "+delay_moov"
        try:
            self._outlet = Outlet(
                self._atomic_file.file, format=kind.format, options=options, video=video, audio=audio, begin=begin
            )
        except BaseException:
            self._atomic_file.discard()
            raise
        self.video, self.sound = self._outlet.video, self._outlet.sound

    def finish(self) -> bool:
        """Whether there was a picture to keep; then the file is closed and validated, and has its name.

        Raises TargetError, FFmpegError and OSError, when it is rescued as well as can be.
        """
        try:
            self._outlet.close()
        except (av.FFmpegError, OSError):
            self.rescue()
            raise
        if not is_whole(self._atomic_file.part):
            return self.rescue()
        self._atomic_file.commit()
        return True

    def rescue(self) -> bool:
        """The same for a file that could not be written to its end, as far as it goes. Raises OSError."""
        self._atomic_file.file.close()  # first: PyAV then writes no index
        with suppress(av.FFmpegError, OSError, ValueError):
            self._outlet.close()
        return salvage(self._atomic_file.part)
