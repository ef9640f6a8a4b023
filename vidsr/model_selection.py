"""Which weights a source gets when none are named: the clean ones, or those that know what codecs leave.

The thresholds are the round numbers nearest to those that lost least on clips that were shrunk and encoded by x264,
x265, SVT-AV1, VP9, MPEG-4 and JPEG. The first key frame decided better there than the first eight frames.
"""

from collections.abc import Collection
from dataclasses import dataclass

from vidsr.media.compression_probe import Compression

AUTO = "auto"
FAMILY = "fsrcnn-narrow"
"""The one that is taken where nothing else is said."""
_FINE_QUANTISER = 18.0  # as H.264 counts
_MANY_BITS = 2.5  # a pixel of a key frame, where the quantiser is not known
_MANY_BITS_OF = {"hevc": 1.5, "av1": 1.5}  # these make more of their bits
_EMPTY_BITS = 0.2  # what black takes, into which x264 puts a fine quantiser whatever the quality


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A network of the zoo, and why it."""

    model: str
    why: str

    def __str__(self) -> str:
        return f"{self.model} ({self.why})"


def choose(
    compression: Compression, *, still: bool, scale: int, names: Collection[str], family: str = FAMILY
) -> Choice:
    """The network of a family for a source: clean weights for a picture and for a video that is hardly compressed.

    `names` are those of the zoo; where the scale has no weights for video, it is the clean ones, too.
    """
    clean, why = (True, "a picture") if still else _hardly_compressed(compression)
    video = f"{family}-x{scale}-video"
    if clean or video in names:
        return Choice(model=f"{family}-x{scale}" if clean else video, why=why)
    return Choice(model=f"{family}-x{scale}", why=f"no {video} in the zoo")


def _hardly_compressed(compression: Compression) -> tuple[bool, str]:
    """Whether that is so, and what says it."""
    codec, bits, quantiser = compression.codec, compression.bits_per_pixel, compression.quantiser
    if compression.lossless:
        return True, f"{codec} is lossless"
    if quantiser is None:
        enough = _MANY_BITS_OF.get(codec, _MANY_BITS)
        many = bits >= enough
        return many, f"{bits:g} bits a pixel, {'at least' if many else 'below'} the {enough:g} of good {codec}"
    if bits < _EMPTY_BITS:
        return False, f"quantiser {quantiser:g}, but of a picture with nothing in it"
    fine = quantiser <= _FINE_QUANTISER
    return fine, f"quantiser {quantiser:g}, {'at most' if fine else 'above'} {_FINE_QUANTISER:g}"
