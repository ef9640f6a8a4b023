"""Codec round trip: luma planes encoded and decoded again, for the compression artefacts of cameras and files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain

import av
import numpy as np
from av import VideoFrame
from av.codec import Codec
from av.video.codeccontext import VideoCodecContext

from vidsr.arrays import Luma
from vidsr.cpu import kept_scheduling
from vidsr.errors import TargetError
from vidsr.media.encoders import FrameFormat, check_encoder, encoder_options, video_encoder
from vidsr.media.error_text import write_error_text
from vidsr.media.formats import luma_of, neutral_frame
from vidsr.settings import EncodeSettings

_YUV420 = "yuv420p"
_DECODERS = {"av1": "libdav1d"}  # FFmpeg's own decoder of that name needs a graphics card
# Smallest width and height in pixels. Below a width of about 50 the x265 in PyAV 18.1 writes beyond its memory, and at
# 64 its results sometimes differ for the same frames; from 80 on neither was seen.
_MIN_SIZE = {"libx265": 96}


@dataclass(frozen=True, kw_only=True)
class EncoderPreset:
    """An encoder with all its FFmpeg options.

    The presets below encode as cameras do, without B-frames, and give the same bytes on every machine.
    """

    codec: str
    options: dict[str, str] = field(default_factory=dict)
    pixel_format: str = _YUV420
    """Of the encoder's input; the luma is stored unchanged."""


def x264(crf: float, *, gop: int, preset: str) -> EncoderPreset:
    """H.264 of constant quality."""
    return EncoderPreset(codec="libx264", options={"crf": f"{crf:g}", **_x264_options(gop, preset)})


def x264_at_rate(bits_s: float, *, gop: int, preset: str) -> EncoderPreset:
    """H.264 of constant bit rate, in bits per second, with a buffer of one second."""
    bits = f"{bits_s:.0f}"
    options = {"b": bits, "maxrate": bits, "bufsize": bits, **_x264_options(gop, preset)}
    return EncoderPreset(codec="libx264", options=options)


def x265(crf: float, *, gop: int, preset: str) -> EncoderPreset:
    """HEVC of constant quality."""
    params = f"log-level=none:bframes=0:keyint={gop}:pools=none:frame-threads=1"  # the bytes depend on the threads
    return EncoderPreset(codec="libx265", options={"crf": f"{crf:g}", "preset": preset, "x265-params": params})


def mjpeg(quality: float) -> EncoderPreset:
    """JPEG frames about as coarse as libjpeg's of that quality, 10 to 95."""
    percent = 5000 / quality if quality < 50 else 200 - 2 * quality  # of JPEG's own table
    # FFmpeg has MPEG's table; times 10 / 8 it is as coarse as JPEG's at the frequencies that matter most.
    step = str(min(31, max(2, round(percent / 10))))
    options = {"qmin": step, "qmax": step, "threads": "1"}
    return EncoderPreset(codec="mjpeg", options=options, pixel_format="yuvj420p")


def _x264_options(gop: int, preset: str) -> dict[str, str]:
    # Without cpu-independent x264's rate control gave other bytes on a CPU with AVX-512.
    fixed = {"threads": "1", "x264-params": "cpu-independent=1"}
    return {"preset": preset, "g": str(gop), "bf": "0", **fixed}


def roundtrip(planes: Iterable[Luma], encode: EncodeSettings, rate: Fraction) -> Iterator[Luma]:
    """The (H, W) planes of one shape after encoding and decoding, each once and in order; chroma is neutral.

    `rate` is in frames per second. Memory holds only the encoder's look-ahead. Raises TargetError if the encoder
    does not exist or refuses the planes, or if the decoded frames do not match the encoded ones.
    """
    rest = iter(planes)
    if (first := next(rest, None)) is None:
        return
    options = encoder_options(encode)
    width, height = _coded_size(first, encode.encoder)
    check_encoder(encode, FrameFormat(width=width, height=height, pixel_format=_YUV420), options)
    yield from preset_roundtrip(chain([first], rest), EncoderPreset(codec=encode.encoder, options=options), rate)


def preset_roundtrip(planes: Iterable[Luma], preset: EncoderPreset, rate: Fraction) -> Iterator[Luma]:
    """As `roundtrip`, by an encoder whose options are all given. Raises TargetError."""
    trip: RoundTrip | None = None
    try:
        for plane in planes:
            trip = trip or RoundTrip(plane, preset, rate)
            yield from trip.send(plane)
        if trip:
            yield from trip.finish()
    except av.FFmpegError as error:
        raise TargetError(f"{preset.codec}: refuses the clip ({write_error_text(error)})") from error


def _coded_size(plane: Luma, codec: str) -> tuple[int, int]:
    """(width, height) of the encoder's input; the plane is padded at the right and bottom."""
    height, width = (max(length + length % 2, _MIN_SIZE.get(codec, 2)) for length in plane.shape)
    return width, height


class RoundTrip:
    """An encoder connected to a decoder, for planes of the shape of `first`."""

    def __init__(self, first: Luma, preset: EncoderPreset, rate: Fraction) -> None:
        self._codec, self._pixel_format, self._shape = preset.codec, preset.pixel_format, first.shape
        self._width, self._height = _coded_size(first, preset.codec)
        self._encoder = video_encoder(preset.codec)
        self._encoder.width, self._encoder.height = self._width, self._height
        self._encoder.pix_fmt = preset.pixel_format
        self._encoder.time_base, self._encoder.framerate = 1 / rate, rate
        self._encoder.options = dict(preset.options)
        with kept_scheduling():
            self._encoder.open(strict=False)
        self._decoder = self._create_decoder()
        self._sent = self._received = 0

    def send(self, plane: Luma) -> Iterator[Luma]:
        """Encodes the plane; the planes that are decoded so far."""
        frame = neutral_frame((self._width, self._height), self._pixel_format)
        height, width = plane.shape
        luma_of(frame)[:] = np.pad(plane, ((0, self._height - height), (0, self._width - width)), mode="edge")
        frame.pts, frame.time_base = self._sent, self._encoder.time_base
        self._sent += 1
        yield from self._decoded(frame)

    def finish(self) -> Iterator[Luma]:
        """Flushes encoder and decoder; the remaining planes. Raises TargetError if frames are missing."""
        yield from self._decoded(None)
        for frame in self._decoder.decode(None):
            yield self._plane(frame)
        if self._received != self._sent:
            raise TargetError(f"{self._codec}: {self._sent} frames went in, {self._received} came out")

    def _create_decoder(self) -> VideoCodecContext:
        name = Codec(self._codec, "w").canonical_name
        decoder = av.CodecContext.create(_DECODERS.get(name, name), "r")
        assert isinstance(decoder, VideoCodecContext)
        decoder.width, decoder.height = self._width, self._height
        decoder.extradata = self._encoder.extradata
        return decoder

    def _decoded(self, frame: VideoFrame | None) -> Iterator[Luma]:
        for packet in self._encoder.encode(frame):
            for decoded in self._decoder.decode(packet):
                yield self._plane(decoded)

    def _plane(self, frame: VideoFrame) -> Luma:
        if frame.pts != self._received:
            raise TargetError(f"{self._codec}: frame {self._received} went in, {frame.pts} came out in its place")
        self._received += 1
        height, width = self._shape
        return luma_of(frame)[:height, :width].astype(np.uint8, copy=False)
