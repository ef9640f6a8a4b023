"""What every target of a recorder is asked to do."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from vidsr.media.containers import Container
from vidsr.media.source.live_timestamps import SECOND
from vidsr.media.stream_copy import can_hold
from vidsr.media.stream_template import Feed, Stencil, Unit

_QUIET = 5 * SECOND


class Target(ABC):
    """A place that packets are written to. What goes wrong is a VidsrError, FFmpegError or OSError.

    `say` takes what the user should hear of once; `kind` is what its files are.
    """

    key_s = 10.0
    """Seconds from one key frame to the next at the most."""

    def __init__(self, kind: Container, say: Callable[[str], None]) -> None:
        self.kind, self._say = kind, say
        self._feed: Feed | None = None
        self._fits = True
        self._heard: int | None = None  # when there was sound last
        self._quiet = False

    def begin(self, feed: Feed) -> None:
        """Take what follows for the packets of `feed`."""
        self._feed, self._quiet = feed, False
        fits = feed.audio is None or can_hold(self.kind, feed.audio.stream)
        if not fits and self._fits and feed.audio:
            name = feed.audio.stream.codec_context.name
            self._say(f"{self.kind.format} cannot hold {name}, so the sound is left out")
        self._fits = fits

    @property
    def trouble(self) -> str:
        """What is wrong although nothing was raised, in words."""
        return ""

    @property
    def _audio(self) -> Stencil | None:
        """The sound to make room for: that of the feed, where it can be held and is there."""
        return self._feed.audio if self._feed and self._fits and not self._quiet else None

    def _hear(self, unit: Unit) -> None:
        self._heard, self._quiet = unit.pts, False

    def _is_mute(self, begin: int, pts: int) -> bool:
        """Whether there was no sound since `begin`: MP4 with room for it writes nothing until it comes."""
        return pts - begin > _QUIET and (self._heard is None or self._heard < begin)

    @abstractmethod
    def wants_key(self, pts: int, *, source_key: bool) -> bool:
        """Whether the picture at `pts` should be a key frame, because something begins with it."""

    @abstractmethod
    def video(self, unit: Unit) -> int:
        """The bytes that were written; nothing is before the first key frame."""

    @abstractmethod
    def sound(self, unit: Unit) -> int:
        """The same of a packet of the sound, which comes in the order of its time among those of the video."""

    def original(self, unit: Unit) -> None:  # noqa: B027 - most keep none
        """Take a packet of the source's video, where the target keeps them."""

    def pause(self) -> None:  # noqa: B027 - most wait for the next part
        """End what is whole with what it has: nothing may come for long."""

    @abstractmethod
    def fail(self) -> None:
        """End what is open as well as can be after something was raised."""

    @abstractmethod
    def close(self) -> None:
        """End what is open; what goes wrong is raised or said."""


def words_of(error: Exception) -> str:
    """What went wrong; FFmpeg's own text would hold the address with its password."""
    return str(getattr(error, "strerror", None) or error)
