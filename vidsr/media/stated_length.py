"""What the header of a file says it holds, against what was read: FFmpeg reports no error at the end of a cut file."""

import struct
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from vidsr.media.frame import SidePacket

_TOLERANCE_S = 1  # a complete file may end this much before its stated duration
_STATED_DURATION = ("matroska", "flv", "mxf", "wtv", "ivf")
"""Formats whose header has the duration that FFmpeg reports; of others FFmpeg estimates it."""
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_HEADER_BYTES = 2**16
_ASF_IS_LIVE = 1


class StatedLength:
    """The packets that an MP4 file lists of each stream, or the duration that another file states.

    `packets` counts those that were read, by stream.
    """

    def __init__(self, path: Path, container: InputContainer, video: VideoStream, others: Iterable[Stream]) -> None:
        name = container.format.name
        self.packets: Counter[int] = Counter()
        self._listing = (video, *others) if name.startswith("mov") else ()
        self._stated_s = 0.0
        if name.startswith(_STATED_DURATION):
            self._stated_s = (container.duration or 0) / av.time_base
        elif name == "avi" and video.time_base:
            self._stated_s = float(video.frames * video.time_base)
        elif name == "asf":  # FFmpeg ignores the duration of a file that has not its full size
            self._stated_s = _asf_seconds(path)

    def count(self, packet: SidePacket) -> None:
        """Counts a packet, unless it only marks the end of its stream."""
        self.packets[packet.stream.index] += packet.size > 0 or packet.dts is not None

    def truncation(self, end_s: float, *, from_start: bool) -> str | None:
        """What is lacking in a file that was read to its end at `end_s`; `from_start`: no packet was skipped."""
        for stream in self._listing:
            listed, found = len(stream.index_entries), self.packets[stream.index]  # of the fragments up to here
            if from_start and found < listed:
                what = "frames" if stream is self._listing[0] else f"packets of #{stream.index} {stream.type}"
                return f"the source lists {listed} {what} and holds {found}"
        if end_s < self._stated_s - _TOLERANCE_S:
            return f"reading ended early: the file should last {self._stated_s:.1f} s, not {end_s:.1f}"
        return None


def _asf_seconds(path: Path) -> float:
    """The duration that a WMV file states, 0 if unknown."""
    with path.open("rb") as file:
        header = file.read(_ASF_HEADER_BYTES)
    at = header.find(_ASF_PROPERTIES)
    properties = header[at + 64 : at + 92]
    if at < 0 or len(properties) < 28:
        return 0.0
    duration, _, preroll, flags = struct.unpack("<QQQI", properties)
    return 0.0 if flags & _ASF_IS_LIVE else max(0.0, duration / 1e7 - preroll / 1e3)
