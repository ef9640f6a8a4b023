"""The comparison as a plot."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from vidsr.plots import name_dots

_OURS, _THEIRS = "C0", "C1"


def draw(figures: dict, file: Path) -> None:
    """PSNR on the pictures, or on the clip where there were none, against frames a second of each way alone."""
    quality = "set_psnr" if figures["set"] else "clip_psnr"
    ways = list(figures["ways"].values())
    figure = Figure(figsize=(9, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xscale="log")
    for ours, colour, label in ((True, _OURS, "vidsr"), (False, _THEIRS, "others")):
        own = [way for way in ways if way["ours"] == ours]
        axes.scatter([_fps(way) for way in own], [way[quality] for way in own], s=50, c=colour, label=label, zorder=3)
    rates = [_fps(way) for way in ways]
    axes.set_xlim(min(rates) / 2, max(rates) * 2)  # room for names
    axes.margins(y=0.15)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel(f"frames a second, {figures['size']} x2, {figures['threads']} threads")
    axes.set_ylabel(f"PSNR of luma on {(figures['set'] or figures['clip']).capitalize()}, dB")
    axes.set_title(figures["cpu"], fontsize="medium", loc="right")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    name_dots(axes, {way["name"]: (_fps(way), way[quality]) for way in ways})
    figure.savefig(file, format="png")


def _fps(way: dict) -> float:
    return 1e3 / way["ms"]
