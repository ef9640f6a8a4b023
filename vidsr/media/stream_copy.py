"""Stream copy: the streams other than the video, copied packet by packet from one container into another."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush
from itertools import count

import av
from av import Packet
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Disposition, Stream

from vidsr.media.aac_headers import aac_headers
from vidsr.media.containers import Container
from vidsr.media.fragment_tail import FragmentTail
from vidsr.media.frame import AnyPacket, SidePacket, SourceTemplate
from vidsr.media.libav import copy_parameters
from vidsr.media.open_input import TAG_ERRORS
from vidsr.media.probe import codec_name, title_of
from vidsr.media.side_data import dropped_with_copy
from vidsr.media.subtitle_text import SUBRIP_CONVERTERS, packet_like
from vidsr.media.target_verification import TargetContent, is_attached
from vidsr.media.trim import dts_seconds

# Tags that a muxer sets; copies would be wrong.
_MUXER_TAGS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}
_MUXER_STATISTICS = ("_STATISTICS", "BPS", "DURATION", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES")
_TAKES_EQUAL_TIMES = ("matroska", "webm", "nut")
_MAX_WAITING_BYTES = 32 * 2**20
_MAX_REFUSALS = 100  # consecutive packets: some seconds of audio may be damaged
# PCM has no channel layout, and FFmpeg writes no MP4 without one.
_DEFAULT_LAYOUTS = {f"{1 + i} channels": name for i, name in enumerate(("mono", "stereo", "2.1", "4.0", "5.0", "5.1"))}
_LISTED_CODECS = {"audio": "pcm_s16le", "video": "h264", "subtitle": "subrip"}
"""A codec of each kind that Matroska's muxer lists."""
_COVER_TYPES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}


class StreamCopier:
    """Copies the other streams of a source into `output`; create it before the header is written.

    `copied_streams` and `dropped_streams` name the streams that the container takes and refuses. Packets wait until
    the video has reached their time, which interleaves the file whatever the encoder's delay; those far ahead hold up
    no others, and all that wait take at most _MAX_WAITING_BYTES. `dropped_packets` counts the packets that the muxer
    refused.
    """

    def __init__(
        self,
        output: OutputContainer,
        container: Container,
        template: SourceTemplate,
        options: Mapping[str, str],
    ) -> None:
        """`options` are those of the muxer of `output`."""
        self.copied_streams: list[str] = []
        self.dropped_streams: list[str] = []
        self.dropped_packets = 0
        self._refusals = 0  # consecutive
        self._output, self._options = output, options
        self._copies: dict[int, _Copy] = {}
        self._has_timecode = False
        self._waiting: list[tuple[Fraction, int, SidePacket]] = []  # a heap, by time and number
        self._waiting_bytes = 0
        self._numbers = count()
        self._strict = container.format not in _TAKES_EQUAL_TIMES
        self._next_dts: dict[int, int] = {}  # by stream of the output
        for stream, info in zip(template.others, template.info.others, strict=True):
            declared = self._declare(stream, str(info), container, template.covers)
            (self.copied_streams if declared else self.dropped_streams).append(str(info))
            self.dropped_streams += dropped_with_copy(stream, container.side_data) if declared else []
        timed = [stream.index for stream in output.streams if not is_attached(stream)]
        self._attached = len(output.streams) - len(timed)
        self._positions = {index: position for position, index in enumerate(timed)}

    def packets_in(self, content: TargetContent) -> dict[str, int]:
        """The number of packets in the target, by the name of the copied stream; without covers and attachments."""
        found = {}
        for copy in self._copies.values():
            position = self._positions.get(copy.stream.index, len(content.packets))
            if not is_attached(copy.stream):
                found[copy.name] = (*content.packets, 0)[min(position, len(content.packets))]
        return found

    def sent_content(self, frames: int, seconds: float) -> TargetContent:
        """The content of a target that cannot be read back, as it was sent, with `frames` frames of the video."""
        sent = {
            self._positions[each.stream.index]: each.sent
            for each in self._copies.values()
            if each.stream.index in self._positions
        }
        packets = [frames, *(sent.get(position, 0) for position in range(1, len(self._positions)))]
        return TargetContent(
            packets=packets, attached=self._attached, has_timecode=self._has_timecode, seconds=seconds
        )

    def losses(self, content: TargetContent, *, exact: bool) -> Iterator[str]:
        """A sentence for all that was copied and is not in the target; `exact`: packets are read as written."""
        for name, found in self.packets_in(content).items():
            sent = next(copy.sent for copy in self._copies.values() if copy.name == name)
            if found < sent and (exact or not found):
                yield f"{name}: {sent} packets were copied, and {found} are in the target"
        if self._has_timecode and not content.has_timecode:
            yield "the time code was copied, and is not in the target"
        if content.attached < self._attached:
            yield f"{self._attached} covers and attachments were copied, and {content.attached} are in the target"

    def add(self, packets: Iterable[SidePacket]) -> None:
        """Queues packets that come before the next frame."""
        for packet in packets:
            if packet.stream.index in self._copies:
                heappush(self._waiting, (dts_seconds(packet), next(self._numbers), packet))
                self._waiting_bytes += packet.size
            while self._waiting_bytes > _MAX_WAITING_BYTES:
                self._write_next()

    def write_until(self, time: Fraction) -> None:
        """Writes the queued packets up to a time in seconds."""
        while self._waiting and self._waiting[0][0] <= time:
            self._write_next()

    def write_all(self) -> None:
        """Writes all queued packets."""
        while self._waiting:
            self._write_next()
        for copy in self._copies.values():
            for packet in copy.tail.end():
                self._send(packet, copy)

    def mux(self, packet: AnyPacket) -> None:
        """Writes a packet of any stream.

        The muxer may raise for a packet that it still holds of another stream: damaged, or with times that run
        backwards. That packet alone is lost and counted. A full disk raises OSError; other faults of the file repeat,
        and are raised after _MAX_REFUSALS.
        """
        try:
            self._output.mux_one(packet)
            self._refusals = 0
        except av.FFmpegError:
            self.dropped_packets += 1
            self._refusals += 1
            if self._refusals > _MAX_REFUSALS or not self._copies:
                raise

    def _declare(self, stream: Stream, name: str, container: Container, covers: dict[int, bytes]) -> bool:
        """Adds the stream to the output; False if the container does not take it."""
        codec = codec_name(stream)
        if codec == "tmcd" and container.format in ("mp4", "mov", "matroska") and "timecode" in stream.metadata:
            # FFmpeg writes it from the video's tag; where only the audio has a time code, the video has no tag.
            self._output.streams[0].metadata.setdefault("timecode", stream.metadata["timecode"])
            self._has_timecode = True
            return True
        if container.format == "matroska":
            if is_cover(stream) and codec in _COVER_TYPES:
                # Matroska stores cover art as attachments, which FFmpeg reads back as attached pictures.
                self._output.add_attachment(*_COVER_TYPES[codec], covers.get(stream.index, b""))
                return True
            if convert := SUBRIP_CONVERTERS.get((codec, stream.codec_context is None)):
                copy = self._output.add_mux_stream("subrip", time_base=stream.time_base)
                self._copies[stream.index] = _Copy(name, copy, self._tail(copy), convert)
                copy_tags(stream, copy)
                return True
        if not can_hold(container, stream):
            return False
        copy = copy_stream(stream, self._output, seekable=container.seekable)
        if stream.type != "attachment":
            self._copies[stream.index] = _Copy(name, copy, self._tail(copy))
        return True

    def _tail(self, copy: Stream) -> "FragmentTail[SidePacket]":
        return FragmentTail(self._output, self._options if copy.type == "video" else {})

    def _write_next(self) -> None:
        _, _, packet = heappop(self._waiting)
        self._waiting_bytes -= packet.size
        copy = self._copies[packet.stream.index]
        if copy.convert:
            text = copy.convert(bytes(packet))
            if not text.strip():
                return
            packet = packet_like(packet, text)
        packet.stream = copy.stream
        if self._strict:
            self._separate(packet, copy.stream)
        time = packet.dts if packet.pts is None else packet.pts
        for ready in copy.tail.add(time or 0, packet):
            self._send(ready, copy)

    def _send(self, packet: SidePacket, copy: "_Copy") -> None:
        copy.sent += 1
        self.mux(packet)

    def _separate(self, packet: SidePacket, copy: Stream) -> None:
        """Moves a packet by a tick of the copy if its time, rounded in the source, is that of the one before."""
        base = copy.time_base or packet.time_base
        dts, pts, duration = (
            round((t or 0) * packet.time_base / base) for t in (packet.dts, packet.pts, packet.duration)
        )
        late = max(0, self._next_dts.get(copy.index, dts) - dts)
        packet.time_base, packet.duration = base, duration
        packet.dts, packet.pts = dts + late, None if packet.pts is None else pts + late
        self._next_dts[copy.index] = dts + late + 1


@dataclass
class _Copy:
    """A stream of the output, and the number of packets sent to it."""

    name: str
    stream: Stream
    tail: FragmentTail[SidePacket]
    convert: Callable[[bytes], bytes] | None = None
    sent: int = 0


def is_cover(stream: Stream) -> bool:
    """Whether the stream is cover art: one image without a time."""
    return bool(stream.disposition & Disposition.attached_pic)


def copy_tags(source: Stream, copy: Stream) -> None:
    """Copies language, title, other tags and disposition."""
    tags = {name: value for name, value in source.metadata.items() if not name.startswith(_MUXER_STATISTICS)}
    if (title := title_of(source)) and "title" not in tags:
        tags["title"] = title
    copy.metadata.update(file_tags(tags))
    copy.disposition = source.disposition


def file_tags(tags: dict[str, str]) -> dict[str, str]:
    """The tags that describe the content, not the file."""
    return {name: value for name, value in tags.items() if name.lower() not in _MUXER_TAGS}


def can_hold(container: Container, stream: Stream) -> bool:
    """Whether the container takes a copy of the stream, by a trial header, and a packet of data streams."""
    if container.is_raw or (container.codecs is not None and codec_name(stream) not in container.codecs):
        return False
    if container.format == "mov" and is_cover(stream):  # FFmpeg would accept it, and write nothing
        return False
    if container.has_display_matrix and codec_name(stream) == "vp9" and not getattr(stream, "pix_fmt", None):
        return False  # it begins too late to be probed, and FFmpeg would write a header that nothing can read
    memory = io.BytesIO() if container.seekable else _Unseekable()
    try:
        with av.open(memory, "w", format=container.format, metadata_errors=TAG_ERRORS) as trial:
            copy = copy_stream(stream, trial, seekable=container.seekable)
            trial.start_encoding()
            if stream.type != "data" or container.codecs is not None:
                return True
            trial.mux_one(_data_packet(copy))
        memory.seek(0)
        with av.open(memory, "r", format=container.format) as written:  # FFmpeg may accept it, and write nothing
            return any(packet.size and packet.stream.type == "data" for packet in written.demux())
    except (av.FFmpegError, ValueError, OSError):
        return False


def _data_packet(stream: Stream) -> SidePacket:
    packet: SidePacket = Packet(bytes(64))
    packet.stream, packet.pts, packet.dts, packet.duration = stream, 0, 0, 1
    packet.time_base = stream.time_base or Fraction(1, 1000)
    return packet


class _Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False


def copy_stream(stream: Stream, output: OutputContainer, *, seekable: bool = True) -> Stream:
    """Adds a stream to `output` with the codec parameters and tags of another.

    Raises ValueError if the container's muxer does not list the codec; Matroska's stores more codecs than it lists,
    all that have a number for WAVE headers or AVI, and decides when the header is written.
    """
    try:
        copy = output.add_stream_from_template(stream, opaque=True)
    except ValueError:
        if output.format.name != "matroska" or stream.type not in _LISTED_CODECS:
            raise
        copy = output.add_mux_stream(_LISTED_CODECS[stream.type], time_base=stream.time_base)
        copy_parameters(stream, copy)
    if isinstance(copy, AudioStream) and copy.codec_context and copy.layout.name in _DEFAULT_LAYOUTS:
        copy.layout = _DEFAULT_LAYOUTS[copy.layout.name]
    if not seekable and output.format.name == "matroska" and (headers := aac_headers(stream)) and copy.codec_context:
        copy.codec_context.extradata = headers
    copy_tags(stream, copy)
    return copy
