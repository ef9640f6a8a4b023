"""Reading a target back: what is in it, and whether its frames are those of the source."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition, Stream

_MAX_TICK = Fraction(1, 1000)
"""Seconds by which a container rounds times: Matroska's ticks."""
_MAX_SHIFT = 1
"""Seconds by which muxers move all streams alike, where a sound begins before 0."""


@dataclass(frozen=True, kw_only=True)
class TargetContent:
    """What is in a file."""

    packets: list[int]
    """Number of packets of each stream, in the order of the file, without covers and attachments."""
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
            if packet.size:
                yield packet.stream_index
    except IndexError:  # of PyAV 18.1, at the end of a file in which a stream appeared late
        return


def frame_differences(path: Path, times: Sequence[Fraction]) -> list[str]:
    """A sentence per way in which the decoded frames of a file differ from those at `times`, in seconds, ascending."""
    found, corrupt = [], 0
    try:
        with av.open(f"file:{path.absolute()}", metadata_errors="replace") as container:
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                found.append((frame.pts or 0) * (frame.time_base or 1))
                corrupt += frame.is_corrupt
    except (av.FFmpegError, OSError) as error:
        return [f"verification: the target cannot be decoded after {len(found)} frames ({error.strerror})"]
    sentences = [f"verification: {corrupt} frames of the target are damaged"] if corrupt else []
    if len(found) != len(times):
        sentences.append(f"verification: the target shows {len(found)} frames, and {len(times)} were written")
    elif times:
        shift = found[0] - times[0] if abs(found[0] - times[0]) < _MAX_SHIFT else 0
        moved = [(b, a + shift) for a, b in zip(times, found, strict=True) if abs(a + shift - b) > _MAX_TICK]
        if moved:
            first, meant = map(float, moved[0])
            words = f"{len(moved)} frames have another time; the first at {first:.3f} s, not {meant:.3f}"
            sentences.append(f"verification: {words}")
    return sentences
