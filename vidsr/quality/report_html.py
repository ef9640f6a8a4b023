"""The report of a fine-tuning as one HTML file without scripts or external resources."""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from statistics import fmean

from vidsr.quality.evaluation import ResultRow
from vidsr.quality.upscalers import BASELINE

Clip = tuple[str, str]
"""(collection, name)."""

_CONTENT_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True, kw_only=True)
class HtmlReport:
    """The content of the report."""

    title: str
    verdict: str
    """One sentence."""
    good: bool
    """Whether the verdict is favourable."""
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
    parts = [
        _verdict(report),
        _inputs_table(report),
        _clips_table(report),
        _curve(report),
        _crops(report),
        _facts(report),
        _notes(report),
    ]
    body = "\n".join(part for part in parts if part)
    style = files("vidsr.quality").joinpath("report_html.css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{_CONTENT_POLICY}">
<title>{_text(report.title)}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def _verdict(report: HtmlReport) -> str:
    kind = "good" if report.good else "bad"
    return f'<header class="{kind}">\n<h1>{_text(report.verdict)}</h1>\n<p>{_text(report.title)}</p>\n</header>'


def _inputs_table(report: HtmlReport) -> str:
    rows_html = []
    for input_name in _inputs(report):
        lanczos = fmean(row.psnr for row in _rows_of(report, BASELINE, input_name))
        before, after = _gain(report, report.start, input_name), _gain(report, report.tuned, input_name)
        numbers = (f"{lanczos:.2f}", _signed(before), _signed(after))
        cells = "".join(f"<td>{number}</td>" for number in numbers)
        rows_html.append(f"{_row_head(input_name)}{cells}{_difference_cell(after - before)}")
    caption = f"In dB over Lanczos, mean over the held-out clips: {len(_clips(report))}."
    head = ("input", "Lanczos, PSNR-Y", report.start, report.tuned, "difference")
    return _section("Gain by input", _table(caption, head, rows_html))


def _clips_table(report: HtmlReport) -> str:
    """The clips, ordered from the worst change to the best."""
    inputs, clips = _inputs(report), _clips(report)
    several = len({collection for collection, _ in clips}) > 1
    differences = {
        clip: fmean(
            _gain(report, report.tuned, name, clip) - _gain(report, report.start, name, clip) for name in inputs
        )
        for clip in clips
    }
    rows_html = []
    for clip in sorted(clips, key=differences.__getitem__):
        cells = "".join(_clip_cell(report, input_name, clip) for input_name in inputs)
        head = _row_head("/".join(clip) if several else clip[1])
        rows_html.append(f"{head}{cells}{_difference_cell(differences[clip])}")
    caption = f"In dB over Lanczos: {report.tuned}, and in small print {report.start}; the worst clip first."
    return _section("Gain by clip", _table(caption, ("clip", *inputs, "mean difference"), rows_html))


def _clip_cell(report: HtmlReport, input_name: str, clip: Clip) -> str:
    before, after = (_gain(report, method, input_name, clip) for method in (report.start, report.tuned))
    kind, words = "", ""
    if after < 0:
        kind, words = ' class="bad"', "<small>below Lanczos</small>"
    elif after < before:
        kind, words = ' class="worse"', "<small>below start</small>"
    return f"<td{kind}>{_signed(after)}<small>{_signed(before)}</small>{words}</td>"


def _difference_cell(db: float) -> str:
    return f'<td class="{"bad" if db < 0 else "good"}">{_signed(db)}</td>'


def _curve(report: HtmlReport) -> str:
    return _section("Learning curve", f"<figure>{_image(report.curve, 'PSNR and loss by step')}</figure>")


def _crops(report: HtmlReport) -> str:
    figures = [
        f'<figure class="crops"><figcaption>{_text(caption)}</figcaption>'
        f'<div class="wide">{_image(png, caption)}</div></figure>'
        for caption, png in report.crops
    ]
    return _section("Crops with the largest gain", *figures) if figures else ""


def _facts(report: HtmlReport) -> str:
    rows_html = [f"<dt>{_text(name)}</dt><dd>{_text(fact)}</dd>" for name, fact in report.facts.items()]
    return _section("Run", "<dl>", *rows_html, "</dl>") if rows_html else ""


def _notes(report: HtmlReport) -> str:
    rows_html = [f"<li>{_text(note)}</li>" for note in report.notes]
    return _section("Notes", "<ul>", *rows_html, "</ul>") if rows_html else ""


def _section(title: str, *rows_html: str) -> str:
    return "\n".join(["<section>", f"<h2>{title}</h2>", *rows_html, "</section>"])


def _table(caption: str, head: Iterable[str], rows_html: Iterable[str]) -> str:
    heads = "".join(f'<th scope="col">{_text(name)}</th>' for name in head)
    body = "\n".join(f"<tr>{line}</tr>" for line in rows_html)
    return (
        f'<p>{_text(caption)}</p>\n<div class="wide"><table>\n<thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _row_head(name: str) -> str:
    return f'<th scope="row">{_text(name)}</th>'


def _image(png: bytes, alt: str) -> str:
    return f'<img alt="{_text(alt)}" src="data:image/png;base64,{b64encode(png).decode()}">'


def _text(text: str) -> str:
    """The text escaped for HTML and its attributes; bytes of file names that are not text become question marks."""
    return escape(text.encode(errors="replace").decode())


def _signed(db: float) -> str:
    return f"{db:+.2f}".replace("-", "\N{MINUS SIGN}")


def _inputs(report: HtmlReport) -> list[str]:
    return list(dict.fromkeys(row.input for row in report.rows))


def _clips(report: HtmlReport) -> list[Clip]:
    return list(dict.fromkeys((row.collection, row.name) for row in report.rows))


def _gain(report: HtmlReport, method: str, input_name: str, clip: Clip | None = None) -> float:
    """In dB over Lanczos, of the clip or the mean of all clips."""
    rows = _rows_of(report, method, input_name)
    return fmean(row.gain for row in rows if clip in (None, (row.collection, row.name)))


def _rows_of(report: HtmlReport, method: str, input_name: str) -> list[ResultRow]:
    return [row for row in report.rows if (row.method, row.input) == (method, input_name)]
