"""Packets of a video apart from their file, to be kept and sent to other processes."""

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

from av import Packet
from av.video.stream import VideoStream

from vidsr.media.frame import AnyPacket
from vidsr.media.libav import set_discard

if TYPE_CHECKING:
    from av.packet import PktSideDataT  # defined for type checkers only


_DECODING: "tuple[PktSideDataT, ...]" = ("palette", "new_extradata", "param_change", "matroska_block_additional")
"""The side data of packets by which the decoding changes."""


@dataclass(frozen=True, kw_only=True)
class PacketData:
    """A packet of a video; times in ticks of its stream."""

    data: bytes
    pts: int | None
    dts: int | None
    duration: int = 0
    key: bool = False
    discard: bool = False
    """Whether its frame is decoded, but not shown: it is outside the file's edit list."""
    complete: bool = True
    """Whether `data` is all: there is no side data by which the decoding changes."""

    def av_packet(self, time_base: Fraction) -> "Packet[VideoStream]":
        """The same as a packet of PyAV."""
        packet = cast("Packet[VideoStream]", Packet(len(self.data)))
        packet.update(self.data)  # into padded memory, which Packet(data) has not: decoders read beyond the end
        packet.pts, packet.dts, packet.duration = self.pts, self.dts, self.duration
        packet.time_base, packet.is_keyframe = time_base, self.key
        if self.discard:
            set_discard(packet)
        return packet


def packet_data(packet: AnyPacket) -> PacketData:
    """A packet of PyAV, copied."""
    return PacketData(
        data=bytes(packet),
        pts=packet.pts,
        dts=packet.dts,
        duration=packet.duration or 0,
        key=packet.is_keyframe,
        discard=packet.is_discard,
        complete=not any(packet.has_sidedata(kind) for kind in _DECODING),
    )
