"""Feeds a recorder as the process of a camera does: a clip's packets, and frames in place of upscaled ones."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import av
from made import make_clip, scene

from vidsr.media.sink.recorder import Recorder
from vidsr.media.source.live_timestamps import TIME_BASE
from vidsr.media.stream_template import StreamTemplate
from vidsr.settings import EncodeSettings, RecordSettings
from vidsr.stream_url import StreamUrl

SECOND = 90_000
RATE = 15


def camera_clip(path: Path, *, seconds: float = 4, key_every: int = 12, audio: int = 1) -> Path:
    """A clip like that of a camera: 15 frames per second, no B-frames, audio interleaved by time."""
    pts = [1024 * index for index in range(round(seconds * RATE))]
    options = {"g": str(key_every), "bf": "0", "sc_threshold": "0"}
    apart = make_clip(path.with_stem("apart"), size=(64, 48), pts=pts, options=options, audio=audio)
    with av.open(apart) as source, av.open(path, "w") as output:
        copies = {stream.index: output.add_stream_from_template(stream) for stream in source.streams}
        packets = [packet for packet in source.demux() if packet.size]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            packet.stream = copies[packet.stream.index]
            output.mux(packet)
    return path


@cache
def upscaled_frame(index: int, size: tuple[int, int]) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(scene(index, size), format="rgb24").reformat(format="yuv420p")


@dataclass
class Fed:
    """What was fed to a recorder."""

    frames: int = 0
    audio: list[bytes] = field(default_factory=list)
    packets: list[bytes] = field(default_factory=list)
    worst_s: float = 0.0


def play(
    recorder: Recorder,
    clip: Path,
    *,
    start: int = 0,
    size: tuple[int, int] = (64, 48),
    live: bool = False,
    with_audio: bool = True,
    on_frame: Callable[[int], None] = lambda number: None,
) -> Fed:
    """Record a clip from `start` in 1/90000 s; `live`: at its own speed; `on_frame` is called before each frame."""
    fed, began = Fed(), time.monotonic()
    with av.open(clip) as source:
        video, audio = source.streams.video[0], next(iter(source.streams.audio), None)
        for packet in source.demux():
            if not packet.size:
                continue
            pts, dts = (start + round(stamp * packet.time_base / TIME_BASE) for stamp in (packet.pts, packet.dts))
            if packet.stream is audio:
                if with_audio:
                    fed.audio.append(bytes(packet))
                    recorder.write_audio(packet, pts)
                continue
            fed.packets.append(bytes(packet))
            frames = packet.decode()
            recorder.write_source(packet, pts, dts)
            for frame in frames:
                upscaled = upscaled_frame(fed.frames % 30, size)
                upscaled.pts = start + round(frame.pts * frame.time_base / TIME_BASE)
                upscaled.time_base = TIME_BASE
                on_frame(fed.frames)
                if live:
                    time.sleep(max(0.0, began + (upscaled.pts - start) / SECOND - time.monotonic()))
                before = time.monotonic()
                if not fed.frames:
                    recorder.begin(upscaled, video=video, audio=StreamTemplate(audio) if audio else None)
                recorder.write_frame(upscaled)
                fed.worst_s = max(fed.worst_s, time.monotonic() - before)
                fed.frames += 1
    return fed


@contextmanager
def recorder(
    *targets: Path | str,
    warnings: list[str] | None = None,
    codec: str = "libx264",
    encode: EncodeSettings | None = None,
    **keep: float | str,
) -> Iterator[Recorder]:
    """A recorder whose warnings go to a list; `keep` are fields of RecordSettings."""
    settings = RecordSettings(**{"segment_s": 1, "min_free_gb": 0, **keep})
    with Recorder(
        [StreamUrl(str(target)) for target in targets],
        record=settings,
        encode=encode or EncodeSettings(codec=codec),
        on_warning=[].append if warnings is None else warnings.append,
    ) as made:
        yield made


@dataclass
class RecordedFile:
    """A file as PyAV reads it, every frame decoded."""

    pts: list[float]
    keys: list[int]
    """The indices of key frames."""
    audio: list[bytes]
    audio_pts: list[float]
    packets: list[bytes]
    size: tuple[int, int]


def read_recording(path: Path) -> RecordedFile:
    """The contents of a file. Raises for anything that does not decode."""
    result = RecordedFile(pts=[], keys=[], audio=[], audio_pts=[], packets=[], size=(0, 0))
    with av.open(path) as container:
        video = container.streams.video[0]
        for packet in container.demux():
            if packet.stream is video:
                if packet.size:
                    result.keys += [len(result.packets)] if packet.is_keyframe else []
                    result.packets.append(bytes(packet))
                for frame in packet.decode():
                    result.pts.append(float(frame.pts * video.time_base))
                    result.size = (frame.width, frame.height)
                    assert not frame.is_corrupt
            elif packet.size:
                result.audio.append(bytes(packet))
                result.audio_pts.append(float(packet.pts * packet.time_base))
    assert len(result.pts) == len(result.packets)
    assert all(a < b for a, b in zip(result.pts, result.pts[1:], strict=False))
    return result


def segments(folder: Path) -> list[Path]:
    """The upscaled segments, in order of time."""
    return sorted(path for path in folder.rglob("*.mp4") if ".original" not in path.name)
