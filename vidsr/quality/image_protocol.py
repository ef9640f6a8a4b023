"""The protocol of the super-resolution papers for still images, run through the engine that ships.

Luma by MATLAB's `rgb2ycbcr`, cropped to a multiple of the scale, reduced by antialiased bicubic `imresize`, enlarged,
rounded, `scale` pixels cut off every border, peak 255. P1 keeps the reduced plane in full precision, as the papers do;
P2 rounds it to bytes, as a video decoder would deliver it.
"""

from pathlib import Path

from vidsr.arrays import Luma
from vidsr.media.image_reader import read_image
from vidsr.quality.imresize import imresize
from vidsr.quality.results import Score, score
from vidsr.quality.upscalers import Enlarge, in_bytes, reducible
from vidsr.quality.ycbcr import studio_luma


def read_luma(path: Path) -> Luma:
    """The (H, W) luma of a picture file as the papers take it. Raises SourceError for a file that is no picture."""
    return studio_luma(read_image(path))


def score_picture(luma: Luma, scale: int, methods: dict[str, Enlarge]) -> dict[str, dict[str, Score]]:
    """{"P1": {method: score}, "P2": {method: score}} of a picture, 11 pixels a side without its borders."""
    luma = reducible(luma, scale)
    small = imresize(luma, 1 / scale)
    inner = (slice(scale, -scale),) * 2
    return {
        name: {method: score(luma[inner], enlarge(given)[inner]) for method, enlarge in methods.items()}
        for name, given in (("P1", small), ("P2", in_bytes(small)))
    }
