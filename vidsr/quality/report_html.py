"""The report of one fine-tuning: one HTML file that needs no network and no script."""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from statistics import fmean

from vidsr.quality.results import Measured
from vidsr.quality.upscalers import BASELINE

Clip = tuple[str, str]
"""Its collection and its name."""

_NOTHING_FROM_OUTSIDE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True, kw_only=True)
class Page:
    """What the report says."""

    title: str
    verdict: str
    """One sentence."""
    good: bool
    """Whether the verdict is a good one."""
    facts: Mapping[str, str]
    """What was done, by name."""
    rows: Sequence[Measured]
    """Of every held-out clip with every input: Lanczos, the start and the tuned network at the least.

    Clips of one name in one collection are taken for one.
    """
    start: str
    """The method that tuning began with."""
    tuned: str
    """The method that came of it."""
    curve: bytes
    """A PNG of how it went."""
    crops: Sequence[tuple[str, bytes]]
    """Captions, and PNGs of `sheet_of`."""
    notes: Sequence[str]
    """Sentences about what was passed over and the like."""


def html_of(page: Page) -> str:
    """The whole file, to be stored as UTF-8. Raises ValueError when something was not measured."""
    parts = [_verdict(page), _by_input(page), _by_clip(page), _curve(page), _crops(page), _facts(page), _notes(page)]
    body = "\n".join(part for part in parts if part)
    style = files("vidsr.quality").joinpath("report_html.css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{_NOTHING_FROM_OUTSIDE}">
<title>{_text(page.title)}</title>
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


def _verdict(page: Page) -> str:
    kind = "good" if page.good else "bad"
    return f'<header class="{kind}">\n<h1>{_text(page.verdict)}</h1>\n<p>{_text(page.title)}</p>\n</header>'


def _by_input(page: Page) -> str:
    lines = []
    for given in _inputs(page):
        lanczos = fmean(row.psnr for row in _found(page, BASELINE, given))
        before, after = _gain(page, page.start, given), _gain(page, page.tuned, given)
        numbers = (f"{lanczos:.2f}", _signed(before), _signed(after))
        cells = "".join(f"<td>{number}</td>" for number in numbers)
        lines.append(f"{_row_head(given)}{cells}{_difference_cell(after - before)}")
    explained = f"In dB over Lanczos; mean of the held-out clips: {len(_clips(page))}."
    head = ("input", "Lanczos, PSNR-Y", page.start, page.tuned, "difference")
    return _section("Gain by input", _table(explained, head, lines))


def _by_clip(page: Page) -> str:
    """The clips, from that on which tuning did worst to that on which it did best."""
    inputs, clips = _inputs(page), _clips(page)
    several = len({collection for collection, _ in clips}) > 1
    differences = {
        clip: fmean(_gain(page, page.tuned, given, clip) - _gain(page, page.start, given, clip) for given in inputs)
        for clip in clips
    }
    lines = []
    for clip in sorted(clips, key=differences.__getitem__):
        cells = "".join(_clip_cell(page, given, clip) for given in inputs)
        head = _row_head("/".join(clip) if several else clip[1])
        lines.append(f"{head}{cells}{_difference_cell(differences[clip])}")
    explained = f"In dB over Lanczos: {page.tuned}, and in small figures {page.start}; the worst clip first."
    return _section("Gain by clip", _table(explained, ("clip", *inputs, "mean difference"), lines))


def _clip_cell(page: Page, given: str, clip: Clip) -> str:
    before, after = (_gain(page, method, given, clip) for method in (page.start, page.tuned))
    kind, words = "", ""
    if after < 0:
        kind, words = ' class="bad"', "<small>below Lanczos</small>"
    elif after < before:
        kind, words = ' class="worse"', "<small>below start</small>"
    return f"<td{kind}>{_signed(after)}<small>{_signed(before)}</small>{words}</td>"


def _difference_cell(db: float) -> str:
    return f'<td class="{"bad" if db < 0 else "good"}">{_signed(db)}</td>'


def _curve(page: Page) -> str:
    return _section("How it went", f"<figure>{_image(page.curve, 'PSNR and loss by step')}</figure>")


def _crops(page: Page) -> str:
    figures = [
        f'<figure class="crops"><figcaption>{_text(caption)}</figcaption>'
        f'<div class="wide">{_image(png, caption)}</div></figure>'
        for caption, png in page.crops
    ]
    return _section("Where it shows", *figures) if figures else ""


def _facts(page: Page) -> str:
    lines = [f"<dt>{_text(name)}</dt><dd>{_text(fact)}</dd>" for name, fact in page.facts.items()]
    return _section("What was done", "<dl>", *lines, "</dl>") if lines else ""


def _notes(page: Page) -> str:
    lines = [f"<li>{_text(note)}</li>" for note in page.notes]
    return _section("Notes", "<ul>", *lines, "</ul>") if lines else ""


def _section(title: str, *lines: str) -> str:
    return "\n".join(["<section>", f"<h2>{title}</h2>", *lines, "</section>"])


def _table(explained: str, head: Iterable[str], lines: Iterable[str]) -> str:
    heads = "".join(f'<th scope="col">{_text(name)}</th>' for name in head)
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f'<p>{_text(explained)}</p>\n<div class="wide"><table>\n<thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _row_head(name: str) -> str:
    return f'<th scope="row">{_text(name)}</th>'


def _image(png: bytes, alt: str) -> str:
    return f'<img alt="{_text(alt)}" src="data:image/png;base64,{b64encode(png).decode()}">'


def _text(text: str) -> str:
    """The text as HTML has it, also in an attribute; what a file name holds that is no text becomes question marks."""
    return escape(text.encode(errors="replace").decode())


def _signed(db: float) -> str:
    return f"{db:+.2f}".replace("-", "\N{MINUS SIGN}")


def _inputs(page: Page) -> list[str]:
    return list(dict.fromkeys(row.input for row in page.rows))


def _clips(page: Page) -> list[Clip]:
    return list(dict.fromkeys((row.collection, row.name) for row in page.rows))


def _gain(page: Page, method: str, given: str, clip: Clip | None = None) -> float:
    """In dB over Lanczos; of the clip, or the mean of all."""
    found = _found(page, method, given)
    return fmean(row.gain for row in found if clip in (None, (row.collection, row.name)))


def _found(page: Page, method: str, given: str) -> list[Measured]:
    return [row for row in page.rows if (row.method, row.input) == (method, given)]
