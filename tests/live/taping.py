"""Feeding a recorder as a camera's process does: a clip's packets, and pictures in place of enlarged ones."""

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
from vidsr.settings import EncodeSettings, RecordSettings
from vidsr.stream_url import Address

SECOND = 90_000
RATE = 15


def camera_clip(path: Path, *, seconds: float = 4, key_every: int = 12, audio: int = 1) -> Path:
    """A clip as a camera sends it: 15 pictures a second, no B-frames, and the sound of the same time with them."""
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
def enlarged(index: int, size: tuple[int, int]) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(scene(index, size), format="rgb24").reformat(format="yuv420p")


@dataclass
class Taken:
    """What was given to a recorder."""

    pictures: int = 0
    sounds: list[bytes] = field(default_factory=list)
    packets: list[bytes] = field(default_factory=list)
    worst_s: float = 0.0


def play(
    recorder: Recorder,
    clip: Path,
    *,
    start: int = 0,
    size: tuple[int, int] = (64, 48),
    live: bool = False,
    sound: bool = True,
    each: Callable[[int], None] = lambda number: None,
) -> Taken:
    """Record a clip whose time begins at `start`, in 1/90000 s; `live`: at its own speed, `each` told before each."""
    taken, began = Taken(), time.monotonic()
    with av.open(clip) as source:
        video, audio = source.streams.video[0], next(iter(source.streams.audio), None)
        for packet in source.demux():
            if not packet.size:
                continue
            pts, dts = (start + round(stamp * packet.time_base / TIME_BASE) for stamp in (packet.pts, packet.dts))
            if packet.stream is audio:
                if sound:
                    taken.sounds.append(bytes(packet))
                    recorder.sound(packet, pts)
                continue
            taken.packets.append(bytes(packet))
            pictures = packet.decode()
            recorder.original(packet, pts, dts)
            for picture in pictures:
                large = enlarged(taken.pictures % 30, size)
                large.pts = start + round(picture.pts * picture.time_base / TIME_BASE)
                large.time_base = TIME_BASE
                each(taken.pictures)
                if live:
                    time.sleep(max(0.0, began + (large.pts - start) / SECOND - time.monotonic()))
                before = time.monotonic()
                if not taken.pictures:
                    recorder.begin(large, video=video, audio=audio)
                recorder.picture(large)
                taken.worst_s = max(taken.worst_s, time.monotonic() - before)
                taken.pictures += 1
    return taken


@contextmanager
def recorder(
    *targets: Path | str,
    notes: list[str] | None = None,
    restarted: bool = False,
    codec: str = "libx264",
    **keep: float,
) -> Iterator[Recorder]:
    """A recorder that notes in a list; `keep` are fields of RecordSettings."""
    settings = RecordSettings(**{"segment_s": 1, "min_free_gb": 0, **keep})
    with Recorder(
        [Address(str(target)) for target in targets],
        record=settings,
        encode=EncodeSettings(codec=codec),
        note=[].append if notes is None else notes.append,
        restarted=restarted,
    ) as made:
        yield made


@dataclass
class Film:
    """A file as plain PyAV reads it, every picture decoded."""

    pts: list[float]
    keys: list[int]
    """Which packets are key frames."""
    sounds: list[bytes]
    sound_pts: list[float]
    packets: list[bytes]
    size: tuple[int, int]


def film(path: Path) -> Film:
    """What is in a file. Fails on anything that does not decode."""
    result = Film(pts=[], keys=[], sounds=[], sound_pts=[], packets=[], size=(0, 0))
    with av.open(path) as container:
        video = container.streams.video[0]
        for packet in container.demux():
            if packet.stream is video:
                if packet.size:
                    result.keys += [len(result.packets)] if packet.is_keyframe else []
                    result.packets.append(bytes(packet))
                for picture in packet.decode():
                    result.pts.append(float(picture.pts * video.time_base))
                    result.size = (picture.width, picture.height)
                    assert not picture.is_corrupt
            elif packet.size:
                result.sounds.append(bytes(packet))
                result.sound_pts.append(float(packet.pts * packet.time_base))
    assert len(result.pts) == len(result.packets)
    assert all(a < b for a, b in zip(result.pts, result.pts[1:], strict=False))
    return result


def segments(folder: Path) -> list[Path]:
    """The enlarged segments, in the order of their time."""
    return sorted(path for path in folder.rglob("*.mp4") if ".original." not in path.name)
