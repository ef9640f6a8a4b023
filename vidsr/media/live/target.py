"""What every target of a recorder is asked to do."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from vidsr.media.containers import Container
from vidsr.media.copies import holds
from vidsr.media.live.feed import Feed, Stencil, Unit


class Target(ABC):
    """A place that packets are written to. What goes wrong is a VidsrError, FFmpegError or OSError.

    `say` takes what the user should hear of once; `kind` is what its files are.
    """

    key_s = 10.0
    """Seconds from one key frame to the next at the most."""

    trouble = ""
    """What is wrong although nothing was raised, in words."""

    def __init__(self, kind: Container, say: Callable[[str], None]) -> None:
        self._kind, self._say = kind, say
        self._feed: Feed | None = None
        self._audio: Stencil | None = None  # that of the feed where it can be held

    def begin(self, feed: Feed) -> None:
        """Take what follows for the packets of `feed`."""
        self._feed, self._audio = feed, feed.audio
        if feed.audio and not holds(self._kind, feed.audio.stream):
            self._audio = None
            self._say(f"{self._kind.format} cannot hold {feed.audio.stream.name}, so the sound is left out")

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

    @abstractmethod
    def fail(self) -> None:
        """End what is open as well as can be after something was raised."""

    @abstractmethod
    def close(self) -> None:
        """End what is open; what goes wrong is raised or said."""


def words_of(error: Exception) -> str:
    """What went wrong; FFmpeg's own text would hold the address with its password."""
    return str(getattr(error, "strerror", None) or error)
