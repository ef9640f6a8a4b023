"""Charts of numbers against numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import BinaryIO

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

File = Path | BinaryIO
LogPoint = tuple[int, float | None, float]
"""(step, PSNR in dB or None, loss)."""

_DPI = 120
_DOT_RADIUS_PT = 4  # labels keep this distance from the centre of a dot
_LABEL_OFFSETS = [(side * 8, up * 13) for distance in range(20) for side in (1, -1) for up in {distance, -distance}]


@dataclass(frozen=True, kw_only=True)
class NetworkPoint:
    """The cost and the quality of one network."""

    name: str
    ms: float
    """Per frame."""
    gain: float
    """In dB."""


def quality_against_time(
    points: Sequence[NetworkPoint], file: File, *, title: str, ms_label: str, gain_label: str
) -> None:
    """Draw a labelled dot per network, and a line at a gain of 0 dB."""
    figure = _figure(9, 5.4)
    axes = figure.add_subplot(xlabel=ms_label, ylabel=gain_label)
    axes.set_title(fill(title, 110), fontsize="medium")
    axes.axhline(0, color="0.6", linewidth=1)
    axes.scatter([point.ms for point in points], [point.gain for point in points], s=40, zorder=3)
    axes.set_xlim(0, 1.25 * max(point.ms for point in points))  # room for the last label
    axes.margins(y=0.1)
    axes.grid(alpha=0.3)
    label_points(axes, {point.name: (point.ms, point.gain) for point in points})
    figure.savefig(file, format="png")


def learning_curve(stages: Mapping[str, Sequence[LogPoint]], file: File) -> None:
    """Draw PSNR and loss against the training step; the steps of each stage count from 0, stages follow each other."""
    figure = _figure(9, 6.6)
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
    upper.set(ylabel="PSNR-Y, dB")
    lower.set(ylabel="loss", xlabel="step", yscale="log")
    upper.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    figure.savefig(file, format="png")


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


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
