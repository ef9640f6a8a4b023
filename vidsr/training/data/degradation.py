"""Degradation of full-size clips into the low-resolution clips of a camera: random recipes and their execution.

Blur (lens), downscaling (pixels), noise (sensor), denoising and sharpening (processor), one or two codec passes.
A generator seeded with (seed, clip number) decides everything. Planes are luma in (H, W) grey levels 0 to 255, between
the steps not rounded. No effect shifts the image: pixel centres lie where `imresize` puts them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Floats, Luma
from vidsr.media.codec_roundtrip import EncoderPreset, mjpeg, preset_roundtrip, x264, x264_at_rate, x265
from vidsr.quality.matlab import CUBIC, LANCZOS3, Kernel, imresize
from vidsr.settings import DegradeSettings
from vidsr.settings.options import parse_range, parse_shares

_PRESETS = ("superfast", "veryfast", "fast", "medium")
_RATED_PIXELS = 640 * 360
BLACK, WHITE = 16, 235
_READ_NOISE_SHARE = 0.25  # of the variance at white: read noise, independent of light
_SHARPEN_SIGMA = 1.0  # pixels, of the unsharp mask
_DENOISE_RADIUS = 2  # pixels

AREA = Kernel(weight=lambda x: ((x >= -0.5) & (x < 0.5)).astype(float), width=1)
BILINEAR = Kernel(weight=lambda x: np.maximum(1 - np.abs(x), 0), width=2)


@dataclass(frozen=True, kw_only=True)
class CodecPass:
    """One encoding and decoding."""

    kind: str
    """One of settings.CODINGS."""
    level: float
    """CRF, JPEG quality, or Mb/s at 640x360, depending on the kind."""
    gop: int
    preset: str

    def coding(self, shape: tuple[int, ...]) -> EncoderPreset:
        """The encoder settings for planes of `shape` (height, width)."""
        if self.kind == "mjpeg":
            return mjpeg(self.level)
        if self.kind == "rate":
            bits_s = 1e6 * self.level * shape[0] * shape[1] / _RATED_PIXELS
            return x264_at_rate(bits_s, gop=self.gop, preset=self.preset)
        return {"x264": x264, "x265": x265}[self.kind](self.level, gop=self.gop, preset=self.preset)

    def __str__(self) -> str:
        if self.kind == "mjpeg":
            return f"MJPEG quality {self.level:g}"
        level = f"{self.level:.2g} Mb/s" if self.kind == "rate" else f"CRF {self.level:g}"
        return f"{'x264' if self.kind == 'rate' else self.kind} {level} GOP {self.gop} {self.preset}"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The degradation of one clip; 0 disables a step."""

    kernel: str
    blur: float = 0.0
    noise: float = 0.0
    denoise: float = 0.0
    sharpen: float = 0.0
    encodes: tuple[CodecPass, ...] = ()

    def __str__(self) -> str:
        numbers = {"blur": self.blur, "noise": self.noise, "denoise": self.denoise, "sharpen": self.sharpen}
        parts = [f"{name} {number:.2f}" for name, number in numbers.items() if number]
        return ", ".join([self.kernel, *parts, *(map(str, self.encodes) if self.encodes else ["no codec"])])


def draw_recipe(settings: DegradeSettings, random: np.random.Generator) -> Recipe:
    """A random recipe. Changing one share in the settings leaves all other draws as they were."""

    def draw_amount(name: str) -> float:
        amount, chance = random.uniform(*parse_range(getattr(settings, name))), random.random()
        return round(amount, 3) if chance < getattr(settings, f"{name}_share") else 0.0

    recipe = Recipe(
        kernel=_draw_name(settings.kernels, random),
        blur=draw_amount("blur"),
        noise=draw_amount("noise"),
        denoise=draw_amount("denoise"),
        sharpen=draw_amount("sharpen"),
        encodes=(_draw_encode(settings, random), _draw_encode(settings, random)),
    )
    coded, twice = random.random() < settings.codec_share, random.random() < settings.second_share
    return replace(recipe, encodes=recipe.encodes[: coded * (1 + twice)])


def draw_count(text: str, random: np.random.Generator) -> int:
    """A random integer of the range."""
    low, high = parse_range(text)
    return int(random.integers(int(low), int(high) + 1))


def degrade(
    planes: Iterable[Luma], recipe: Recipe, *, scale: int, random: np.random.Generator, rate: Fraction = Fraction(25)
) -> Iterator[Luma]:
    """Yields the degraded (H, W) plane of each (scale*H, scale*W) plane, in order; all are of one shape.

    `rate` is in frames per second. Raises TargetError when the codec fails.
    """
    frames: Iterable[Luma] = _camera_frames(planes, recipe, scale, random)
    for encode in recipe.encodes:
        frames = _codec_frames(frames, encode, rate)
    yield from frames


def _camera_frames(planes: Iterable[Luma], recipe: Recipe, scale: int, random: np.random.Generator) -> Iterator[Luma]:
    previous: Luma | None = None
    for plane in planes:
        if plane is not previous:  # a still clip repeats one plane object
            previous = plane
            lr = downscale(blur(plane, recipe.blur) if recipe.blur else plane, scale, recipe.kernel)
        degraded = add_noise(lr, recipe.noise, random) if recipe.noise else lr
        degraded = denoise(degraded, recipe.denoise) if recipe.denoise else degraded
        degraded = sharpen(degraded, recipe.sharpen) if recipe.sharpen else degraded
        yield np.clip(np.round(degraded), 0, 255).astype(np.uint8, order="C")


def _codec_frames(planes: Iterable[Luma], encode: CodecPass, rate: Fraction) -> Iterator[Luma]:
    source = iter(planes)
    if (first := next(source, None)) is not None:
        yield from preset_roundtrip(chain([first], source), encode.coding(first.shape), rate)


def _draw_encode(settings: DegradeSettings, random: np.random.Generator) -> CodecPass:
    kind = _draw_name(settings.codecs, random)
    low, high = parse_range(settings.rate_mbps)
    levels = {
        "x264": draw_count(settings.x264_crf, random),
        "x265": draw_count(settings.x265_crf, random),
        "mjpeg": draw_count(settings.mjpeg_quality, random),
        "rate": round(float(np.exp(random.uniform(np.log(low), np.log(high)))), 3),  # log-uniform
    }
    gop, preset = draw_count(settings.gop, random), _PRESETS[random.integers(len(_PRESETS))]
    return CodecPass(kind=kind, level=levels[kind], gop=gop, preset=preset)


def _draw_name(text: str, random: np.random.Generator) -> str:
    shares = parse_shares(text)
    return str(random.choice(list(shares), p=list(shares.values())))


def downscale(plane: NDArray[np.generic], scale: int, name: str) -> Floats:
    """The plane `scale` times smaller, by a kernel named as in DegradeSettings."""
    kernels = {"bicubic": CUBIC, "area": AREA, "bilinear": BILINEAR, "lanczos": LANCZOS3, "plain": _plain(scale)}
    return imresize(plane, 1 / scale, kernels[name])


def _plain(scale: int) -> Kernel:
    """Cubic interpolation without antialiasing: narrowed by the factor by which `imresize` widens it."""
    return replace(CUBIC, weight=lambda x: CUBIC.weight(x * scale), width=CUBIC.width / scale)


def blur(plane: NDArray[np.generic], sigma: float) -> Floats:
    """The plane blurred by a Gaussian, its edge repeated."""
    radius = max(1, round(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps /= taps.sum()
    blurred = np.pad(plane.astype(np.float64), radius, mode="edge")
    for _ in range(2):  # the transpose filters the other axis
        blurred = filter_rows(blurred, taps, len(blurred) - 2 * radius).T
    return blurred


def filter_rows(plane: Floats, weights: Floats, n_rows: int) -> Floats:
    """`n_rows` rows: row i is the weighted sum of the rows from i on, one per weight."""
    result = np.zeros((n_rows, plane.shape[1]))
    for first, weight in enumerate(weights):
        result += weight * plane[first : first + n_rows]
    return result


def sharpen(plane: Floats, amount: float) -> Floats:
    """The plane sharpened by an unsharp mask: `amount` times the difference from its blur is added."""
    return plane + amount * (plane - blur(plane, _SHARPEN_SIGMA))


def denoise(plane: Floats, sigma: float) -> Floats:
    """The plane after a bilateral filter; `sigma` is in grey levels."""
    height, width = plane.shape
    padded = np.pad(plane, _DENOISE_RADIUS, mode="edge")
    total, weights = np.zeros_like(plane), np.zeros_like(plane)
    for top in range(2 * _DENOISE_RADIUS + 1):
        for left in range(2 * _DENOISE_RADIUS + 1):
            neighbour = padded[top : top + height, left : left + width]
            weight = np.exp(-0.5 * ((neighbour - plane) / sigma) ** 2)
            total += weight * neighbour
            weights += weight
    return total / weights


def add_noise(plane: Floats, sigma: float, random: np.random.Generator) -> Floats:
    """The plane with shot and read noise; `sigma` is in grey levels at white, half of that at black."""
    light = np.clip((plane - BLACK) / (WHITE - BLACK), 0, 1)
    return plane + sigma * np.sqrt(_READ_NOISE_SHARE + (1 - _READ_NOISE_SHARE) * light) * random.standard_normal(
        plane.shape
    )
