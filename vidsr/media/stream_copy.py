"""The streams beside the video on their way, packet by packet, from one container into another."""

import io
from collections import deque
from fractions import Fraction

import av
from av import Packet
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from vidsr.media.containers import Container
from vidsr.media.frame import SidePacket
from vidsr.media.open_input import open_source
from vidsr.media.probe import codec_name, title_of
from vidsr.media.reader import Reader

# Tags that a muxer sets by itself, and that would be stale in a copy.
_OWN_TAGS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}
_OWN_STATISTICS = ("_STATISTICS", "BPS", "DURATION", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES")
_PATIENCE = 100  # refused packets in a row: some seconds of sound may be damaged
# PCM does not say where its channels are heard, and FFmpeg writes no MP4 without.
_USUAL_LAYOUTS = {f"{1 + i} channels": name for i, name in enumerate(("mono", "stereo", "2.1", "4.0", "5.0", "5.1"))}
_COVER_TYPES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}


class Copies:
    """The other streams of `reader`, declared in `output`; add them before its header is written.

    `copied` and `left_out` say what becomes of each. Packets wait here until the pictures have reached their time,
    so that the file is interleaved however long the encoder takes; `unplaced` counts those the muxer refused.
    """

    def __init__(self, output: OutputContainer, kind: Container, reader: Reader) -> None:
        self.copied: list[str] = []
        self.left_out: list[str] = []
        self.unplaced = 0
        self._refused = 0
        self._output = output
        self._copies: dict[int, Stream] = {}
        self._texts: set[int] = set()
        self._waiting: deque[SidePacket] = deque()
        for stream, info in zip(reader.others, reader.info.others, strict=True):
            carried = self._declare(stream, kind, reader)
            (self.copied if carried else self.left_out).append(str(info))

    def add(self, packets: tuple[SidePacket, ...]) -> None:
        """Take packets that came before the picture that is written next."""
        self._waiting.extend(packet for packet in packets if packet.stream.index in self._copies)

    def write_until(self, time: Fraction) -> None:
        """Write the packets up to a time in seconds."""
        while self._waiting and self._waiting[0].time_base * (self._waiting[0].dts or 0) <= time:
            self._write(self._waiting.popleft())

    def write_all(self) -> None:
        """Write whatever waits."""
        while self._waiting:
            self._write(self._waiting.popleft())

    def mux(self, packet: "SidePacket | Packet[VideoStream]") -> None:
        """Give the muxer a packet of any stream.

        It may refuse one of the others that it still had: times that run backwards, bits that make no sense. That one
        is lost and no more; a disk that is full is an OSError, and a file that goes wrong does so again and again.
        """
        try:
            self._output.mux_one(packet)
            self._refused = 0
        except av.FFmpegError:
            self.unplaced += 1
            self._refused += 1
            if self._refused > _PATIENCE or not self._copies:
                raise

    def _declare(self, stream: Stream, kind: Container, reader: Reader) -> bool:
        """Make room for the stream in the output; False when there is none to be had."""
        if "timecode" in stream.metadata and kind.format in ("mp4", "mov", "matroska"):
            return True  # FFmpeg makes that track, or tag, of the tag which the video has of it
        name = codec_name(stream)
        if kind.format == "matroska":
            if is_cover(stream) and name in _COVER_TYPES:
                # Matroska keeps covers as attached files, and shows them as FFmpeg's attached pictures again.
                self._output.add_attachment(*_COVER_TYPES[name], _cover(reader, stream.index))
                return True
            if name == "mov_text":
                self._copies[stream.index] = copy = self._output.add_mux_stream("subrip", time_base=stream.time_base)
                self._texts.add(stream.index)
                copy_tags(stream, copy)
                return True
        if not holds(kind, stream):
            return False
        copy = copy_stream(stream, self._output)
        if stream.type != "attachment":
            self._copies[stream.index] = copy
        return True

    def _write(self, packet: SidePacket) -> None:
        index = packet.stream.index
        if index in self._texts:
            text = _plain_text(packet)
            if text is None:
                return
            packet = text
        packet.stream = self._copies[index]
        self.mux(packet)


def is_cover(stream: Stream) -> bool:
    """Whether the stream is cover art: one picture that belongs to no moment."""
    return bool(stream.disposition & Disposition.attached_pic)


def copy_tags(source: Stream, copy: Stream) -> None:
    """Give a stream the language, title and other tags of another, and its disposition."""
    tags = {name: value for name, value in source.metadata.items() if not name.startswith(_OWN_STATISTICS)}
    if (title := title_of(source)) and "title" not in tags:
        tags["title"] = title
    copy.metadata.update(file_tags(tags))
    copy.disposition = source.disposition


def file_tags(tags: dict[str, str]) -> dict[str, str]:
    """The tags that are about the content, not about the file they stood in."""
    return {name: value for name, value in tags.items() if name.lower() not in _OWN_TAGS}


def holds(kind: Container, stream: Stream) -> bool:
    """Whether the container takes a copy of the stream: it is asked to write a header with it."""
    if kind.codecs is not None and codec_name(stream) not in kind.codecs:
        return False
    if kind.format == "mov" and is_cover(stream):  # FFmpeg would take it, and write nothing
        return False
    try:
        with av.open(io.BytesIO(), "w", format=kind.format) as trial:
            copy_stream(stream, trial)
            trial.start_encoding()
        return True
    except (av.FFmpegError, ValueError, OSError):
        return False


def copy_stream(stream: Stream, output: OutputContainer) -> Stream:
    """Declare a stream like another in `output`."""
    copy = output.add_stream_from_template(stream, opaque=True)
    if isinstance(copy, AudioStream) and copy.layout.name in _USUAL_LAYOUTS:
        copy.layout = _USUAL_LAYOUTS[copy.layout.name]
    copy_tags(stream, copy)
    return copy


def _cover(reader: Reader, index: int) -> bytes:
    with open_source(reader.path) as container:
        return next((bytes(packet) for packet in container.demux(container.streams[index]) if packet.size), b"")


def _plain_text(packet: SidePacket) -> "SidePacket | None":
    """A mov_text packet (two bytes of length, UTF-8, styles) as SubRip, without styles; None where it is a gap."""
    data = bytes(packet)
    text = data[2 : 2 + int.from_bytes(data[:2], "big")]
    if not text.strip():
        return None
    plain: SidePacket = Packet(text)
    plain.time_base, plain.pts, plain.dts, plain.duration = packet.time_base, packet.pts, packet.dts, packet.duration
    return plain
