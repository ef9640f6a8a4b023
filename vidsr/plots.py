"""Plots as PNG files, drawn with matplotlib, an optional dependency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import BinaryIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from vidsr.stage_timer import TimedSpan

File = Path | BinaryIO
LogPoint = tuple[int, float | None, float]
"""(step, PSNR in dB or None, loss)."""

_DPI = 120
_DOT_RADIUS_PT = 4  # labels keep this distance from the centre of a dot
_LABEL_OFFSETS = [(side * 8, up * 13) for distance in range(20) for side in (1, -1) for up in {distance, -distance}]
_GRID_DPI = 100
_GAP_PX, _LINE_PX = 10, 26  # between cells; height of a line of text
_FONT_PX, _LETTER_PX = 15, 9  # a letter is narrower on average
_MAX_WIDTH_PX = 320  # of a cell: images are magnified up to this, or a screen would blur them


def quality_against_time(
    points: Mapping[str, tuple[float, float]], file: File, *, title: str, ms_label: str, gain_label: str
) -> None:
    """Draw a labelled dot per network, at (ms per frame, gain in dB), and a line at a gain of 0 dB."""
    figure = _figure(9, 5.4)
    axes = figure.add_subplot(xlabel=ms_label, ylabel=gain_label)
    axes.set_title(fill(title, 110), fontsize="medium")
    axes.axhline(0, color="0.6", linewidth=1)
    ms, gains = zip(*points.values(), strict=True)
    axes.scatter(ms, gains, s=40, zorder=3)
    axes.set_xlim(0, 1.25 * max(ms))  # room for the last label
    axes.margins(y=0.1)
    axes.grid(alpha=0.3)
    label_points(axes, points)
    figure.savefig(file, format="png")


def learning_curve(stages: Mapping[str, Sequence[LogPoint]], file: File, *, start_db: float | None = None) -> None:
    """Draw PSNR and loss against the training step; the steps of each stage count from 0, stages follow each other.

    A line shows the PSNR before the first step, if it is known.
    """
    figure = Figure(figsize=(9, 6.6), dpi=_DPI)  # a constrained layout takes longer than the drawing
    figure.subplots_adjust(left=0.12, right=0.98, bottom=0.08, top=0.91, hspace=0.06)
    upper, lower = figure.subplots(2, 1, sharex=True)
    first_step = 0
    for number, (name, points) in enumerate(stages.items()):
        steps = [first_step + step for step, _, _ in points]
        scored = [(first_step + step, psnr) for step, psnr, _ in points if psnr is not None]
        upper.plot(
            [step for step, _ in scored], [psnr for _, psnr in scored], marker=".", label=name, color=f"C{number}"
        )
        lower.plot(steps, [loss for _, _, loss in points], marker=".", label=name, color=f"C{number}")
        first_step = steps[-1]
    if start_db is not None:
        upper.axhline(start_db, color="0.4", linestyle="--", label=f"start, {start_db:.2f} dB")
    upper.set(ylabel="PSNR-Y, dB")
    upper.ticklabel_format(axis="y", useOffset=False)  # the legend would cover it
    lower.set(ylabel="loss", xlabel="step", yscale="log")
    lower.yaxis.set_major_formatter(LogFormatter())  # not powers of ten as formulas
    lower.yaxis.set_minor_formatter(LogFormatter())
    upper.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    figure.savefig(file, format="png")


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def label_points(axes: Axes, points: Mapping[str, tuple[float, float]]) -> None:
    """Write each name near its point (x, y), at the first position that overlaps no label, point or edge."""
    assert isinstance(axes.figure, Figure)
    axes.figure.draw_without_rendering()  # fixes the pixel positions of the points
    radius = _DOT_RADIUS_PT * axes.figure.dpi / 72
    centres = [axes.transData.transform(point) for point in points.values()]
    occupied = [Bbox.from_bounds(x - radius, y - radius, 2 * radius, 2 * radius) for x, y in centres]
    for name, point in sorted(points.items(), key=lambda item: item[1][0]):
        for offset in _LABEL_OFFSETS:
            label = axes.annotate(
                name,
                point,
                offset,
                textcoords="offset points",
                horizontalalignment="left" if offset[0] > 0 else "right",
                verticalalignment="center",
                arrowprops={"arrowstyle": "-", "color": "0.7"} if offset[1] else None,
            )
            label.get_window_extent()  # positions the label; the box includes its line
            box = Text.get_window_extent(label)
            inside = axes.bbox.fully_containsx(box.x0) and axes.bbox.fully_containsx(box.x1)
            inside = inside and axes.bbox.fully_containsy(box.y0) and axes.bbox.fully_containsy(box.y1)
            if (inside and not box.count_overlaps(occupied)) or offset is _LABEL_OFFSETS[-1]:
                occupied.append(box)
                break
            label.remove()


def timeline(rows: Mapping[str, Sequence[TimedSpan]], file: File, *, title: str) -> None:
    """Draw a row per name and a bar per span, of one at least, in two shades, against ms from the first span."""
    spans = [span for row in rows.values() for span in row]
    start_s, end_s = min(span.began_s for span in spans), max(span.ended_s for span in spans)
    figure = _figure(11, 1.4 + 0.5 * len(rows))
    axes = figure.add_subplot(xlabel="ms")
    axes.set_title(title, fontsize="medium", loc="left")
    for number, row in enumerate(rows.values()):
        bars = [(1e3 * (span.began_s - start_s), 1e3 * span.seconds) for span in row]
        shades = [f"C{number}" if index % 2 else (f"C{number}", 0.55) for index in range(len(bars))]
        axes.broken_barh(bars, (number - 0.35, 0.7), facecolors=shades)
    axes.set_yticks(range(len(rows)), labels=list(rows))
    axes.set_xlim(0, 1e3 * (end_s - start_s))
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(file, format="png")


@dataclass(frozen=True, kw_only=True)
class GridCell:
    """An (H, W, 3) uint8 RGB image with a line of text above and one below."""

    image: NDArray[np.uint8]
    title: str = ""
    caption: str = ""


def draw_image_grid(rows: Sequence[Sequence[GridCell]], file: File) -> None:
    """Draw the rows as a PNG; all images of a row have one size, and each pixel becomes a square of whole pixels."""
    factor = max(1, _MAX_WIDTH_PX // max(cell.image.shape[1] for row in rows for cell in row))
    width = factor * max(cell.image.shape[1] for row in rows for cell in row)
    heights = [factor * row[0].image.shape[0] + 2 * _LINE_PX for row in rows]
    size = (max(map(len, rows)) * (width + _GAP_PX) + _GAP_PX, sum(heights) + _GAP_PX)
    figure = Figure(figsize=(size[0] / _GRID_DPI, size[1] / _GRID_DPI), dpi=_GRID_DPI)
    top = size[1]
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            left = _GAP_PX + column * (width + _GAP_PX)
            image = cell.image.repeat(factor, axis=0).repeat(factor, axis=1)
            figure.figimage(image, left, top - _LINE_PX - len(image), origin="upper")
            for text, y in ((cell.title, top - _LINE_PX / 2), (cell.caption, top - height + _LINE_PX / 2)):
                figure.text(
                    left / size[0],
                    y / size[1],
                    text[: width // _LETTER_PX],
                    fontsize=_FONT_PX * 72 / _GRID_DPI,
                    va="center",
                )
        top -= height
    figure.savefig(file, format="png", pil_kwargs={"optimize": True})
