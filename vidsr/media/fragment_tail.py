"""The last packets of a fragmented MP4, which must be in one fragment."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from av.container import OutputContainer

from vidsr.media.libav import set_muxer_option

_Packet = TypeVar("_Packet")
_MAX_PACKETS = 64
"""Held back at most: four times what H.264 and HEVC reorder."""


class FragmentTail(Generic[_Packet]):
    """Holds back the packets of the video behind the one displayed last, until another one is displayed later.

    A packet that begins a fragment sets the end of the edit list in FFmpeg 8.1 to its own pts. If a B-frame does so
    behind the frame that is displayed last, no player shows that one. So the last packets begin no fragment.
    """

    def __init__(self, output: OutputContainer, options: Mapping[str, str]) -> None:
        """`options` are those of the muxer of `output`; without fragments of a duration no packet is held back."""
        self._output, self._is_fragmented = output, "frag_duration" in options
        self._held: list[_Packet] = []
        self._last_pts: int | None = None

    def add(self, pts: int, packet: _Packet) -> list[_Packet]:
        """The packets to write now, in their order."""
        self._held.append(packet)
        if self._is_fragmented and self._last_pts is not None and pts <= self._last_pts:
            if len(self._held) < _MAX_PACKETS:
                return []
        else:
            self._last_pts = pts
        return self._take()

    def end(self) -> list[_Packet]:
        """The packets that are left, after which no other one of the video comes: they begin no fragment."""
        if self._held:
            set_muxer_option(self._output, "frag_duration", 0)
        return self._take()

    def discard(self) -> None:
        """Drops what is held back."""
        self._held = []

    def _take(self) -> list[_Packet]:
        ready, self._held = self._held, []
        return ready
