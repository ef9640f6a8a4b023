"""A live source, opened: its packets as they come, and the pictures in them."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Self

import av
from av import VideoFrame
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from vidsr.errors import SourceError, SourceLost
from vidsr.media.compression_probe import EXPORT_QUANTISERS, Compression, probe_compression
from vidsr.media.error_text import broken_off
from vidsr.media.probe import codec_name, first_video, frame_rate
from vidsr.media.source.live_timestamps import TIME_BASE
from vidsr.media.source.open_live import open_live
from vidsr.media.source.pacing import LivePacket, paced
from vidsr.settings.stream import StreamSettings
from vidsr.stream_url import Address

_DECODER_THREADS = 2
_FASTEST = 240  # frames a second that are believed; without a rate FFmpeg takes the clock's ticks for one
_UNTIMED = ("mpjpeg", "mjpeg")
"""Formats whose pictures carry no time: FFmpeg counts them at 25 a second, whatever the camera sends."""
_FRUITLESS_S = 20.0  # a camera that is joined between two key frames shows nothing until the next one
_FRUITLESS_PACKETS = 16  # no decoder holds more of them back; pictures may have been left out in between
_REFUSED_S = 2.0  # in which the decoder refuses every packet, after pictures that were good: it is another codec


@dataclass(frozen=True, kw_only=True)
class CameraInfo:
    """What a source said when it was opened; str() has it in words."""

    codec: str
    width: int
    height: int
    rate: Fraction | None
    """Frames a second, where it says so."""
    sound: str
    """The codec of its sound, "" without any."""

    def __str__(self) -> str:
        rate = f", {float(self.rate):.4g} frames a second" if self.rate else ""
        return f"{self.codec} {self.width}x{self.height}{rate}, {self.sound or 'no'} sound"


class Camera:
    """A live source; closed by `with`.

    One thread reads `packets()`, one (another, or the same) decodes by `pictures()`. Packets and pictures have a
    `time_base` of their own, which need not be the stream's. `video` and `audio` (the first one, None without any)
    must not be touched once it is closed: FFmpeg has freed them.

    Raises SourceLost, in words, when it does not answer or sends no video; `slow` where it refuses the password.
    Raises SourceError for an address that is none of a live source, and for a file that is no video.
    """

    def __init__(self, address: Address, settings: StreamSettings) -> None:
        self.corrupt = 0  # pictures and packets the decoder had to guess or refuse
        self._address = address
        self._timeout_s = settings.timeout_s
        self._halted = threading.Event()
        self._reading = threading.Lock()
        self._compression: Compression | None = None
        self._first_bytes = 0
        self._fruitless = self._refused = 0
        self._fruitless_since_s = 0.0
        self._container = open_live(address, settings)
        try:
            self.video = self._chosen(settings.max_megapixels)
            self._decoder = self.video.codec_context
            most = _most_pixels(self.video, settings.max_megapixels)
            self._decoder.options = {"max_pixels": most, **EXPORT_QUANTISERS}
            self._decoder.thread_type = "SLICE"  # the other kind holds back a picture for each thread
            self._decoder.thread_count = _DECODER_THREADS
            self.audio = self._container.streams.audio[0] if self._container.streams.audio else None
            self._untimed = self._container.format.name in _UNTIMED
            self.info = _info(self.video, self.audio, untimed=self._untimed)
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def packets(self) -> Iterator[LivePacket]:
        """The packets of video and sound in the order they come. It ends by SourceLost, or after `halt()`.

        Silence is noticed after `timeout_s`, of the video alone, too; the end of a stream or file is a loss like any.
        """
        source = self._played() if self._address.path else self._watched()
        for packet in source:
            if packet.size and packet.stream in (self.video, self.audio):  # the last ones are empty
                yield packet
        if not self._halted.is_set():
            raise self._lost("is played to its end" if self._address.path else "closed the connection")

    def pictures(self, packet: LivePacket) -> list[VideoFrame]:
        """The pictures that a packet of the video completes, mostly one; a picture's `pts` may be None.

        Raises SourceLost when nothing has come of the packets for long.
        """
        self._first_bytes = self._first_bytes or packet.size
        try:
            pictures = self._decoder.decode(packet)
            self._refused = 0
        except av.FFmpegError:
            self.corrupt += 1
            self._refused += 1
            pictures = []
        self.corrupt += sum(picture.is_corrupt for picture in pictures)
        if pictures and self._compression is None:
            self._compression = probe_compression(self.video, pictures[0], self._first_bytes)
        self._weigh(fruitful=bool(pictures))
        return pictures

    def compression(self) -> Compression:
        """How hard the stream is compressed. Raises ValueError before the first picture."""
        if self._compression is None:
            raise ValueError("no picture is decoded yet")
        return self._compression

    def halt(self) -> None:
        """Have `packets()` end at the next packet, or after `timeout_s` and a little: FFmpeg cannot be woken."""
        self._halted.set()

    def close(self) -> None:
        """Close the source. A thread that still reads is halted and waited for.

        One that does not come back within 2 x `timeout_s`, which none should, keeps the source open.
        """
        self.halt()
        if self._reading.acquire(timeout=2 * self._timeout_s):
            self._container.close()
            self._reading.release()

    def _chosen(self, max_megapixels: float) -> VideoStream:
        video = first_video(self._container)
        if video is None:
            unknown = " that can be decoded" if self._container.streams.video else ""
            raise self._unfit(f"sends no video{unknown}")
        width, height = video.codec_context.width, video.codec_context.height
        if not width or not height:
            raise self._unfit("sends video, but no whole picture in time")
        if width * height > max_megapixels * 1e6:
            size = f"{width}x{height}"
            raise self._unfit(f"sends {size}, which is above {max_megapixels:g} megapixels (see --max-megapixels)")
        return video

    def _played(self) -> Iterator[LivePacket]:
        """The packets of a file at its own speed."""
        return paced(self._demuxed(), video=self.video, wait=self._halted.wait)

    def _watched(self) -> Iterator[LivePacket]:
        """The packets of a camera, as long as they keep coming; without times they get those of their arrival."""
        began = asked = seen = time.monotonic()
        for packet in self._demuxed():
            now = time.monotonic()
            if now - asked >= self._timeout_s:  # this one was held by FFmpeg's parser until it gave up waiting
                raise self._lost(f"sends nothing for {self._timeout_s:g} s")
            if packet.stream is self.video:
                seen = now
            elif now - seen >= self._timeout_s:
                raise self._lost(f"sends sound or data, but no video for {self._timeout_s:g} s")
            if self._untimed:
                packet.time_base, packet.duration = TIME_BASE, 0
                packet.pts = packet.dts = round((now - began) / TIME_BASE)
            yield packet
            asked = time.monotonic()

    def _demuxed(self) -> Iterator[LivePacket]:
        """The packets of all streams: those not asked for would be passed over without end, and nobody would know."""
        packets = self._container.demux()
        while (packet := self._next(packets)) is not None:
            yield packet

    def _next(self, packets: Iterator[LivePacket]) -> "LivePacket | None":
        """The next packet; None at the end, and once halted."""
        asked = time.monotonic()
        try:
            with self._reading:
                return None if self._halted.is_set() else next(packets, None)
        except IndexError:  # PyAV 18.1 ends so behind a stream that appeared on the way
            return None
        except av.FFmpegError as error:
            silent = time.monotonic() - asked >= self._timeout_s
            words = f"sends nothing for {self._timeout_s:g} s" if silent else broken_off(error)
        raise self._lost(words)  # out here it has no context: the text of FFmpeg's error holds the whole address

    def _weigh(self, *, fruitful: bool) -> None:
        now = time.monotonic()
        if fruitful:
            self._fruitless = 0
            return
        if not self._fruitless:
            self._fruitless_since_s = now
        self._fruitless += 1
        passed_s = now - self._fruitless_since_s
        if self._compression and self._refused >= _FRUITLESS_PACKETS and passed_s >= _REFUSED_S:
            raise self._lost("sends pictures that cannot be decoded any more")
        if self._fruitless >= _FRUITLESS_PACKETS and passed_s >= _FRUITLESS_S:
            raise self._lost(f"sends video, but no picture in {_FRUITLESS_S:g} s")

    def _lost(self, words: str) -> SourceLost:
        return SourceLost(f"{self._address}: {words}")

    def _unfit(self, words: str) -> SourceError:
        """A camera may send something else another time, a file does not."""
        return SourceError(f"{self._address}: {words}") if self._address.path else self._lost(words)


def _most_pixels(video: VideoStream, max_megapixels: float) -> str:
    """For pictures that grow on the way, too; FFmpeg counts rows in whole steps of 64 pixels."""
    return str(int(max_megapixels * 1e6) + 64 * video.codec_context.height)


def _info(video: VideoStream, audio: AudioStream | None, *, untimed: bool) -> CameraInfo:
    # Of a transport stream FFmpeg knows no average, and takes the rate of fields for that of pictures.
    rate = None if untimed else video.average_rate or video.codec_context.framerate or frame_rate(video)
    return CameraInfo(
        codec=codec_name(video),
        width=video.codec_context.width,
        height=video.codec_context.height,
        rate=rate if rate and rate <= _FASTEST else None,
        sound=codec_name(audio) if audio else "",
    )
