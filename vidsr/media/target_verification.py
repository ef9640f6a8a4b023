"""Reading a target back: what is in it, and whether its frames are those of the source."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av import VideoFrame
from av.container import InputContainer
from av.stream import Disposition, Stream

_MAX_TICK = Fraction(1, 1000)
"""Seconds by which a container rounds times: Matroska's ticks."""
_MAX_SHIFT = 1
"""Seconds by which muxers move all streams alike, where audio begins before 0."""


@dataclass(frozen=True, kw_only=True)
class TargetContent:
    """What is in a file."""

    packets: list[int]
    """Number of packets of each stream, in the order of the file, without covers and attachments.

    Frames of the video that an edit list hides are not counted.
    """
    attached: int
    """Number of covers and attachments."""
    has_timecode: bool
    seconds: float


def is_attached(stream: Stream) -> bool:
    """Whether a stream is a cover or an attachment, without a time."""
    return stream.type == "attachment" or bool(stream.disposition & Disposition.attached_pic)


def target_content(path: Path) -> TargetContent:
    """What is in a file, without decoding. Raises FFmpegError or OSError."""
    with av.open(f"file:{path.absolute()}", metadata_errors="replace") as container:
        packets = Counter(_packet_streams(container))
        attached = [stream for stream in container.streams if is_attached(stream)]
        tags = [container.metadata, *(stream.metadata for stream in container.streams)]
        return TargetContent(
            packets=[packets[stream.index] for stream in container.streams if stream not in attached],
            attached=len(attached),
            has_timecode=any(name.lower() == "timecode" for each in tags for name in each),
            seconds=(container.duration or 0) / av.time_base,
        )


def _packet_streams(container: InputContainer) -> Iterator[int]:
    """The index of the stream of each packet."""
    try:
        for packet in container.demux():
            if packet.size and not (packet.is_discard and packet.stream.type == "video"):
                yield packet.stream_index
    except IndexError:  # of PyAV 18.1, at the end of a file in which a stream appeared late
        return


def frame_differences(path: Path, times: Iterable[Fraction]) -> list[str]:
    """A sentence per way in which the decoded frames of a file differ from those at `times`, in seconds, ascending."""
    comparison = _TimeComparison(times)
    try:
        with av.open(f"file:{path.absolute()}", metadata_errors="replace") as container:
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                comparison.add(frame)
    except (av.FFmpegError, OSError) as error:
        return [f"verification: the target cannot be decoded after {comparison.found} frames ({error.strerror})"]
    return [f"verification: {sentence}" for sentence in comparison.sentences()]


class _TimeComparison:
    """The frames of a file against the times that they should have, one by one."""

    def __init__(self, times: Iterable[Fraction]) -> None:
        self.found = 0
        self._times = iter(times)
        self._missing = self._corrupt = self._moved = 0
        self._shift = Fraction(0)
        self._first: tuple[Fraction, Fraction] | None = None  # the time of the first that is moved, and the right one

    def add(self, frame: VideoFrame) -> None:
        """Compare the next frame."""
        self.found += 1
        self._corrupt += frame.is_corrupt
        if (meant := next(self._times, None)) is None:
            self._missing -= 1
            return
        time = Fraction((frame.pts or 0) * (frame.time_base or 1))
        if self.found == 1 and abs(time - meant) < _MAX_SHIFT:
            self._shift = time - meant
        meant += self._shift
        if abs(time - meant) > _MAX_TICK:
            self._moved += 1
            self._first = self._first or (time, meant)

    def sentences(self) -> Iterator[str]:
        """What differs, after the last frame."""
        if self._corrupt:
            yield f"{self._corrupt} frames of the target are damaged"
        self._missing += sum(1 for _ in self._times)
        if self._missing:
            yield f"the target shows {self.found} frames, and {self.found + self._missing} were written"
        elif self._first:
            first, meant = map(float, self._first)
            yield f"{self._moved} frames have another time; the first at {first:.3f} s, not {meant:.3f}"
