"""An open live source: its packets as they arrive, and the frames in them."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import Self, cast

import av
from av import VideoFrame
from av.video.stream import VideoStream

from vidsr.errors import SourceError, SourceLost
from vidsr.media.compression_probe import Compression
from vidsr.media.packet_data import packet_data
from vidsr.media.probe import codec_name, first_video, frame_rate
from vidsr.media.source.audio_track import AudioTrack, audio_tracks
from vidsr.media.source.live_timestamps import TIME_BASE
from vidsr.media.source.open_live import disconnect_text, open_live, silence_s
from vidsr.media.source.pacing import LivePacket, paced_packets
from vidsr.media.video_decoder import VideoDecoder
from vidsr.settings.stream import StreamSettings
from vidsr.stream_url import StreamUrl

_DECODER_THREADS = 2
_MAX_RATE = 240  # frames per second; above it FFmpeg has mistaken clock ticks for a rate
_UNTIMED_FORMATS = ("mpjpeg", "mjpeg")
"""Formats without timestamps: FFmpeg counts their frames at 25 per second, whatever the camera sends."""
_HEADERS_S = 1.0  # for packets that FFmpeg holds already
_NO_FRAME_S = 20.0  # no frame can be decoded before the first key frame
_NO_FRAME_PACKETS = 16  # more than decoders delay
_REFUSED_S = 2.0  # of rejected packets after good frames: the camera has changed its codec


@dataclass(frozen=True, kw_only=True)
class SourceInfo:
    """The streams of a source as it was opened; str() describes them."""

    codec: str
    width: int
    height: int
    rate: Fraction | None
    """Frames per second; None if unknown."""
    audio: str
    """The codecs of the audio tracks, "" without audio."""

    def __str__(self) -> str:
        rate = f", {float(self.rate):.4g} frames per second" if self.rate else ""
        return f"{self.codec} {self.width}x{self.height}{rate}, {self.audio or 'no'} audio"


class LiveSource:
    """A live source; closed by `with`.

    One thread reads `packets()`; the same or another decodes them by `decode`. Packets and frames have their own
    `time_base`, which may differ from that of the stream. `audio` is the track to record, at first the first of
    `audio_tracks`, or None. Streams must not be used after closing: FFmpeg has freed them.

    Raises SourceLost when it does not answer or sends no video, with `slow` when it rejects the password. Raises
    SourceError for a URL that is no live source, and for a file that is no video.
    """

    def __init__(self, url: StreamUrl, settings: StreamSettings) -> None:
        self.corrupt = 0  # frames and packets that the decoder concealed or rejected
        self._url = url
        self._timeout_s = silence_s(url, settings)
        self._is_device = url.is_device
        self._is_paced = url.is_file or url.is_playlist  # at the speed of their own times
        self._stopped = threading.Event()
        self._reading = threading.Lock()
        self._frameless = self._refused = 0
        self._frameless_since_s = 0.0
        self._container = open_live(url, settings)
        try:
            self.video = self._select_video(settings.max_megapixels)
            context = self.video.codec_context
            context.thread_type = "SLICE"  # frame threads would delay a frame for each thread
            context.thread_count = _DECODER_THREADS
            self._decoder = VideoDecoder(context, max_megapixels=settings.max_megapixels)
            self.audio_tracks = audio_tracks(self._container, self.video)
            self.audio = next(iter(self.audio_tracks), None)
            self._untimed = self._container.format.name in _UNTIMED_FORMATS
            self.info = _info(self.video, self.audio_tracks, untimed=self._untimed)
            self._demuxed = self._demux()
            self._packets = chain(self._read_headers(), self._demuxed)
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def packets(self) -> Iterator[LivePacket]:
        """The packets of video and audio, in order of arrival. Ends by SourceLost, or after `stop()`.

        The source is lost after `timeout_s` without any packet, or without video, and at the end of a stream or file.
        """
        tracks = {track.stream.index: track for track in self.audio_tracks}
        paced = paced_packets(self._packets, video=self.video, wait=self._stopped.wait)
        for packet in paced if self._is_paced else self._camera_packets():
            if not packet.size:  # at the end
                continue
            if packet.stream is self.video:
                yield packet
            elif track := tracks.get(packet.stream.index):
                yield from self._converted(track, packet)
        if not self._stopped.is_set():
            raise self._lost("end of file" if self._url.is_file else "closed the connection")

    def decode(self, packet: LivePacket) -> list[VideoFrame]:
        """The frames that a packet of video completes, mostly one; the `pts` of a frame may be None.

        Raises SourceLost when no packet has completed a frame for long.
        """
        refused = self._decoder.refused
        frames = self._decoder.decode(packet)
        refused = self._decoder.refused - refused
        self._refused = self._refused + 1 if refused else 0
        self.corrupt += refused + sum(frame.is_corrupt for frame in frames)
        self._check_progress(has_frames=bool(frames))
        return frames

    def encode_audio(self, packet: LivePacket) -> list[LivePacket]:
        """The packets to record for a packet of `audio`."""
        try:
            return list(self.audio.encode(packet)) if self.audio else []
        except av.FFmpegError:
            self.corrupt += 1
            return []

    def flush(self) -> list[VideoFrame]:
        """The frames that the decoder holds for the order of presentation; it goes on with a key frame."""
        frames = self._decoder.flush()
        self.corrupt += sum(frame.is_corrupt for frame in frames)
        return frames

    def compression(self) -> Compression:
        """How strongly the stream is compressed. Raises ValueError before the first frame."""
        if self._decoder.compression is None:
            raise ValueError("no frame is decoded yet")
        return self._decoder.compression

    def stop(self) -> None:
        """End `packets()` at the next packet, or after `timeout_s`: a read of FFmpeg cannot be interrupted."""
        self._stopped.set()

    def close(self) -> None:
        """Close the source; waits for a thread that still reads.

        If that thread does not return within 2 x `timeout_s`, which should not happen, the source stays open.
        """
        self.stop()
        if self._reading.acquire(timeout=2 * self._timeout_s):
            self._container.close()
            self._reading.release()

    def _select_video(self, max_megapixels: float) -> VideoStream:
        video = first_video(self._container)
        if video is None:
            suffix = " that can be decoded" if self._container.streams.video else ""
            raise self._unfit(f"sends no video{suffix}")
        width, height = video.codec_context.width, video.codec_context.height
        if not width or not height:
            raise self._unfit("sends video, but no complete frame in time")
        if width * height > max_megapixels * 1e6:
            size = f"{width}x{height}"
            raise self._unfit(f"sends {size}, which is above {max_megapixels:g} megapixels (see --max-megapixels)")
        return video

    def _read_headers(self) -> list[LivePacket]:
        """The packets up to the first of each track whose headers are in it: FFmpeg has read them to detect it."""
        ahead: list[LivePacket] = []
        until_s = time.monotonic() + _HEADERS_S
        lacking = {track.stream.index: track for track in self.audio_tracks if track.lacks_headers}
        while lacking and time.monotonic() < until_s and (packet := next(self._demuxed, None)):
            track = lacking.pop(packet.stream.index, None)
            ahead += self._converted(track, packet) if track else [packet]
        return ahead

    def _converted(self, track: AudioTrack, packet: LivePacket) -> list[LivePacket]:
        try:
            return track.convert(packet)
        except av.FFmpegError:
            self.corrupt += 1
            return []

    def _camera_packets(self) -> Iterator[LivePacket]:
        """The packets of a camera, while they keep coming; formats without timestamps get the time of arrival."""
        began_s = asked_s = video_s = time.monotonic()
        for packet in self._packets:
            now_s = time.monotonic()
            if now_s - asked_s >= self._timeout_s:  # the parser of FFmpeg held this packet until the timeout
                raise self._lost(f"sends nothing for {self._timeout_s:g} s")
            if packet.stream is self.video:
                video_s = now_s
            elif now_s - video_s >= self._timeout_s:
                raise self._lost(f"sends audio or data, but no video for {self._timeout_s:g} s")
            if self._untimed:
                packet.time_base, packet.duration = TIME_BASE, 0
                packet.pts = packet.dts = round((now_s - began_s) / TIME_BASE)
            yield packet
            asked_s = time.monotonic()

    def _demux(self) -> Iterator[LivePacket]:
        """The packets of all streams: with fewer, FFmpeg would skip the others without end and without a timeout."""
        packets = self._container.demux()
        while (packet := self._next(packets)) is not None:
            yield self._kept(packet) if self._is_device else packet

    def _kept(self, packet: LivePacket) -> LivePacket:
        """A copy of a device's packet, which is in memory of the device's, gone when that is closed or pulled out."""
        copy = cast("LivePacket", packet_data(packet).av_packet(packet.time_base))
        copy.stream = packet.stream
        return copy

    def _next(self, packets: Iterator[LivePacket]) -> "LivePacket | None":
        """The next packet; None at the end, and after `stop()`."""
        asked_s = time.monotonic()
        try:
            with self._reading:
                return None if self._stopped.is_set() else next(packets, None)
        except IndexError:  # PyAV 18.1 raises it at the end, after a stream that appeared later
            return None
        except av.FFmpegError as error:
            silent = time.monotonic() - asked_s >= self._timeout_s
            message = f"sends nothing for {self._timeout_s:g} s" if silent else disconnect_text(error)
        raise self._lost(message)  # outside `except`: the context, an error of FFmpeg, would hold the whole URL

    def _check_progress(self, *, has_frames: bool) -> None:
        now_s = time.monotonic()
        if has_frames:
            self._frameless = 0
            return
        if not self._frameless:
            self._frameless_since_s = now_s
        self._frameless += 1
        passed_s = now_s - self._frameless_since_s
        if self._decoder.compression and self._refused >= _NO_FRAME_PACKETS and passed_s >= _REFUSED_S:
            raise self._lost("sends frames that can no longer be decoded")
        if self._frameless >= _NO_FRAME_PACKETS and passed_s >= _NO_FRAME_S:
            raise self._lost(f"sends video, but no frame in {_NO_FRAME_S:g} s")

    def _lost(self, message: str) -> SourceLost:
        return SourceLost(f"{self._url}: {message}")

    def _unfit(self, message: str) -> SourceError:
        """SourceError for a file, SourceLost for a camera, which may send something else later."""
        return SourceError(f"{self._url}: {message}") if self._url.is_file else self._lost(message)


def _info(video: VideoStream, tracks: Sequence[AudioTrack], *, untimed: bool) -> SourceInfo:
    # For a transport stream FFmpeg knows no average rate, and takes the field rate for the frame rate.
    rate = None if untimed else video.average_rate or video.codec_context.framerate or frame_rate(video)
    return SourceInfo(
        codec=codec_name(video),
        width=video.codec_context.width,
        height=video.codec_context.height,
        rate=rate if rate and rate <= _MAX_RATE else None,
        audio=" and ".join(codec_name(track.stream) for track in tracks),
    )
