"""The weights for a source when none are named: clean ones, those for video, those for a coarse quantiser, or a mean.

The steps are round numbers near those that lost least against the better of the two on validation clips that were
reduced and encoded by x264, x265, SVT-AV1, MPEG-4 and JPEG (see `vidsr/model/zoo/README.md`). A mean is mostly better
than both.
The first key frame decided better there than the first eight frames.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

from vidsr.cpu import Cpu, describe_machine, this_cpu
from vidsr.engine.precision import known_ms, precision_on
from vidsr.engine.slowdown import slowdown
from vidsr.media.compression_probe import Compression
from vidsr.media.frame import VideoInfo
from vidsr.model.weights import Weights, with_strength
from vidsr.model.zoo import full_name, load_model, model_names
from vidsr.settings import UpscaleSettings

log = logging.getLogger(__name__)

AUTO = "auto"
CHEAP_FAMILY, USUAL_FAMILY, _WIDE_FAMILY = "fsrcnn-fast", "fsrcnn-narrow", "fsrcnn-wide"
_FAMILIES = {"fast": CHEAP_FAMILY, "normal": USUAL_FAMILY, "best": _WIDE_FAMILY}
"""By the names of --quality."""
_CHANNELS = {USUAL_FAMILY: 16, _WIDE_FAMILY: 32}
_MAX_SLOWDOWN = 1.35  # of the wide network, against the usual one
_TIMED_THREADS = 2
_ENDS = ("-coarse", "-coarse50", "-video", "-video75", "-video50", "-video25", "")
"""Of the names, from the strongest compression to none: the weights of the zoo, and means of two."""
_QUANTISERS = (33.0, 28.0, 24.0, 20.0, 13.0, 6.0)
"""On H.264's scale; above each, the end before it."""
_ENDS_BY_BITS = _ENDS[2:]
_BITS = {"hevc": (0.0, 0.2, 2.5, 12.0), "av1": (0.0, 0.2, 2.5, 12.0)}
"""Per pixel of a key frame, where the quantiser is unknown; below each, the end before it."""
_BITS_OF_OTHERS = (1.5, 3.0, 5.0, 12.0)
_EMPTY_BITS = 0.2  # of black, which x264 gives a fine quantiser at any quality
_EMPTY_END = "-video75"  # at least


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """A network of the zoo, and why."""

    model: str
    why: str

    def __str__(self) -> str:
        return f"{self.model} ({self.why})"


def select_family(quality: str | None, *, scale: int, names: Collection[str], cpu: Cpu | None = None) -> str:
    """The family of a quality; for None, the wide one where it takes at most 1.35 times the time of the usual one.

    That is measured once per machine, where it may be so: on CPUs with AMX. Of a `cpu` that is given what is known of
    its kind decides. The usual one is taken, too, where `names` lacks the weights of the wide one.
    """
    family = _FAMILIES[quality] if quality else _WIDE_FAMILY
    if family != _WIDE_FAMILY:
        return family
    complete = {f"{family}-x{scale}", f"{family}-x{scale}-video"} <= {*names}
    if not complete or not (quality or _may_be_affordable(cpu or this_cpu())):
        return USUAL_FAMILY
    return family if quality or cpu or _slowdown_here(scale) <= _MAX_SLOWDOWN else USUAL_FAMILY


def _may_be_affordable(cpu: Cpu) -> bool:
    usual, wide = (known_ms(_CHANNELS[family], cpu) for family in (USUAL_FAMILY, _WIDE_FAMILY))
    return min(wide.values()) <= _MAX_SLOWDOWN * usual[precision_on("int8", cpu)]


@cache
def _slowdown_here(scale: int) -> float:
    """The time of the wide network in that of the usual one, on as many threads as one worker's."""
    wide, usual = (load_model(f"{family}-x{scale}") for family in (_WIDE_FAMILY, USUAL_FAMILY))
    found = slowdown(wide, usual, threads=min(_TIMED_THREADS, len(describe_machine().cpus)))
    log.info("the wide network takes %.2f times the time of the usual one here", found)
    return found


def select_model(
    compression: Compression, *, still: bool, scale: int, names: Collection[str], family: str | None = None
) -> ModelChoice:
    """The network of a family for a source: the clean weights for images, and for video the more of those for video
    the stronger it is compressed.

    `names` are those of the zoo; a scale without weights for video gets the clean ones. Without a family it is that of
    `select_family`.
    """
    family = family or select_family(None, scale=scale, names=names)
    end, why = ("", "an image") if still else _end(compression)
    clean = f"{family}-x{scale}"
    if end.startswith("-coarse") and f"{clean}-coarse" not in names:
        end = "-video"
    if end and f"{clean}-video" not in names:
        return ModelChoice(model=clean, why=f"no {clean}-video in the zoo")
    return ModelChoice(model=f"{clean}{end}", why=why)


def load_network(settings: UpscaleSettings, info: VideoInfo, *, usual_scale: int) -> tuple[Weights, str]:
    """The network of the settings, or the one that suits the source, and its name in the report.

    `usual_scale` is the scale where the settings and the model name none. Raises ModelError.
    """
    if settings.model == AUTO:
        scale, names = settings.scale or usual_scale, model_names()
        family = select_family(settings.quality, scale=scale, names=names)
        choice = select_model(info.compression, still=info.still, scale=scale, names=names, family=family)
        log.info("%s: %s", info.path, choice)
        weights, name = load_model(choice.model), str(choice)
    else:
        weights = load_model(settings.model, settings.scale, usual_scale=usual_scale)
        own = settings.model.endswith(".npz")
        name = settings.model if own else full_name(settings.model, weights.architecture.scale)
    return with_strength(weights, settings.strength), name


def _end(compression: Compression) -> tuple[str, str]:
    """The end of the name, and the figure that it follows from."""
    codec, bits, quantiser = compression.codec, compression.bits_per_pixel, compression.quantiser
    if compression.lossless:
        return "", f"{codec} is lossless"
    if quantiser is None:
        fine = sum(bits >= limit for limit in _BITS.get(codec, _BITS_OF_OTHERS))
        return _ENDS_BY_BITS[fine], f"{bits:g} bits per pixel of {codec}"
    fine = sum(quantiser <= limit for limit in _QUANTISERS)
    if bits < _EMPTY_BITS and fine > _ENDS.index(_EMPTY_END):
        return _EMPTY_END, f"quantiser {quantiser:g}, but of an empty frame"
    return _ENDS[fine], f"quantiser {quantiser:g}"
