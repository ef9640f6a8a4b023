"""A chart of frames per second against cores, with the bottleneck of each point; needs matplotlib."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

Rows = Sequence[Mapping[str, object]]

_DPI, _WIDTH = 100, 9.0
_COLOURS = ("#1b9e77", "#d95f02", "#7570b3", "#e7298a", "#666666")
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
_REALTIME = 25


def fps_against_cores(rows: Rows, file: Path) -> None:
    """Draw a panel per network and a line per size, on one node; markers show the bottleneck."""
    rows = [{**row, "bottleneck": str(row["bottleneck"]).partition(",")[0]} for row in rows]
    panels = list(dict.fromkeys(str(row["network"]) for row in rows))
    sizes = list(dict.fromkeys(str(row["size"]) for row in rows))
    marks = dict(zip(dict.fromkeys(str(row["bottleneck"]) for row in rows), _MARKS * 4, strict=False))
    figure = Figure(figsize=(_WIDTH, 1.2 + 3.6 * -(-len(panels) // 2)), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(-(-len(panels) // 2), min(2, len(panels)), squeeze=False, sharey=True)
    for axes, network in zip(grid.flat, panels, strict=False):
        _panel(axes, [row for row in rows if (row["network"], row["nodes"]) == (network, 1)], sizes, marks)
        axes.set_title(network, fontsize="medium")
    handles = [Line2D([], [], color=colour, label=f"{size} in") for size, colour in zip(sizes, _COLOURS, strict=False)]
    used = {str(row["bottleneck"]) for row in rows if row["nodes"] == 1}
    handles += [Line2D([], [], color="0.2", marker=marks[n], ls="", label=n) for n in marks if n in used]
    handles.append(Line2D([], [], color="0.6", ls="--", label=f"{_REALTIME} frames per second"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize="small")
    figure.savefig(file, format="png")


def _panel(axes: Axes, rows: Rows, sizes: Sequence[str], marks: Mapping[str, str]) -> None:
    for size, colour in zip(sizes, _COLOURS, strict=False):
        points = [(row["cores"], row["fps"], str(row["bottleneck"])) for row in rows if row["size"] == size]
        axes.plot([cores for cores, *_ in points], [fps for _, fps, _ in points], color=colour, lw=1.5)
        for cores, fps, name in points:
            axes.plot(cores, fps, color=colour, marker=marks[name], ms=7, mec="white", mew=0.6)
    axes.axhline(_REALTIME, color="0.6", lw=1, ls="--")
    axes.set(xscale="log", yscale="log", xlabel="cores", ylabel="frames per second")
    ticks = sorted({int(str(row["cores"])) for row in rows})
    axes.set_xticks(ticks, list(map(str, ticks)))
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3, which="both")
