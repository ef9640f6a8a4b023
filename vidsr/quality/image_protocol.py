"""The protocol of the super-resolution papers for still images.

Luma by MATLAB's `rgb2ycbcr`, cropped to a multiple of the scale, reduced by antialiased bicubic `imresize`, upscaled,
rounded, `scale` pixels cut off every border, peak 255. P1 keeps the reduced plane in full precision, as the papers do;
P2 rounds it to bytes, as a video decoder delivers it.
"""

from pathlib import Path

from vidsr.arrays import Luma
from vidsr.media.image_reader import read_image
from vidsr.quality.imresize import imresize
from vidsr.quality.results import Score, score
from vidsr.quality.upscalers import Upscaler, crop_to_multiple, to_uint8
from vidsr.quality.ycbcr import studio_luma


def read_luma(path: Path) -> Luma:
    """The (H, W) luma of an image file, by the papers' formula. Raises SourceError for any other file."""
    return studio_luma(read_image(path))


def score_image(luma: Luma, scale: int, upscalers: dict[str, Upscaler]) -> dict[str, dict[str, Score]]:
    """{"P1": {method: score}, "P2": {method: score}}; without its borders the image has 11 pixels per side or more."""
    luma = crop_to_multiple(luma, scale)
    lr = imresize(luma, 1 / scale)
    inner = (slice(scale, -scale),) * 2
    return {
        name: {method: score(luma[inner], upscale(plane)[inner]) for method, upscale in upscalers.items()}
        for name, plane in (("P1", lr), ("P2", to_uint8(lr)))
    }
