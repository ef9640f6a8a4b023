"""Timed spans as bars along the time axis."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vidsr.stage_timer import TimedSpan

_DPI = 120


def timeline(rows: Mapping[str, Sequence[TimedSpan]], file: Path | BinaryIO, *, title: str) -> None:
    """Draw a row per name and a bar per span, in two alternating shades, against milliseconds from the first span.

    There is at least one span.
    """
    spans = [span for row in rows.values() for span in row]
    start_s, end_s = min(span.began_s for span in spans), max(span.ended_s for span in spans)
    figure = Figure(figsize=(11, 1.4 + 0.5 * len(rows)), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
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
