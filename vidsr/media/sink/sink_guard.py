"""One target among others: what goes wrong with it is kept to it."""

from collections.abc import Callable
from contextlib import suppress
from time import monotonic

import av

from vidsr.errors import VidsrError
from vidsr.media.sink.sink import Target, words_of
from vidsr.media.stream_template import Feed, Unit

_FAULTS = (VidsrError, av.FFmpegError, OSError)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 60.0
_WELL_S = 3.0  # of writing without a fault, before it counts as over: a full disk refuses only what is flushed
_GOOD_S = 60.0  # after which the next fault is a new one


class Lane:
    """A target whose faults are noted once, and which is begun again after a pause, at a key frame.

    `note` takes a line for the user; `fault` is "" while all is well.
    """

    def __init__(self, shown: str, target: Target, note: Callable[[str], None]) -> None:
        self.shown, self.target, self.written = shown, target, 0
        self.fault = self._trouble = ""
        self._note = note
        self._pause_s = _FIRST_PAUSE_S
        self._down = False
        self._since_s = 0.0  # when it was begun again, or, while it is down, when it will be

    def begin(self, feed: Feed) -> None:
        """Hand a part of the stream on to the target; one that is down is told, too, and stays down."""
        self._try(lambda: self.target.begin(feed))

    def wants_key(self, pts: int, *, source_key: bool) -> bool:
        """Whether the target begins something with the picture at `pts`."""
        return not self._waits() and self.target.wants_key(pts, source_key=source_key)

    def video(self, unit: Unit) -> None:
        """Hand on an encoded picture."""
        if self._down and unit.key and not self._waits():
            self._down, self._since_s = False, monotonic()
        if not self._down:
            self._try(lambda: self._count(self.target.video(unit)))
        if not self._down:
            self._settle()

    def sound(self, unit: Unit) -> None:
        """Hand on a packet of the sound."""
        if not self._down:
            self._try(lambda: self._count(self.target.sound(unit)))

    def original(self, unit: Unit) -> None:
        """Hand on a packet of the source."""
        self._try(lambda: self.target.original(unit))

    def pause(self) -> None:
        """Let the target end what is whole."""
        self._try(self.target.pause)

    def close(self) -> None:
        """End what is open."""
        self._try(self.target.close)

    def _count(self, written: int) -> None:
        self.written += written

    def _waits(self) -> bool:
        return self._down and monotonic() < self._since_s

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except _FAULTS as error:
            self._fall(words_of(error))

    def _fall(self, words: str) -> None:
        if not self.fault:
            self._note(f"{self.shown}: {words}; it is tried again until it works")
        self.fault = words
        self._down, self._since_s = True, monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        with suppress(*_FAULTS):  # it is at fault already
            self.target.fail()

    def _settle(self) -> None:
        up_s = monotonic() - self._since_s
        if self.fault and up_s > _WELL_S:
            self.fault = ""
            self._note(f"{self.shown}: is written again")
        if not self.fault and up_s > _GOOD_S:
            self._pause_s = _FIRST_PAUSE_S
        if (trouble := self.target.trouble) != self._trouble:
            self._note(f"{self.shown}: {trouble or 'is written again'}")
            self._trouble = trouble
