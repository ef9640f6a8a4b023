"""Full-size clips as a camera with a codec would have delivered them smaller: recipes drawn by chance, carried out.

Blur (lens), reduction (pixels), noise (sensor), smoothing and sharpening (processor), codec, perhaps a second one.
A generator seeded with (seed, number of the clip) decides everything.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain

import numpy as np

from vidsr.arrays import Luma
from vidsr.media.codec_roundtrip import EncoderPreset, mjpeg, preset_roundtrip, x264, x264_at_rate, x265
from vidsr.settings import DegradeSettings
from vidsr.settings.range_syntax import shares_of, span_of
from vidsr.training.data.camera_effects import add_noise, blur, denoise, reduce, sharpen

_PRESETS = ("superfast", "veryfast", "fast", "medium")
_RATED_PIXELS = 640 * 360


@dataclass(frozen=True, kw_only=True)
class Encode:
    """One passage through a codec."""

    kind: str
    """One of settings.CODINGS."""
    level: float
    """CRF, quality of JPEG, or Mb/s of a picture of 640x360, as the kind has it."""
    gop: int
    preset: str

    def coding(self, shape: tuple[int, ...]) -> EncoderPreset:
        """What the encoder of planes of this shape, (height, width), is told."""
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
    """What is done to one clip; 0: not at all."""

    kernel: str
    blur: float = 0.0
    noise: float = 0.0
    denoise: float = 0.0
    sharpen: float = 0.0
    encodes: tuple[Encode, ...] = ()

    def __str__(self) -> str:
        numbers = {"blur": self.blur, "noise": self.noise, "denoise": self.denoise, "sharpen": self.sharpen}
        said = [f"{name} {number:.2f}" for name, number in numbers.items() if number]
        return ", ".join([self.kernel, *said, *(map(str, self.encodes) if self.encodes else ["no codec"])])


def draw_recipe(settings: DegradeSettings, random: np.random.Generator) -> Recipe:
    """What to do to a clip. One share changed in the settings leaves all other draws as they were."""

    def some(name: str) -> float:
        amount, lot = random.uniform(*span_of(getattr(settings, name))), random.random()
        return round(amount, 3) if lot < getattr(settings, f"{name}_share") else 0.0

    recipe = Recipe(
        kernel=_one_of(settings.kernels, random),
        blur=some("blur"),
        noise=some("noise"),
        denoise=some("denoise"),
        sharpen=some("sharpen"),
        encodes=(_draw_encode(settings, random), _draw_encode(settings, random)),
    )
    coded, twice = random.random() < settings.codec_share, random.random() < settings.second_share
    return replace(recipe, encodes=recipe.encodes[: coded * (1 + twice)])


def draw_count(span: str, random: np.random.Generator) -> int:
    """A whole number of the range."""
    low, high = span_of(span)
    return int(random.integers(int(low), int(high) + 1))


def degrade(
    planes: Iterable[Luma], recipe: Recipe, *, scale: int, random: np.random.Generator, rate: Fraction = Fraction(25)
) -> Iterator[Luma]:
    """The (scale*H, scale*W) planes of one shape as (H, W) planes, decoded, each once and in order.

    `rate` is their number a second. Raises TargetError when the codec fails.
    """
    given: Iterable[Luma] = _reduced(planes, recipe, scale, random)
    for encode in recipe.encodes:
        given = _coded(given, encode, rate)
    yield from given


def _reduced(planes: Iterable[Luma], recipe: Recipe, scale: int, random: np.random.Generator) -> Iterator[Luma]:
    before: Luma | None = None
    for plane in planes:
        if plane is not before:  # a still clip is one plane over and over
            before = plane
            small = reduce(blur(plane, recipe.blur) if recipe.blur else plane, scale, recipe.kernel)
        seen = add_noise(small, recipe.noise, random) if recipe.noise else small
        seen = denoise(seen, recipe.denoise) if recipe.denoise else seen
        seen = sharpen(seen, recipe.sharpen) if recipe.sharpen else seen
        yield np.clip(np.round(seen), 0, 255).astype(np.uint8, order="C")


def _coded(planes: Iterable[Luma], encode: Encode, rate: Fraction) -> Iterator[Luma]:
    coming = iter(planes)
    if (first := next(coming, None)) is not None:
        yield from preset_roundtrip(chain([first], coming), encode.coding(first.shape), rate)


def _draw_encode(settings: DegradeSettings, random: np.random.Generator) -> Encode:
    kind = _one_of(settings.codecs, random)
    low, high = span_of(settings.rate_mbps)
    levels = {
        "x264": draw_count(settings.x264_crf, random),
        "x265": draw_count(settings.x265_crf, random),
        "mjpeg": draw_count(settings.mjpeg_quality, random),
        "rate": round(float(np.exp(random.uniform(np.log(low), np.log(high)))), 3),  # as many below 1 Mb/s as above
    }
    gop, preset = draw_count(settings.gop, random), _PRESETS[random.integers(len(_PRESETS))]
    return Encode(kind=kind, level=levels[kind], gop=gop, preset=preset)


def _one_of(shares: str, random: np.random.Generator) -> str:
    lots = shares_of(shares)
    return str(random.choice(list(lots), p=list(lots.values())))
