"""The HTML report of a fine-tuning: self-contained, correct numbers, names escaped."""

from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from vidsr.quality.evaluation import ResultRow
from vidsr.quality.report_html import HtmlReport, rate, render_html

GAINS = {  # of the start and of the tuned network
    ("a", "none"): (1.0, 1.5),
    ("a", "crf 28"): (0.5, 0.75),
    ("b", "none"): (2.0, 1.0),
    ("b", "crf 28"): (0.25, -0.5),
    ("c", "none"): (-0.25, -0.125),
    ("c", "crf 28"): (0.0, 3.0),
}
VOID = {"meta", "img"}


class Parsed(HTMLParser):
    """The elements of a page; a closing tag without its opening tag fails the test."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.names: set[str] = set()
        self.tables: list[list[list[str]]] = []
        self.marked: dict[str, list[str]] = {}
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
            self._kind = dict(attrs).get("class") or ""

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag == "td":
            self.marked.setdefault(self._kind, []).append(self.tables[-1][-1][-1])

    def handle_data(self, data: str) -> None:
        if {"th", "td"} & set(self._open):
            self.tables[-1][-1][-1] += f" {data}" if self._open[-1] == "small" else data
        if "style" not in self._open:
            self.text += data


def png(level: int) -> bytes:
    file = BytesIO()
    Image.fromarray(np.full((4, 6), level, np.uint8)).save(file, "PNG")
    return file.getvalue()


def rows(*, collection: str = "set", prefix: str = "") -> list[ResultRow]:
    found = []
    for (clip, given), (start, tuned) in GAINS.items():
        for method, gain in {"bicubic": -0.5, "lanczos": 0.0, "start": start, "tuned": tuned}.items():
            scores = {"psnr": 30 + 3 * gain, "ssim": 0.9, "gain": 3 * gain, "worst": gain}
            scores |= {"moving_psnr": 30 + gain, "moving_gain": gain}
            row = ResultRow(collection=collection, name=prefix + clip, scale=2, input=given, method=method, **scores)
            found.append(row)
    return found


def report(scores: list[ResultRow], *, text: str = "as it should be", rating: str = "good") -> HtmlReport:
    return HtmlReport(
        title=f"title {text}",
        verdict=f"verdict {text}",
        rating=rating,
        facts={f"fact {text}": f"value {text}"},
        rows=scores,
        start="start",
        tuned="tuned",
        curve=png(1),
        crops=[(f"crop {text}", png(2)), ("another", png(3))],
        notes=[f"note {text}"],
    )


def test_the_report_loads_nothing_from_outside() -> None:
    text = render_html(report(rows()))
    parsed = Parsed(text)
    assert "://" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert not {"script", "link", "iframe", "object"} & set(parsed.tags)
    pictures = [b64decode(source.removeprefix("data:image/png;base64,"), validate=True) for source in parsed.sources]
    assert pictures == [png(1), png(2), png(3)]


def test_the_verdict_comes_first_and_all_sections_follow() -> None:
    parsed = Parsed(render_html(report(rows())))
    window, first, *_ = [line for line in parsed.text.splitlines() if line]
    assert (window, first) == ("title as it should be", "verdict as it should be")
    for part in ("fact", "value", "crop", "note"):
        assert f"{part} as it should be" in parsed.text


def test_the_first_table_has_the_mean_gain_of_the_moving_areas_by_input_and_last_that_of_all() -> None:
    by_input, _ = Parsed(render_html(report(rows()))).tables
    assert by_input == [
        ["input", "Lanczos, PSNR-Y", "start", "tuned", "difference", "on the whole picture"],
        ["none", "30.00", "+0.92", "+0.79", "−0.12", "−0.38"],
        ["crf 28", "30.00", "+0.25", "+1.08", "+0.83", "+2.50"],
    ]


def test_the_second_table_lists_clips_from_the_worst_and_marks_losses() -> None:
    parsed = Parsed(render_html(report(rows())))
    assert parsed.tables[1] == [
        ["clip", "none", "crf 28", "mean difference"],
        ["b", "+1.00 +2.00 below start", "−0.50 +0.25 below Lanczos", "−0.88"],
        ["a", "+1.50 +1.00", "+0.75 +0.50", "+0.38"],
        ["c", "−0.12 −0.25 below Lanczos", "+3.00 +0.00", "+1.56"],
    ]
    assert parsed.marked["worse"] == ["+1.00 +2.00 below start"]
    assert parsed.marked["bad"] == ["−0.12", "−0.50 +0.25 below Lanczos", "−0.88", "−0.12 −0.25 below Lanczos"]


def test_clips_of_one_name_in_two_collections_are_kept_apart() -> None:
    parsed = Parsed(render_html(report(rows(collection="north") + rows(collection="south"))))
    heads = [line[0] for line in parsed.tables[1][1:]]
    assert heads == ["north/b", "south/b", "north/a", "south/a", "north/c", "south/c"]


@pytest.mark.parametrize("rating", ["good", "slight", "bad"])
def test_the_colour_of_the_verdict_is_that_of_its_kind(rating: str) -> None:
    assert f'<header class="{rating}">' in render_html(report(rows(), rating=rating))


def test_a_difference_that_nobody_sees_is_neither_good_nor_bad() -> None:
    assert [rate(db) for db in (-0.06, -0.02, 0.0, 0.02, 0.06)] == ["bad", "slight", "slight", "slight", "good"]
    scores = [replace(row, moving_gain=0.02 if row.method == "tuned" else 0.0) for row in rows()]
    parsed = Parsed(render_html(report(scores)))
    assert parsed.tables[0][1][4] == "+0.02"
    assert not parsed.marked.get("good")


def test_a_mean_is_of_several_clips() -> None:
    alone = [row for row in rows() if row.name == "a"]
    assert "where the held-out clip moves; last" in Parsed(render_html(report(alone))).text
    assert "where the held-out clips move, mean over 3; last" in Parsed(render_html(report(rows()))).text


def test_names_are_escaped_in_elements_and_attributes() -> None:
    hostile = """</td></title><script>alert(1)</script><img src="https://x.y/z" onerror='f()'>&amp;" onload="f()"""
    clean, parsed = (
        Parsed(render_html(report(rows()))),
        Parsed(render_html(report(rows(prefix=hostile), text=hostile))),
    )
    assert parsed.tags == clean.tags
    assert parsed.names == clean.names
    assert [line[0] for line in parsed.tables[1][1:]] == [hostile + clip for clip in "bac"]
    assert parsed.text.count(hostile) == 7 + 3  # title twice, verdict, fact and its value, caption, note; three clips


def test_a_file_name_that_is_not_text_is_shown_with_question_marks() -> None:
    name = b"caf\xe9-".decode(errors="surrogateescape")
    parsed = Parsed(render_html(report(rows(prefix=name), text=name)).encode().decode())
    assert [line[0] for line in parsed.tables[1][1:]] == ["caf?-b", "caf?-a", "caf?-c"]


def test_empty_sections_are_omitted() -> None:
    bare = HtmlReport(
        title="t", verdict="v", rating="good", facts={}, rows=rows(), start="start", tuned="tuned",
        curve=png(1), crops=[], notes=[],
    )  # fmt: skip
    assert Parsed(render_html(bare)).tags.count("h2") == 3


def test_a_missing_score_is_an_error() -> None:
    scores = [row for row in rows() if (row.name, row.input, row.method) != ("b", "none", "tuned")]
    with pytest.raises(ValueError, match="at least one"):
        render_html(report(scores))
