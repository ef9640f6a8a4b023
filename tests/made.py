"""Media and weights that the tests make themselves."""

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from vidsr.cpu import Cpu
from vidsr.model.architecture import Architecture, fsrcnn
from vidsr.model.weights import Weights

TIME_BASE = Fraction(1, 15360)
# Kinds of CPUs
AMX = Cpu(flags=frozenset({"avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"}))
VNNI = Cpu(flags=frozenset({"avx2", "avx512f", "avx512_vnni"}))
CLIENT = Cpu(flags=frozenset({"avx2", "avx_vnni"}))
ZEN2 = Cpu(vendor="AuthenticAMD", family=23, flags=frozenset({"avx2", "fma"}))
AVX2 = Cpu(vendor="GenuineIntel", family=6, flags=frozenset({"avx2", "fma"}))
OLD = Cpu()


def tiny_weights(scale: int = 2, dimensions: tuple[int, int, int] = (8, 4, 1), seed: int = 0) -> Weights:
    """An FSRCNN of random tensors that changes the picture a little."""
    return random_weights(fsrcnn(*dimensions, scale=scale), seed)


def random_weights(architecture: Architecture, seed: int = 0) -> Weights:
    """Random tensors for any network, small enough to change the picture a little."""
    random = np.random.default_rng(seed)
    tensors = {
        name: (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) + 1) / 2).astype(np.float32)
        for name, shape in architecture.shapes.items()
    }
    return Weights(architecture=architecture, tensors=tensors)


def scene(index: int, size: tuple[int, int] = (96, 64)) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of frame `index`: texture, an edge that moves, and colours."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    texture = 40 * np.sin(x / 3 + index / 5) * np.cos(y / 4)
    edge = np.where((x + y + 3 * index) % width < width // 2, 60, 0)
    planes = [110 + texture + edge, 90 + edge + 0.5 * y, 140 - texture + 0.3 * x]
    return np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)


def make_clip(
    path: Path,
    *,
    size: tuple[int, int] = (96, 64),
    pts: list[int] | None = None,
    pixel_format: str = "yuv420p",
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    audio: int = 0,
) -> Path:
    """A clip of `scene`, a picture at each of `pts` in ticks of TIME_BASE, with so many tracks of AAC sound."""
    pts = pts if pts is not None else [512 * i for i in range(24)]
    with av.open(path, "w") as output:
        video = output.add_stream(codec, rate=30, options=options or {})
        video.width, video.height = size
        video.pix_fmt = pixel_format
        video.codec_context.time_base = TIME_BASE
        sounds = [output.add_stream("aac", rate=48000, layout="stereo") for _ in range(audio)]
        for index, time in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(scene(index, size), format="rgb24").reformat(format=pixel_format)
            frame.pts, frame.time_base = time, TIME_BASE
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        for number, sound in enumerate(sounds):
            _add_tone(output, sound, seconds=float(pts[-1] * TIME_BASE), hertz=440 * (number + 1))
    return path


def _add_tone(output: av.container.OutputContainer, stream: av.AudioStream, *, seconds: float, hertz: int) -> None:
    for start in range(0, int(seconds * 48000), 1024):
        wave = 0.2 * np.sin(2 * np.pi * hertz * np.arange(start, start + 1024) / 48000)
        frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]).astype(np.float32), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 48000, start
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def still_clip(folder: Path, noise: int) -> Path:
    """96x64, six frames: a texture that stands still, but for noise of so many levels."""
    random = np.random.default_rng(0)
    texture = random.integers(60, 180, (64, 96))
    return _grey_clip(folder / "still.mkv", [texture + random.integers(0, noise + 1, texture.shape) for _ in range(6)])


def _grey_clip(path: Path, planes: list[NDArray[np.int64]]) -> Path:
    with av.open(path, "w") as output:
        video = output.add_stream("ffv1", rate=25, width=96, height=64, pix_fmt="gray")
        for number, plane in enumerate(planes):
            frame = av.VideoFrame.from_ndarray(plane.astype(np.uint8), format="gray")
            frame.pts = number
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return path


def make_long(path: Path, clip: Path, times: int) -> Path:
    """The video of a clip so many times over, without encoding it again."""
    with av.open(path, "w") as output, av.open(clip) as source:
        video = source.streams.video[0]
        copy = output.add_stream_from_template(video)
        packets = [(bytes(packet), packet) for packet in source.demux(video) if packet.size]
        length = packets[-1][1].duration + max(packet.pts for _, packet in packets)
        for round_ in range(times):
            for data, packet in packets:
                again = av.Packet(data)
                again.pts, again.dts = packet.pts + round_ * length, packet.dts + round_ * length
                again.time_base, again.duration, again.stream = packet.time_base, packet.duration, copy
                again.is_keyframe = packet.is_keyframe
                output.mux(again)
    return path


def make_sound(path: Path) -> Path:
    """A second of sound, and nothing else."""
    with av.open(path, "w") as output:
        _add_tone(output, output.add_stream("aac", rate=48000, layout="stereo"), seconds=1, hertz=440)
    return path


class Poison(np.ndarray):
    """A plane that ends every process that it is sent to."""

    def __reduce_ex__(self, protocol: object) -> tuple[Callable[[int], None], tuple[int]]:
        return os._exit, (1,)
