"""The weights for a source when none are named: clean ones, or those trained on compressed video.

The thresholds are round numbers near those that lost least on clips that were reduced and encoded by x264, x265,
SVT-AV1, VP9, MPEG-4 and JPEG. The first key frame decided better there than the first eight frames.
"""

from collections.abc import Collection
from dataclasses import dataclass

from vidsr.media.compression_probe import Compression

AUTO = "auto"
DEFAULT_FAMILY = "fsrcnn-narrow"
"""The family of the default network."""
_FINE_QUANTISER = 18.0  # on H.264's scale
_MANY_BITS = 2.5  # per pixel of a key frame, where the quantiser is unknown
_MANY_BITS_OF = {"hevc": 1.5, "av1": 1.5}  # these need fewer bits
_EMPTY_BITS = 0.2  # of black, which x264 gives a fine quantiser at any quality


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """A network of the zoo, and why."""

    model: str
    why: str

    def __str__(self) -> str:
        return f"{self.model} ({self.why})"


def select_model(
    compression: Compression, *, still: bool, scale: int, names: Collection[str], family: str = DEFAULT_FAMILY
) -> ModelChoice:
    """The network of a family for a source: clean weights for images and for hardly compressed video.

    `names` are those of the zoo; a scale without weights for video gets the clean ones.
    """
    clean, why = (True, "an image") if still else _hardly_compressed(compression)
    video = f"{family}-x{scale}-video"
    if clean or video in names:
        return ModelChoice(model=f"{family}-x{scale}" if clean else video, why=why)
    return ModelChoice(model=f"{family}-x{scale}", why=f"no {video} in the zoo")


def _hardly_compressed(compression: Compression) -> tuple[bool, str]:
    """Whether it is, and by which figure."""
    codec, bits, quantiser = compression.codec, compression.bits_per_pixel, compression.quantiser
    if compression.lossless:
        return True, f"{codec} is lossless"
    if quantiser is None:
        enough = _MANY_BITS_OF.get(codec, _MANY_BITS)
        many = bits >= enough
        return many, f"{bits:g} bits per pixel, {'at least' if many else 'below'} the {enough:g} of good {codec}"
    if bits < _EMPTY_BITS:
        return False, f"quantiser {quantiser:g}, but of an empty frame"
    fine = quantiser <= _FINE_QUANTISER
    return fine, f"quantiser {quantiser:g}, {'at most' if fine else 'above'} {_FINE_QUANTISER:g}"
