"""The source's own packets in files beside the enlarged ones, cut at the same pictures."""

from collections import deque
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import av

from vidsr.media.containers import container_for
from vidsr.media.sink.segment_file import Recording
from vidsr.media.stream_copy import can_hold
from vidsr.media.stream_template import Stencil, Unit

_MOST_WAITING = 3000  # a minute of pictures: far more than it takes to enlarge one
_MOST_APART = 900  # 10 ms between a source's key picture and the enlarged one, whose time may have been repaired
_EARLIEST = 1 << 40  # no packet is decoded so long before it is shown


def same_moment(source_pts: int, pts: int) -> bool:
    """Whether a picture of the source and an enlarged one are the same."""
    return abs(source_pts - pts) <= _MOST_APART


class Original:
    """Packets of the source that wait until it is known in which file they belong, and the file that is open."""

    def __init__(self) -> None:
        self._waiting: deque[Unit] = deque()
        self._file: Recording | None = None
        self._last_dts = 0

    def put(self, unit: Unit) -> int:
        """Take a packet, in the order of decoding; the bytes that were written to make room for it."""
        self._waiting.append(unit)
        return self._write(self._waiting.popleft()) if len(self._waiting) > _MOST_WAITING else 0

    def write_until(self, pts: int) -> int:
        """The bytes of what belongs in the open file for certain when the enlarged picture at `pts` does."""
        written = 0
        while self._waiting and not (self._waiting[0].key and self._waiting[0].pts > pts + _MOST_APART):
            written += self._write(self._waiting.popleft())
        return written

    def cut(self, pts: int | None) -> Recording | None:
        """The file that was open, to be finished, with all that comes before the key picture at `pts`, or all."""
        while self._waiting and not (
            pts is not None and same_moment(self._waiting[0].pts, pts) and self._waiting[0].key
        ):
            self._write(self._waiting.popleft())
        return self.taken()

    def taken(self) -> Recording | None:
        """The file that was open as it is."""
        file, self._file = self._file, None
        return file

    def open(self, enlarged: Path, source: Stencil, audio: Stencil | None, *, begin: int) -> None:
        """Begin a file beside an enlarged one, at the same moment, for packets of `source` and sound where it fits.

        The first packet that waits is its first: what that says of the stream counts.
        """
        source = Stencil(source.stream, first=self._waiting[0].packet) if self._waiting else source
        path = enlarged.with_name(f"{enlarged.stem}.original.mp4")
        if not can_hold(container_for(path), source.stream):
            path = path.with_suffix(".mkv")
        fits = audio and can_hold(container_for(path), audio.stream)
        self._file = Recording(path, video=source.stream, audio=audio if fits else None, begin=begin)
        self._last_dts = begin - _EARLIEST

    def sound(self, unit: Unit) -> int:
        """The bytes of a packet of the sound."""
        return self._file.sound(unit) if self._file else 0

    def _write(self, unit: Unit) -> int:
        if self._file is None:
            return 0
        dts = max(unit.dts, self._last_dts + 1)
        self._last_dts = dts
        with suppress(av.ArgumentError):  # bits that make no sense, from a lossy network: that packet and no more
            return self._file.video(replace(unit, dts=dts, pts=max(unit.pts, dts)))
        return 0
