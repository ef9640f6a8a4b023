"""How the cameras are, in words and as a page that needs no script."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files
from itertools import accumulate

from vidsr.live.camera_watchdog import View
from vidsr.live.status import DELAYS_S, Status

_REFRESH_S = 5
_RATE_S = 10.0


def told(views: list[View], now: float) -> tuple[bool, str]:
    """Whether the enlarged pictures of all cameras flow, and a line of text for each camera."""
    lines = [f"{view.name}: {'ok' if view.flows(now) else _trouble(view)}\n" for view in views]
    return all(view.flows(now) for view in views), "".join(lines)


def html_of(views: list[View], now: float) -> str:
    """The whole page, to be sent as UTF-8."""
    flowing = sum(view.flows(now) for view in views)
    good = flowing == len(views)
    words = "All cameras are enlarged" if good else f"{flowing} of {len(views)} cameras are enlarged"
    style = files("vidsr.live").joinpath("dashboard.css").read_text(encoding="utf-8")
    sections = "\n".join(_section(view, now) for view in views)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="{_REFRESH_S}">
<title>{words} – vidsr</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<main>
<header class="{"good" if good else "bad"}"><h1>{words}</h1></header>
{sections}
</main>
</body>
</html>
"""


def _section(view: View, now: float) -> str:
    flows = view.flows(now)
    total = view.total
    why = "" if flows else f'<p class="why">{escape(total.reason or "no enlarged pictures come out")}</p>'
    return f"""<section class="{"good" if flows else "bad"}">
<h2>{escape(view.name)} <span class="state">{escape(total.state)}</span></h2>
<p>{escape(" · ".join(filter(None, (view.source, total.source))))}</p>
{why}
{_pictures(view)}
<dl>{"".join(f"<div><dt>{name}</dt><dd>{escape(fact)}</dd></div>" for name, fact in _facts(view, now))}</dl>
{_targets(total)}
</section>"""


def _pictures(view: View) -> str:
    if not view.total.written:
        return ""
    figures = (
        f'<figure><figcaption>{when}</figcaption><img src="camera/{view.name}/{when}.jpg" alt="newest picture {when}">'
        "</figure>"
        for when in ("before", "after")
    )
    return f'<div class="pictures">{"".join(figures)}</div>'


def _facts(view: View, now: float) -> Iterator[tuple[str, str]]:
    total = view.total
    yield "enlarged by", total.rung or "nothing"
    yield "frames a second, in → out", " → ".join(f"{rate:.1f}" for rate in _rates(view, now))
    yield "delay, half / 99 %", _delay(view)
    yield "frames written", f"{total.written:,}"
    yield "by network", _listed(total.enlarged) or "none"
    yield "dropped", _listed(total.dropped) or "none"
    yield "never came", f"{total.missed:,}"
    yield "damaged", f"{total.corrupt:,}"
    yield "time stamps repaired", _listed(total.repaired) or "none"
    yield "connections", f"{total.connects:,}"
    yield "restarts: process / worker", f"{view.restarts:,} / {total.worker_restarts:,}"
    yield "segments", f"{total.segments:,}"
    yield "written", _size(total.bytes_written)


def _targets(total: Status) -> str:
    if not total.targets:
        return ""
    rows = []
    for target, words in total.targets.items():
        free = _size(total.disk_free[target]) if target in total.disk_free else "–"
        kind = "" if words == "ok" else ' class="bad"'
        rows.append(f"<tr><td>{escape(target)}</td><td{kind}>{escape(words)}</td><td>{free}</td></tr>")
    head = "<tr><th>target</th><th>state</th><th>free</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _rates(view: View, now: float) -> tuple[float, float]:
    """Frames a second in and out over the last ten seconds."""
    recent = [(at, status) for at, status in view.history if now - at <= _RATE_S]
    if len(recent) < 2:
        return 0.0, 0.0
    (began, first), (ended, last) = recent[0], recent[-1]
    return (last.frames_in - first.frames_in) / (ended - began), (last.written - first.written) / (ended - began)


def _delay(view: View) -> str:
    """The bounds under which half and 99 % of the delays of the history are."""
    if not view.history:
        return "–"
    first, last = view.history[0][1].delays, view.history[-1][1].delays
    sums = list(accumulate(late - early for early, late in zip(first, last, strict=True)))
    if not sums[-1]:
        return "–"
    return " / ".join(_bound(bisect_left(sums, share * sums[-1])) for share in (0.5, 0.99))


def _bound(number: int) -> str:
    return f"< {DELAYS_S[number]:g} s" if number < len(DELAYS_S) else f"> {DELAYS_S[-1]:g} s"


def _trouble(view: View) -> str:
    return ", ".join(filter(None, (str(view.total.state), view.total.reason)))


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in sorted(counts.items()) if number)


def _size(number: int) -> str:
    """Bytes in the unit that fits."""
    return next(
        (f"{number / 1000**power:.1f} {unit}" for power, unit in _UNITS if number >= 1000**power), f"{number} B"
    )


_UNITS: Iterable[tuple[int, str]] = ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB"))
