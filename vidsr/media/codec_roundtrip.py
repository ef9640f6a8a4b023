"""Planes through an encoder and back: what a codec leaves of them."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain

import av
import numpy as np
from av import VideoFrame
from av.codec import Codec
from av.video.codeccontext import VideoCodecContext

from vidsr.arrays import Luma
from vidsr.errors import TargetError
from vidsr.media.encoder_presets import YUV420, Coding
from vidsr.media.encoders import Picture, encoder_options, require, video_encoder
from vidsr.media.formats import luma_of
from vidsr.settings import EncodeSettings

_NO_COLOUR = 128
_DECODERS = {"av1": "libdav1d"}  # FFmpeg's own of that name needs a graphics card
# Pixels a side. Of pictures less than about 50 wide the x265 in PyAV 18.1 writes beyond its memory, and of those of 64
# it now and then makes something else of the same frames; from 80 on neither was seen.
_LEAST = {"libx265": 96}


def through_codec(planes: Iterable[Luma], encode: EncodeSettings, rate: Fraction) -> Iterator[Luma]:
    """The (H, W) planes of one shape as a decoder gives them back, each once and in order; colour is neutral.

    `rate` is their number a second. Only as many as the encoder looks ahead are held. Raises TargetError when the
    encoder is not there, refuses the planes, or when others come back than went in.
    """
    coming = iter(planes)
    if (first := next(coming, None)) is None:
        return
    options = encoder_options(encode, {})
    width, height = _coded_size(first, encode.codec)
    require(encode.codec, Picture(width=width, height=height, format=YUV420), options)
    yield from through_coding(chain([first], coming), Coding(codec=encode.codec, options=options), rate)


def through_coding(planes: Iterable[Luma], coding: Coding, rate: Fraction) -> Iterator[Luma]:
    """The same for an encoder that is told everything. Raises TargetError."""
    trip: _Trip | None = None
    try:
        for plane in planes:
            trip = trip or _Trip(plane, coding, rate)
            yield from trip.send(plane)
        if trip:
            yield from trip.finish()
    except av.FFmpegError as error:
        raise TargetError(f"{coding.codec}: refuses the clip ({error.strerror})") from error


def _coded_size(plane: Luma, codec: str) -> tuple[int, int]:
    """(width, height) of the picture that the encoder gets, to whose upper left the plane is cut again."""
    height, width = (max(length + length % 2, _LEAST.get(codec, 2)) for length in plane.shape)
    return width, height


class _Trip:
    """An encoder, and a decoder that takes what it gives."""

    def __init__(self, first: Luma, coding: Coding, rate: Fraction) -> None:
        self._codec, self._format, self._shape = coding.codec, coding.format, first.shape
        self._width, self._height = _coded_size(first, coding.codec)
        self._encoder = video_encoder(coding.codec)
        self._encoder.width, self._encoder.height, self._encoder.pix_fmt = self._width, self._height, coding.format
        self._encoder.time_base, self._encoder.framerate = 1 / rate, rate
        self._encoder.options = dict(coding.options)
        self._encoder.open(strict=False)
        self._decoder = self._matching_decoder()
        self._sent = self._back = 0

    def send(self, plane: Luma) -> Iterator[Luma]:
        """What comes back when this plane has gone in."""
        picture = VideoFrame(self._width, self._height, self._format)
        for chroma in picture.planes[1:]:
            chroma.update(bytes([_NO_COLOUR]) * chroma.buffer_size)
        height, width = plane.shape
        luma_of(picture)[:] = np.pad(plane, ((0, self._height - height), (0, self._width - width)), mode="edge")
        picture.pts, picture.time_base = self._sent, self._encoder.time_base
        self._sent += 1
        yield from self._decoded(picture)

    def finish(self) -> Iterator[Luma]:
        """What was still on its way."""
        yield from self._decoded(None)
        for frame in self._decoder.decode(None):
            yield self._plane(frame)
        if self._back != self._sent:
            raise TargetError(f"{self._codec}: {self._sent} frames went in, {self._back} came out")

    def _matching_decoder(self) -> VideoCodecContext:
        name = Codec(self._codec, "w").canonical_name
        decoder = av.CodecContext.create(_DECODERS.get(name, name), "r")
        assert isinstance(decoder, VideoCodecContext)
        decoder.width, decoder.height = self._width, self._height
        decoder.extradata = self._encoder.extradata
        return decoder

    def _decoded(self, picture: VideoFrame | None) -> Iterator[Luma]:
        for packet in self._encoder.encode(picture):
            for frame in self._decoder.decode(packet):
                yield self._plane(frame)

    def _plane(self, frame: VideoFrame) -> Luma:
        if frame.pts != self._back:
            raise TargetError(f"{self._codec}: frame {self._back} went in, {frame.pts} came out in its place")
        self._back += 1
        height, width = self._shape
        return luma_of(frame)[:height, :width].astype(np.uint8, copy=False)
