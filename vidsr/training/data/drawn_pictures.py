"""Pictures that code draws, of no camera and of no photograph: leaves of all sizes, with text and lines before some.

Discs of all sizes that cover each other ("dead leaves") have the edges and the spectrum of photographs.
"""

import numpy as np

from vidsr.arrays import Floats, Luma
from vidsr.quality.matlab import imresize
from vidsr.quality.upscalers import to_uint8

_FINE = 2  # drawn at this many times the size, for smooth edges
_LEAVES = 0.018  # per pixel
_MIN_RADIUS, _MAX_RADIUS = 4.0, 90.0  # pixels of the picture; the number falls with the cube of the radius
_LEVELS = (24.0, 226.0)
_MAX_TEXTURE = 28.0  # grey levels
_GLYPH = (7, 5)  # dots
_LINES = 12


def draw_picture(seed: int, side: int) -> Luma:
    """(side, side): the picture of a seed; every second one has text, every third one lines."""
    random = np.random.default_rng(seed)
    canvas = _leaves(side, random)
    if seed % 2:
        _write(canvas, random)
    if seed % 3 == 0:
        _rule(canvas, random)
    return to_uint8(imresize(np.clip(canvas, 0, 255), 1 / _FINE))


def _leaves(side: int, random: np.random.Generator) -> Floats:
    """Textured discs, the last ones on top."""
    count, side = round(_LEAVES * side**2), side * _FINE
    y, x = np.ogrid[:side, :side]
    canvas: Floats = np.full((side, side), random.uniform(*_LEVELS))
    least, most = (1 / (_FINE * radius) ** 2 for radius in (_MIN_RADIUS, _MAX_RADIUS))
    for radius in 1 / np.sqrt(random.uniform(most, least, count)):
        row, column = random.uniform(-radius, side + radius, 2)
        top, left = (max(0, int(centre - radius)) for centre in (row, column))
        box = slice(top, int(row + radius) + 1), slice(left, int(column + radius) + 1)
        down, right = y[box[0]], x[:, box[1]]
        inside = (down - row) ** 2 + (right - column) ** 2 < radius**2
        waves = random.normal(0, 1.0, 2) / random.uniform(1, 6)
        texture = random.uniform(0, _MAX_TEXTURE) * np.sin(waves[0] * down + waves[1] * right)
        canvas[box][inside] = (random.uniform(*_LEVELS) + texture)[inside]
    return canvas


def _write(canvas: Floats, random: np.random.Generator) -> None:
    """Two lines of glyphs of dots, light on dark or dark on light."""
    for _ in range(2):
        dot, count = int(random.integers(2, 7)), int(random.integers(4, 12))
        text = np.zeros((_GLYPH[0] + 2, count * (_GLYPH[1] + 1) + 1))
        for number in range(count):
            left = 1 + number * (_GLYPH[1] + 1)
            text[1:-1, left : left + _GLYPH[1]] = random.random(_GLYPH) < 0.5
        ink, paper = random.permutation([random.uniform(16, 60), random.uniform(180, 235)])
        block = np.where(text.repeat(dot, axis=0).repeat(dot, axis=1) > 0, ink, paper)
        row, column = (
            int(random.integers(0, max(1, have - want))) for have, want in zip(canvas.shape, block.shape, strict=True)
        )
        place = canvas[row : row + block.shape[0], column : column + block.shape[1]]
        place[:] = block[: place.shape[0], : place.shape[1]]


def _rule(canvas: Floats, random: np.random.Generator) -> None:
    """Straight lines at any angle."""
    y, x = np.mgrid[: canvas.shape[0], : canvas.shape[1]]
    for _ in range(_LINES):
        angle, offset = random.uniform(0, np.pi), random.uniform(-0.7, 0.7) * canvas.shape[0]
        across = (y - canvas.shape[0] / 2) * np.cos(angle) + (x - canvas.shape[1] / 2) * np.sin(angle) - offset
        canvas[np.abs(across) < random.uniform(0.5, 1.5) * _FINE] = random.uniform(*_LEVELS)
