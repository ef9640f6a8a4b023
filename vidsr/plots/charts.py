"""Numbers against numbers."""

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
Moment = tuple[int, float | None, float]
"""(step, PSNR in dB if it was measured, loss)."""

_DPI = 120
_DOT = 4  # points from the middle of a dot to where a label may begin
_OFFSETS = [(side * 8, up * 13) for away in range(20) for side in (1, -1) for up in {away, -away}]


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One network: what it costs and what it gives."""

    name: str
    ms: float
    """A frame."""
    gain: float
    """In dB."""


def quality_against_time(dots: Sequence[Dot], file: File, *, title: str, ms_label: str, gain_label: str) -> None:
    """Draw a labelled dot for each network, and a line at a gain of nothing."""
    figure = _figure(9, 5.4)
    axes = figure.add_subplot(xlabel=ms_label, ylabel=gain_label)
    axes.set_title(fill(title, 110), fontsize="medium")
    axes.axhline(0, color="0.6", linewidth=1)
    axes.scatter([dot.ms for dot in dots], [dot.gain for dot in dots], s=40, zorder=3)
    axes.set_xlim(0, 1.25 * max(dot.ms for dot in dots))  # room for the last label
    axes.margins(y=0.1)
    axes.grid(alpha=0.3)
    name_dots(axes, {dot.name: (dot.ms, dot.gain) for dot in dots})
    figure.savefig(file, format="png")


def learning_curve(stages: Mapping[str, Sequence[Moment]], file: File) -> None:
    """Draw PSNR and loss against the steps of a training; stages, each counted from 0, follow one another."""
    figure = _figure(9, 6.6)
    above, below = figure.subplots(2, 1, sharex=True)
    begun = 0
    for number, (name, moments) in enumerate(stages.items()):
        steps = [begun + step for step, _, _ in moments]
        known = [(begun + step, psnr) for step, psnr, _ in moments if psnr is not None]
        above.plot(
            [step for step, _ in known], [psnr for _, psnr in known], marker=".", label=name, color=f"C{number}"
        )
        below.plot(steps, [loss for _, _, loss in moments], marker=".", label=name, color=f"C{number}")
        begun = steps[-1]
    above.set(ylabel="PSNR-Y, dB")
    below.set(ylabel="loss", xlabel="step", yscale="log")
    above.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    for axes in (above, below):
        axes.grid(alpha=0.3)
    figure.savefig(file, format="png")


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def name_dots(axes: Axes, dots: Mapping[str, tuple[float, float]]) -> None:
    """Write each name at the first place near its dot, (x, y), where it touches no other name, no dot and no edge."""
    assert isinstance(axes.figure, Figure)
    axes.figure.draw_without_rendering()  # from here on the places of the dots are known
    around = _DOT * axes.figure.dpi / 72
    places = [axes.transData.transform(place) for place in dots.values()]
    taken = [Bbox.from_bounds(x - around, y - around, 2 * around, 2 * around) for x, y in places]
    for name, place in sorted(dots.items(), key=lambda dot: dot[1][0]):
        for offset in _OFFSETS:
            note = axes.annotate(
                name,
                place,
                offset,
                textcoords="offset points",
                horizontalalignment="left" if offset[0] > 0 else "right",
                verticalalignment="center",
                arrowprops={"arrowstyle": "-", "color": "0.7"} if offset[1] else None,
            )
            note.get_window_extent()  # with its line; this brings it to its place
            box = Text.get_window_extent(note)
            inside = axes.bbox.fully_containsx(box.x0) and axes.bbox.fully_containsx(box.x1)
            inside = inside and axes.bbox.fully_containsy(box.y0) and axes.bbox.fully_containsy(box.y1)
            if (inside and not box.count_overlaps(taken)) or offset is _OFFSETS[-1]:
                taken.append(box)
                break
            note.remove()
