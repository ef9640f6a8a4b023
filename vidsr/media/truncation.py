"""Truncation: what a file says it holds, against what was read, as FFmpeg reports no error at the end of a cut file.

Without such a statement a cut at the boundary of a packet cannot be distinguished from an end: MPEG-TS, MPEG-PS, raw
H.264, HEVC and MPEG video, live Matroska, SWF.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from vidsr.media.file_end import asf_seconds, missing_end
from vidsr.media.frame import SidePacket

_TOLERANCE_S = 1  # a complete file may end this much before its stated duration
_MAX_STATED_S = 1e7  # 115 days; programs that write into a pipe leave a larger one
_STATED_DURATION = ("matroska", "flv", "mxf", "wtv", "ivf", "gxf")
"""Formats whose header has the duration that FFmpeg reports; of others FFmpeg estimates it."""
_FRAMES_ONLY = ("yuv4mpegpipe", "dv")
"""Formats that end with their last frame."""
_JPEG, _JPEG_END = ("mjpeg", "jpeg_pipe"), b"\xff\xd9"
BROADCAST = ("mpegts", "mpeg")
"""Formats whose time stamps may restart (edited broadcasts, concatenated discs); FFmpeg flags packets after a gap."""


class TruncationCheck:
    """The packets that an MP4 file lists of each stream, or the duration or the end that another file states.

    `packets` counts those that were read, by stream.
    """

    def __init__(
        self, path: Path | None, container: InputContainer, video: VideoStream, others: Iterable[Stream]
    ) -> None:
        """`path` is None for a pipe."""
        self._name, self._size = container.format.name, path.stat().st_size if path else 0
        self._missing_end = missing_end(path, self._name) if path else None
        self.packets: Counter[int] = Counter()
        self._listing = (video, *others) if self._name.startswith("mov") else ()
        self._stated_s = 0.0
        self._last_incomplete = False
        self._read_end = 0  # the offset in the file
        if self._name.startswith(_STATED_DURATION):
            self._stated_s = (container.duration or 0) / av.time_base
        elif self._name == "avi" and video.time_base:
            self._stated_s = float(video.frames * video.time_base)
        elif self._name == "asf" and path:  # FFmpeg ignores the duration of a file that has not its full size
            self._stated_s = asf_seconds(path)

    def count(self, packet: SidePacket) -> None:
        """Counts a packet, unless it only marks the end of its stream."""
        self.packets[packet.stream.index] += packet.size > 0 or packet.dts is not None
        if packet.size:
            self._last_incomplete = packet.is_corrupt
            if self._name in _JPEG and self.packets[packet.stream.index] > 1:  # of one alone `image_check` says it
                self._last_incomplete = _JPEG_END not in bytes(packet)
            self._read_end = (packet.pos or 0) + packet.size

    def truncation(self, end_s: float, *, from_start: bool, size: int | None = None) -> str | None:
        """What is lacking in a file that was read to its end at `end_s`; `from_start`: no packet was skipped.

        `size` is the number of bytes that came from a pipe.
        """
        self._size = self._size if size is None else size
        for stream in self._listing:
            listed, found = len(stream.index_entries), self.packets[stream.index]  # of the fragments up to here
            if from_start and found < listed:
                what = "frames" if stream is self._listing[0] else f"packets of #{stream.index} {stream.type}"
                return f"the source lists {listed} {what} and holds {found}"
        if end_s < self._stated_s - _TOLERANCE_S and self._stated_s < _MAX_STATED_S:
            return f"reading ended early: the file should last {self._stated_s:.1f} s, not {end_s:.1f}"
        return self._missing_end or self._incomplete_packet()

    def _incomplete_packet(self) -> str | None:
        cut = self._last_incomplete and self._name not in BROADCAST
        if cut or (self._name in _FRAMES_ONLY and self._read_end != self._size):
            return "the file is cut off: its last packet is incomplete"
        return None
