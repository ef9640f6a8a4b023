"""Targets that are files: a folder of segments, or one file."""

from collections.abc import Callable
from pathlib import Path

import av

from vidsr.errors import TargetError, VidsrError
from vidsr.media.containers import Container
from vidsr.media.sink.background import Finisher
from vidsr.media.sink.passthrough import Original
from vidsr.media.sink.segment_file import Recording
from vidsr.media.sink.sink import Target, words_of
from vidsr.media.source.live_timestamps import SECOND
from vidsr.media.stream_template import Feed, Unit

_LONGEST_GAP = 1800 * SECOND  # FFmpeg's MP4 writer aborts at longer ones


class Files(Target):
    """Files one after the other: a new one each `segment_s` seconds and with each part of the stream.

    None: a new one only where the stream cannot go on in the same. `name` says where the next one goes, `ended` hears
    of each that is done. `original`: each has the source's packets beside it.
    """

    def __init__(
        self,
        name: Callable[[], Path],
        *,
        kind: Container,
        segment_s: float | None,
        original: bool,
        finisher: Finisher,
        ended: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        super().__init__(kind, say)
        self._name, self._ended, self._finisher = name, ended, finisher
        self._longest = None if segment_s is None else round(segment_s * SECOND)
        self._original = Original() if original else None
        self._file: Recording | None = None
        self._last = 0
        self._late = ""  # what went wrong with a file after it was handed to the finisher
        self._failures = 0

    def begin(self, feed: Feed) -> None:
        """End what cannot go on with the feed; a folder of segments always begins another."""
        if self._longest is not None or self._feed is None or not self._feed.goes_on_as(feed):
            self._end(feed.begin)
        super().begin(feed)

    def wants_key(self, pts: int, *, source_key: bool) -> bool:
        """Whether a file begins with the picture; with an original only where the source has a key picture."""
        return (source_key or self._original is None) and (self._file is None or self._is_over(pts))

    def video(self, unit: Unit) -> int:
        """The bytes written, those of the original among them; a new file begins first if it is time."""
        if self._late:
            late, self._late = self._late, ""
            raise TargetError(late)
        if unit.key and self.wants_key(unit.pts, source_key=unit.source_key):
            self._quiet = self._quiet or self._waits_for_sound(unit.pts)
            self._end(unit.pts)
            self._start(unit.pts)
        if self._file is None:
            return 0
        self._last = unit.pts
        written = self._original.write_until(unit.pts) if self._original else 0
        return written + self._file.video(unit)

    def sound(self, unit: Unit) -> int:
        """The bytes written to the file and its original."""
        self._hear(unit)
        written = self._original.sound(unit) if self._original else 0
        return written + (self._file.sound(unit) if self._file else 0)

    def original(self, unit: Unit) -> None:
        """Keep a packet of the source until it is known which file it belongs in."""
        if self._original:
            self._original.put(unit)

    def pause(self) -> None:
        """End the open segment."""
        if self._longest is not None:
            self._end(None)

    def fail(self) -> None:
        """Have what is open rescued as far as it goes."""
        files = [self._file, self._original.taken() if self._original else None]
        self._file = None
        for file in filter(None, files):
            self._hand_over(file.rescue)
        self._failures, self._late = self._failures + 1, ""

    def close(self) -> None:
        """Have what is open finished."""
        self._end(None)

    def _is_over(self, pts: int) -> bool:
        begun = self._file.begin if self._file else pts
        whole = self._longest is not None and pts - begun >= self._longest
        return whole or pts - self._last > _LONGEST_GAP or self._waits_for_sound(pts)

    def _waits_for_sound(self, pts: int) -> bool:
        file = self._file
        return file is not None and file.has_sound and self.kind.has_display_matrix and self._is_mute(file.begin, pts)

    def _start(self, pts: int) -> None:
        assert self._feed
        path = self._name()
        self._file = Recording(path, video=self._feed.video, audio=self._audio, begin=pts)
        self._last = pts
        if self._original:
            self._original.open(path, self._feed.source, self._audio, begin=pts)

    def _end(self, pts: int | None) -> None:
        """Have what is open finished; the original goes up to the key picture at `pts`, or as far as there is any."""
        files = [self._file, self._original.cut(pts) if self._original else None]
        self._file = None
        for file in filter(None, files):
            self._hand_over(file.finish)

    def _hand_over(self, end: Callable[[], bool]) -> None:
        failures = self._failures
        self._finisher.do(lambda: self._done(end, failures))

    def _done(self, end: Callable[[], bool], failures: int) -> None:
        try:
            if end():
                self._ended()
        except (VidsrError, av.FFmpegError, OSError) as error:
            if failures == self._failures:  # else it is known
                self._late = words_of(error)
