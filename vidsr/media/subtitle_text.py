"""Subtitles as SubRip, which Matroska holds: the texts of other formats' packets."""

import html
import re

from av import Packet

from vidsr.media.frame import SidePacket


def _mov_text(data: bytes) -> bytes:
    """The text of a mov_text packet: two bytes of length, UTF-8, styles."""
    return data[2 : 2 + int.from_bytes(data[:2], "big")]


def _webvtt(data: bytes) -> bytes:
    """The text of a WebVTT cue, without the tags that SubRip does not have."""
    return html.unescape(_WEBVTT_TAG.sub("", data.decode(errors="replace"))).encode()


_WEBVTT_TAG = re.compile(r"<(?!/?[biu]>)[^>]*>")
SUBRIP_CONVERTERS = {("mov_text", False): _mov_text, ("webvtt", True): _webvtt}
"""Text formats that become SubRip in Matroska, by their name and whether FFmpeg has no decoder for the stream."""


def packet_like(packet: SidePacket, data: bytes) -> SidePacket:
    """A packet with other data at the time of `packet`."""
    copy: SidePacket = Packet(data)
    copy.time_base, copy.pts, copy.dts, copy.duration = packet.time_base, packet.pts, packet.dts, packet.duration
    return copy
