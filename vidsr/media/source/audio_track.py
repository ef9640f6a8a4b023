"""The audio of a live source: the tracks of its video's programme, in the form that every container takes."""

import re
from collections.abc import Iterable

import av
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.video.stream import VideoStream

from vidsr.media.ffmpeg_log import ffmpeg_log
from vidsr.media.probe import codec_name
from vidsr.media.source.pacing import LivePacket
from vidsr.media.stream_template import StreamTemplate

_PROGRAMME, _STREAM = re.compile(r"  Program \d+"), re.compile(r"  Stream #0:(\d+)")


class AudioTrack:
    """An audio stream of a source, whose packets must pass through `convert`; `template` declares it in containers.

    AAC with ADTS headers, as in MPEG-TS, becomes raw AAC: fragmented MP4 and RTP refuse the headers.
    """

    def __init__(self, stream: AudioStream) -> None:
        self.stream, self.template = stream, StreamTemplate(stream)
        self._to_raw: BitStreamFilterContext | None = None

    @property
    def lacks_headers(self) -> bool:
        """Whether the template is complete only after the first packet."""
        has_headers = self.template.stream.codec_context.extradata is not None
        return codec_name(self.stream) == "aac" and not has_headers and bool(self.stream.codec_context.sample_rate)

    def convert(self, packet: LivePacket) -> list[LivePacket]:
        """The packet, as a rule one. Raises FFmpegError for a corrupt one."""
        if codec_name(self.stream) != "aac" or not _has_adts_header(packet):
            return [packet]
        self._to_raw = self._to_raw or BitStreamFilterContext("aac_adtstoasc", self.stream)
        time_base = packet.time_base
        converted: list[LivePacket] = self._to_raw.filter(packet)  # which empties the packet
        for raw in converted:
            raw.stream, raw.time_base = self.stream, time_base
            if self.lacks_headers and raw.has_sidedata("new_extradata"):
                self.template = StreamTemplate(self.stream, headers=bytes(raw.get_sidedata("new_extradata")))
        return converted

    def encode(self, packet: LivePacket) -> Iterable[LivePacket]:
        """The packets to record for one that was converted: a copy."""
        return [packet]


def audio_tracks(container: InputContainer, video: VideoStream) -> list[AudioTrack]:
    """The audio tracks of the programme of the video; without programmes, all."""
    streams = container.streams.audio
    if container.format.name == "mpegts" and streams:
        programmes = [each for each in _programmes(container) if video.index in each]
        streams = tuple(each for each in streams if not programmes or each.index in set().union(*programmes))
    return [AudioTrack(stream) for stream in streams if getattr(stream, "codec_context", None) is not None]


def _programmes(container: InputContainer) -> list[set[int]]:
    """The stream indices of each programme, which PyAV shows only in its description of the container."""
    with ffmpeg_log(av.logging.INFO):
        lines = container.dumps_format().splitlines()  # type: ignore[attr-defined]  # missing in the stubs
    found: list[set[int]] = []
    for line in lines:
        if _PROGRAMME.match(line):
            found.append(set())
        elif line.startswith("  No Program"):
            break
        elif found and (stream := _STREAM.match(line)):
            found[-1].add(int(stream[1]))
    return found


def _has_adts_header(packet: LivePacket) -> bool:
    first, second, *_ = bytes(packet)[:2].ljust(2, b"\0")
    return first == 0xFF and second & 0xF6 == 0xF0
