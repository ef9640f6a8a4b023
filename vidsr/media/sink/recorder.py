"""The recorder of a live stream: one encoder, and many targets that cannot block each other."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock
from time import time
from typing import Self

from av import Packet, VideoFrame
from av.video.stream import VideoStream

from vidsr.callbacks import OnWarning
from vidsr.errors import TargetError
from vidsr.media.containers import container_for, is_playlist, is_video
from vidsr.media.frame import AnyPacket
from vidsr.media.probe import codec_name
from vidsr.media.sink.hls import HlsSink
from vidsr.media.sink.muxer import LiveEncoder, format_key, probe_encoder
from vidsr.media.sink.push import PushSink
from vidsr.media.sink.recording_dir import BackgroundWorker, RecordingDir, prepare_file
from vidsr.media.sink.segment_recovery import unused_path
from vidsr.media.sink.segment_sink import SegmentSink, is_same_frame
from vidsr.media.sink.sink import RetryingSink, Sink
from vidsr.media.source.aac_track import aac_track
from vidsr.media.source.audio_track import AudioTrack
from vidsr.media.source.live_timestamps import SECOND, TIME_BASE
from vidsr.media.stream_copy import can_hold
from vidsr.media.stream_template import OutputStreams, StreamTemplate, TimedPacket
from vidsr.settings import EncodeSettings, RecordSettings
from vidsr.stream_url import PIPE_SCHEME, TARGET_SCHEMES, StreamUrl

_RETENTION_S = 5.0
_CLOSE_S = 8.0  # of the 10 s to SIGKILL
_MAX_KEY_AGE = SECOND  # key frames of the source are forgotten once frames this much later are written
_MAX_PENDING = 3000  # packets of audio: a minute, far longer than a frame is in work


class Recorder:
    """Encodes upscaled frames once, and writes them with the audio and packets of the source to all targets.

    Closed by `with`. The errors of a target affect no other: `on_warning` receives them once, `target_states` shows
    them, and the target is restarted after longer and longer pauses. Only errors that no retry can fix are raised, as
    TargetError: at construction, by `begin` for frames that the encoder does not accept, and if the only target is a
    standard output that cannot be written. Frames and packets come from one thread; `on_warning` is also called from
    others. Audio, and with `record.original` the packets of the source, come before the frames of the same time and
    are queued here.
    """

    def __init__(
        self,
        targets: Sequence[StreamUrl],
        *,
        record: RecordSettings,
        encode: EncodeSettings,
        on_warning: OnWarning,
        neighbours: Mapping[Path, float] = {},
        camera: str = "",
    ) -> None:
        """A target file that exists stays: the recording goes on in a file beside it. `neighbours` are the directories
        of segments of all cameras, whose oldest are deleted when the disk they share is full, and the GB that each
        keeps. The name of the `camera` is a tag of each file.
        """
        probe_stream = probe_encoder(encode).stream
        self.frames_written = self.segments = 0  # frames that at least one target took
        self._record, self._encode, self._on_warning, self._neighbours = record, encode, on_warning, neighbours
        self._camera = camera
        self._encoder: LiveEncoder | None = None
        self._audio: deque[TimedPacket] = deque(maxlen=_MAX_PENDING)
        self._source_keys: deque[int] = deque(maxlen=_MAX_PENDING)
        self._untaken: dict[int, None] = {}  # the pts of frames that no target has taken yet, in order
        self._lock = Lock()
        self._last_key = 0
        self._sinks: list[RetryingSink] = []
        self._recording_dirs: dict[str, RecordingDir] = {}
        self._background = BackgroundWorker(self._apply_retention, every_s=_RETENTION_S)
        try:
            for url in targets:
                self._sinks.append(self._sink(url, probe_stream, is_only=len(targets) == 1))
            # Whether no target takes upscaled frames now.
            self.is_original_only = not any(sink.inner.takes_video(begins=True) for sink in self._sinks)
        except BaseException:
            self._close_files()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._flush_encoder()
        for sink in self._sinks:
            sink.attempt(lambda inner: inner.close())
        self._close_files()
        for sink in self._sinks:
            sink.end()

    @property
    def bytes_written(self) -> int:
        """Bytes of packets, over all targets."""
        return sum(sink.bytes_written for sink in self._sinks)

    @property
    def target_states(self) -> dict[str, str]:
        """Each target by its label: "ok", or what is wrong."""
        return {sink.label: sink.error or sink.inner.problem or "ok" for sink in self._sinks}

    @property
    def disk_free(self) -> dict[str, int]:
        """Free bytes by directory of segments, at most a few seconds old."""
        return {label: folder.free for label, folder in self._recording_dirs.items()}

    def set_neighbours(self, neighbours: Mapping[Path, float]) -> None:
        """Replace the directories of segments of all cameras. Thread-safe."""
        for recording_dir in self._recording_dirs.values():
            recording_dir.neighbours = neighbours

    def best_audio(self, tracks: Sequence[AudioTrack]) -> AudioTrack | None:
        """The first of the tracks that the most targets can hold, as AAC if some cannot; None without tracks."""
        if not tracks or self._record.audio == "none":
            return None
        n_holding = [sum(sink.inner.holds(track.template) for sink in self._sinks) for track in tracks]
        best = tracks[n_holding.index(max(n_holding))]
        if self._record.audio == "copy" or max(n_holding) == len(self._sinks):
            return best
        if aac := aac_track(best):
            return aac
        self._on_warning(f"{codec_name(best.stream)} cannot be decoded: not every target gets the audio")
        return best

    def begin(self, frame: VideoFrame, *, video: VideoStream, audio: StreamTemplate | None, network: str = "") -> None:
        """Begin a part with its first frame, which must then be passed to `write_frame`, from an open source.

        To be called for the first frame of a connection, of another size or format, or after a discontinuity:
        directories begin a new segment. Raises TargetError if the encoder does not accept such frames.
        """
        assert frame.pts is not None
        if self._encoder is None or self._encoder.format_key != format_key(frame):
            self._flush_encoder()
            self._encoder = LiveEncoder(frame, self._encode, source=video)
        self._write_audio_until(frame.pts)
        streams = OutputStreams(
            video=self._encoder.stream,
            source=StreamTemplate(video),
            audio=audio,
            start_pts=frame.pts,
            camera=self._camera,
            network=network,
        )
        for sink in self._sinks:
            sink.attempt(lambda inner: inner.begin(streams))

    def set_network(self, name: str) -> None:
        """Another network upscales from the next frame on: directories begin a new segment at the next key frame."""
        for sink in self._sinks:
            sink.inner.set_network(name)

    def end_segment(self) -> None:
        """Finish the open segments, because the source is lost."""
        for sink in self._sinks:
            sink.attempt(lambda inner: inner.end_segment())

    def write_frame(self, frame: VideoFrame) -> None:
        """Write an upscaled frame, of the size and format of the current part."""
        assert self._encoder
        if frame.pts is None or frame.time_base != TIME_BASE or format_key(frame) != self._encoder.format_key:
            raise ValueError(f"{frame} differs from the first frame of its part, or is not timed in 1/90000 s")
        source_key = self._is_source_key(frame.pts)
        interval = min(sink.inner.key_interval_s for sink in self._sinks) / TIME_BASE
        key = frame.pts - self._last_key >= interval or any(
            sink.wants_key(frame.pts, source_key=source_key) for sink in self._sinks
        )
        self.is_original_only = not any(sink.takes_video(frame.pts, source_key=source_key) for sink in self._sinks)
        if self.is_original_only:
            self._write_packets([TimedPacket(av_packet=Packet(), pts=frame.pts, dts=frame.pts, key=key)])
        else:
            self._write_packets(self._encoder.encode(frame, key=key))

    def write_audio(self, packet: AnyPacket, pts: int) -> None:
        """Queue a packet of audio, which is modified; it is written before the first frame after it."""
        self._audio.append(TimedPacket(av_packet=packet, pts=pts, dts=pts, duration=_ticks(packet)))

    def write_source(self, packet: AnyPacket, pts: int | None, dts: int | None) -> None:
        """Queue a packet of the source's video, in decoding order, with times on the output timeline."""
        shown = dts if pts is None else pts
        if shown is None:
            return
        decoded = shown if dts is None else dts
        key = packet.is_keyframe
        timed = TimedPacket(av_packet=packet, pts=shown, dts=decoded, key=key, duration=_ticks(packet))
        if key:
            self._source_keys.append(shown)
        for sink in self._sinks:
            sink.attempt(lambda inner: inner.write_source(timed))

    def _is_source_key(self, pts: int) -> bool:
        return any(is_same_frame(key, pts) for key in self._source_keys)

    def _write_packets(self, packets: Sequence[TimedPacket]) -> None:
        for packet in packets:
            packet = replace(packet, source_key=self._is_source_key(packet.pts))
            self._write_audio_until(packet.pts)
            with self._lock:
                self._untaken[packet.pts] = None
                if len(self._untaken) > _MAX_PENDING:
                    del self._untaken[next(iter(self._untaken))]
            for sink in self._sinks:
                sink.write_video(packet)
            self._last_key = packet.pts if packet.key else self._last_key
            while self._source_keys and self._source_keys[0] < packet.pts - _MAX_KEY_AGE:
                self._source_keys.popleft()

    def _on_frame(self, pts: int) -> None:
        """Count the frame if this target is the first to take it."""
        with self._lock:
            if pts in self._untaken:
                del self._untaken[pts]
                self.frames_written += 1

    def _write_audio_until(self, until: int) -> None:
        while self._audio and self._audio[0].pts < until:
            packet = self._audio.popleft()
            for sink in self._sinks:
                sink.write_audio(packet)

    def _flush_encoder(self) -> None:
        """Write the last packets of the encoder, and close it."""
        if self._encoder:
            self._write_packets(self._encoder.flush())
            self._encoder = None

    def _sink(self, url: StreamUrl, probe_stream: VideoStream, *, is_only: bool) -> RetryingSink:
        same_label = sum(sink.label.split(" #")[0] == str(url) for sink in self._sinks)
        label = f"{url} #{same_label + 1}" if same_label else str(url)

        def on_warning(words: str) -> None:
            self._on_warning(f"{label}: {words}")

        sink = self._create(url, on_warning)
        sink.on_frame = self._on_frame
        if not can_hold(sink.container, probe_stream):
            raise TargetError(f"{label}: {sink.container.format} cannot hold {self._encode.codec}")
        return RetryingSink(label, sink, self._on_warning, is_only=is_only)

    def _create(self, url: StreamUrl, on_warning: OnWarning) -> Sink:
        """The sink for a target. Raises TargetError for one that can never be written."""
        path = url.path
        if path is None:
            if url.scheme not in (*TARGET_SCHEMES, PIPE_SCHEME):
                known = ", ".join(TARGET_SCHEMES)
                raise TargetError(f"{url}: cannot push to {url.scheme}://; supported are {known}")
            return PushSink(url, on_warning)
        if is_playlist(path):
            return HlsSink(path, on_warning)
        if not is_video(path):
            recording_dir = RecordingDir(path, self._record, on_warning=on_warning, neighbours=self._neighbours)
            self._recording_dirs[str(path)] = recording_dir
            container, segment_s = container_for(Path("x.mp4")), self._record.segment_s
            next_path = recording_dir.next_path
        else:
            container, segment_s = container_for(path), None
            next_path = partial(unused_path, path)
            prepare_file(path)
            if path.exists():
                on_warning(f"already exists; the recording goes to {unused_path(path).name}")
        return SegmentSink(
            next_path,
            container=container,
            segment_s=segment_s,
            passthrough=segment_s is not None and self._record.keeps_original,
            is_original_only=lambda: segment_s is not None and self._record.is_original_only(time()),
            background=self._background,
            on_segment=self._on_segment,
            on_warning=on_warning,
        )

    def _close_files(self) -> None:
        if not self._background.close(_CLOSE_S):
            self._on_warning(f"files are still not on the disk after {_CLOSE_S:g} s")
        for recording_dir in self._recording_dirs.values():
            recording_dir.close()

    def _on_segment(self) -> None:
        self.segments += 1
        for recording_dir in self._recording_dirs.values():
            recording_dir.segment_added()

    def _apply_retention(self) -> None:
        for folder in list(self._recording_dirs.values()):
            folder.apply_retention()


def _ticks(packet: AnyPacket) -> int:
    return round((packet.duration or 0) * packet.time_base / TIME_BASE)
