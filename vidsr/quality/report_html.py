"""The report of a fine-tuning as one HTML file without scripts or external resources."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from vidsr.html_template import render_html_template
from vidsr.quality.evaluation import ResultRow
from vidsr.quality.upscalers import BASELINE

_SEEN_DB = 0.05  # a smaller difference nobody sees

Clip = tuple[str, str]
"""(collection, name)."""


@dataclass(frozen=True, kw_only=True)
class HtmlReport:
    """The content of the report."""

    title: str
    verdict: str
    """One sentence."""
    rating: str
    """What the verdict is: good, bad, or slight, a gain that nobody sees."""
    facts: Mapping[str, str]
    """The facts of the run, by name."""
    rows: Sequence[ResultRow]
    """Every held-out clip with every input, scored with Lanczos, the start and the tuned network at least.

    Clips of one name in one collection count as one clip.
    """
    start: str
    """The method name of the network before fine-tuning."""
    tuned: str
    """The method name of the fine-tuned network."""
    curve: bytes
    """A PNG of the learning curve."""
    crops: Sequence[tuple[str, bytes]]
    """(caption, PNG of `crops_png`)."""
    notes: Sequence[str]
    """Warnings of the run, one sentence each."""


def render_html(report: HtmlReport) -> str:
    """The file's text, to be encoded as UTF-8. Raises ValueError where a score is missing."""
    inputs = list(dict.fromkeys(row.input for row in report.rows))
    by_clip = _gains_by_clip(report, inputs)
    return render_html_template(
        "quality/report.html",
        report=report,
        inputs=inputs,
        n_clips=len(by_clip),
        by_input=[
            (
                name,
                fmean(_moving(row.moving_psnr, row.psnr) for row in _rows_of(report, BASELINE, name)),
                *(_gain(report, method, name) for method in (report.start, report.tuned)),
                fmean(row.gain for row in _rows_of(report, report.tuned, name))
                - fmean(row.gain for row in _rows_of(report, report.start, name)),
            )
            for name in inputs
        ],
        by_clip=by_clip,
        rating=rate,
        signed=lambda db: f"{db:+.2f}".replace("-", "\N{MINUS SIGN}"),
        base64=lambda png: b64encode(png).decode(),
    )


def rate(db: float) -> str:
    """What a difference is: good, bad, or slight, which nobody sees."""
    return "slight" if abs(db) < _SEEN_DB else "good" if db > 0 else "bad"


def _gains_by_clip(report: HtmlReport, inputs: Sequence[str]) -> list[tuple[str, list[tuple[float, float]], float]]:
    """Each clip, its gains (before, after) by input, and their mean difference; from the worst to the best."""
    clips = dict.fromkeys((row.collection, row.name) for row in report.rows)
    several = len({collection for collection, _ in clips}) > 1
    result = []
    for clip in clips:
        gains = [(_gain(report, report.start, each, clip), _gain(report, report.tuned, each, clip)) for each in inputs]
        result.append(
            ("/".join(clip) if several else clip[1], gains, fmean(after - before for before, after in gains))
        )
    return sorted(result, key=lambda clip: clip[2])


def _gain(report: HtmlReport, method: str, input_name: str, clip: Clip | None = None) -> float:
    """In dB over Lanczos in the moving areas, of the clip or the mean of all clips."""
    rows = [row for row in _rows_of(report, method, input_name) if clip in (None, (row.collection, row.name))]
    return fmean(_moving(row.moving_gain, row.gain) for row in rows)


def _moving(number: float | None, whole: float) -> float:
    """The number of the moving areas, or, where they are not known, that of the whole picture."""
    return whole if number is None else number


def _rows_of(report: HtmlReport, method: str, input_name: str) -> list[ResultRow]:
    return [row for row in report.rows if (row.method, row.input) == (method, input_name)]
