"""How a training went."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

Point = tuple[int, float, float | None]
"""The steps done, the mean loss since the point before, and the PSNR in dB on what is held out, if anything is."""


def learning_curve(stretches: Sequence[Sequence[Point]], path: Path) -> None:
    """A PNG of the loss and the PSNR against the steps; each stretch, which may have another loss, is drawn anew."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    losses, scores = figure.subplots(2, sharex=True)
    first = 0
    for number, stretch in enumerate(stretches, 1):
        steps = [first + step for step, _, _ in stretch]
        losses.plot(steps, [loss for _, loss, _ in stretch], ".-", label=f"stretch {number}")
        known = [(step, score) for step, (_, _, score) in zip(steps, stretch, strict=True) if score is not None]
        scores.plot([step for step, _ in known], [score for _, score in known], ".-")
        first = steps[-1] if steps else first
    losses.set(yscale="log", ylabel="loss")
    scores.set(xlabel="steps", ylabel="PSNR of what is held out, dB")
    losses.legend()
    for axes in (losses, scores):
        axes.grid(alpha=0.3)
    figure.savefig(path, format="png", dpi=120)
