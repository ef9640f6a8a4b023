"""The audio of a live source as AAC, which every target can hold."""

from collections.abc import Iterator
from fractions import Fraction

import av
from av import AudioFrame, AudioResampler
from av.audio.stream import AudioStream
from av.codec.context import Flags

from vidsr.media.source.audio_track import AudioTrack
from vidsr.media.source.pacing import LivePacket
from vidsr.media.stream_template import StreamTemplate, null_container

_SAMPLES = 1024  # of an AAC frame
_MAX_GAP_S = 0.1  # between the times of the source and those by the number of samples
_BIT_RATE = 64_000  # per channel, and less for telephone rates
_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


class AacTrack(AudioTrack):
    """A track that is decoded and encoded. Its times are those of the source; silence fills none of its gaps.

    Raises FFmpegError or ValueError for a codec that cannot be decoded.
    """

    def __init__(self, source: AudioTrack) -> None:
        super().__init__(source.stream)
        decoder = source.stream.codec_context
        if not decoder.sample_rate:
            raise ValueError(f"{decoder.name} without a sample rate")
        self._rate = min((rate for rate in _RATES if rate >= decoder.sample_rate), default=_RATES[-1])
        self._layout = "stereo" if decoder.layout.nb_channels > 1 else "mono"  # G.726 states none
        self._encoder = self._new_encoder()
        self.template = StreamTemplate(self._encoder)
        self._resampler = self._new_resampler()
        self._kind: tuple[str, str, int] | None = None  # of the frames, of which a resampler takes one only
        self._next_pts: int | None = None  # of the next sample that the encoder takes

    def encode(self, packet: LivePacket) -> Iterator[LivePacket]:
        """The packets that a packet of the source completes. Raises FFmpegError for a corrupt one."""
        for frame in self.stream.codec_context.decode(packet):
            start = None if frame.pts is None or not frame.time_base else frame.pts * frame.time_base
            yield from self._encode_frame(frame, start)

    def _encode_frame(self, frame: AudioFrame, start_s: Fraction | None) -> Iterator[LivePacket]:
        expected = None if self._next_pts is None else self._next_pts + self._n_waiting
        pts = expected if start_s is None else round(start_s * self._rate)
        has_gap = pts is not None and (expected is None or abs(pts - expected) > _MAX_GAP_S * self._rate)
        kind = frame.format.name, frame.layout.name, frame.sample_rate
        if has_gap or kind != self._kind:
            self._next_pts, self._kind = pts, kind
            self._encoder, self._resampler = self._new_encoder(), self._new_resampler()
        frame.pts = None  # the resampler accepts no gap, however small
        self._n_waiting += round(frame.samples * self._rate / frame.sample_rate)
        for block in self._resampler.resample(frame):
            self._n_waiting -= block.samples
            block.pts, block.time_base = self._next_pts, Fraction(1, self._rate)
            self._next_pts = (self._next_pts or 0) + block.samples
            for packet in self._encoder.encode(block):
                packet.stream = self.stream
                packet.time_base = Fraction(1, self._rate)
                yield packet

    def _new_encoder(self) -> AudioStream:
        container = null_container()  # it owns the encoder
        encoder = container.add_stream("aac", rate=self._rate)
        assert isinstance(encoder, AudioStream)
        encoder.layout = self._layout
        context = encoder.codec_context
        context.bit_rate = min(_BIT_RATE, 4 * self._rate) * context.layout.nb_channels
        context.flags |= Flags.global_header
        container.start_encoding()
        container.close()
        return encoder

    def _new_resampler(self) -> AudioResampler:
        self._n_waiting = 0
        return AudioResampler(format="fltp", layout=self._layout, rate=self._rate, frame_size=_SAMPLES)


def aac_track(source: AudioTrack) -> AacTrack | None:
    """The track as AAC; None if it cannot be decoded."""
    try:
        return AacTrack(source)
    except (av.FFmpegError, ValueError):
        return None
