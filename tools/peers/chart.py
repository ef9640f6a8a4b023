"""The comparison as a chart."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from vidsr.plots import label_points

_OURS, _THEIRS = "C0", "C1"


def draw_chart(figures: dict, file: Path) -> None:
    """Draw PSNR on the images, or on the clip without images, against the frames per second of each backend."""
    quality = "set_psnr" if figures["set"] else "clip_psnr"
    backends = list(figures["backends"].values())
    figure = Figure(figsize=(9, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xscale="log")
    for ours, colour, label in ((True, _OURS, "vidsr"), (False, _THEIRS, "others")):
        group = [backend for backend in backends if backend["ours"] == ours]
        fps, psnr = [_fps(backend) for backend in group], [backend[quality] for backend in group]
        axes.scatter(fps, psnr, s=50, c=colour, label=label, zorder=3)
    rates = [_fps(backend) for backend in backends]
    axes.set_xlim(min(rates) / 2, max(rates) * 2)  # room for labels
    axes.margins(y=0.15)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel(f"frames per second, {figures['size']} x2, {figures['threads']} threads")
    axes.set_ylabel(f"PSNR of luma on {(figures['set'] or figures['clip']).capitalize()}, dB")
    axes.set_title(figures["cpu"], fontsize="medium", loc="right")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    label_points(axes, {backend["name"]: (_fps(backend), backend[quality]) for backend in backends})
    figure.savefig(file, format="png")


def _fps(backend: dict) -> float:
    return 1e3 / backend["ms"]
