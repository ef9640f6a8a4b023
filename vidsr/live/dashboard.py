"""The health of the cameras as text, and as a web page without scripts."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files
from itertools import accumulate

from vidsr.live.camera_watchdog import CameraStatus
from vidsr.live.status import DELAYS_S, Status

_REFRESH_S = 5
_RATE_S = 10.0


def health_text(statuses: list[CameraStatus], now: float) -> tuple[bool, str]:
    """Whether upscaled frames of all cameras are written, and a line of text for each camera."""
    lines = [f"{status.name}: {'ok' if status.is_flowing(now) else _problem(status)}\n" for status in statuses]
    return all(status.is_flowing(now) for status in statuses), "".join(lines)


def dashboard_html(statuses: list[CameraStatus], now: float) -> str:
    """The whole page, to be sent as UTF-8."""
    flowing = sum(status.is_flowing(now) for status in statuses)
    good = flowing == len(statuses)
    words = "All cameras are upscaled" if good else f"{flowing} of {len(statuses)} cameras are upscaled"
    style = files("vidsr.live").joinpath("dashboard.css").read_text(encoding="utf-8")
    sections = "\n".join(_section(status, now) for status in statuses)
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


def _section(status: CameraStatus, now: float) -> str:
    is_flowing = status.is_flowing(now)
    total = status.total
    why = "" if is_flowing else f'<p class="why">{escape(total.reason or "no upscaled frames are written")}</p>'
    return f"""<section class="{"good" if is_flowing else "bad"}">
<h2>{escape(status.name)} <span class="state">{escape(total.state)}</span></h2>
<p>{escape(" · ".join(filter(None, (status.source, total.source))))}</p>
{why}
{_previews(status)}
<dl>{"".join(f"<div><dt>{name}</dt><dd>{escape(fact)}</dd></div>" for name, fact in _facts(status, now))}</dl>
{_targets(total)}
</section>"""


def _previews(status: CameraStatus) -> str:
    if not status.total.written:
        return ""
    figures = (
        f'<figure><figcaption>{when}</figcaption><img src="camera/{status.name}/{when}.jpg" alt="newest frame {when}">'
        "</figure>"
        for when in ("before", "after")
    )
    return f'<div class="previews">{"".join(figures)}</div>'


def _facts(status: CameraStatus, now: float) -> Iterator[tuple[str, str]]:
    total = status.total
    yield "rung", total.rung or "none"
    yield "frames per second, in → out", " → ".join(f"{rate:.1f}" for rate in _rates(status, now))
    yield "delay, half / 99 %", _delay_text(status)
    yield "frames written", f"{total.written:,}"
    yield "frames by rung", _counts_text(total.upscaled) or "none"
    yield "dropped", _counts_text(total.dropped) or "none"
    yield "missed", f"{total.missed:,}"
    yield "corrupt", f"{total.corrupt:,}"
    yield "timestamps repaired", _counts_text(total.repaired) or "none"
    yield "connections", f"{total.connects:,}"
    yield "restarts: process / worker", f"{status.restarts:,} / {total.worker_restarts:,}"
    yield "segments", f"{total.segments:,}"
    yield "written", _bytes_text(total.bytes_written)


def _targets(total: Status) -> str:
    if not total.targets:
        return ""
    rows = []
    for target, words in total.targets.items():
        free = _bytes_text(total.disk_free[target]) if target in total.disk_free else "–"
        kind = "" if words == "ok" else ' class="bad"'
        rows.append(f"<tr><td>{escape(target)}</td><td{kind}>{escape(words)}</td><td>{free}</td></tr>")
    head = "<tr><th>target</th><th>state</th><th>free</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _rates(status: CameraStatus, now: float) -> tuple[float, float]:
    """Frames per second in and out over the last ten seconds."""
    recent = [(at, past) for at, past in status.history if now - at <= _RATE_S]
    if len(recent) < 2:
        return 0.0, 0.0
    (began, first), (ended, last) = recent[0], recent[-1]
    return (last.frames_in - first.frames_in) / (ended - began), (last.written - first.written) / (ended - began)


def _delay_text(status: CameraStatus) -> str:
    """The bounds below which half and 99 % of the delays in the history lie."""
    if not status.history:
        return "–"
    first, last = status.history[0][1].delays, status.history[-1][1].delays
    sums = list(accumulate(late - early for early, late in zip(first, last, strict=True)))
    if not sums[-1]:
        return "–"
    return " / ".join(_bound_text(bisect_left(sums, share * sums[-1])) for share in (0.5, 0.99))


def _bound_text(number: int) -> str:
    return f"< {DELAYS_S[number]:g} s" if number < len(DELAYS_S) else f"> {DELAYS_S[-1]:g} s"


def _problem(status: CameraStatus) -> str:
    return ", ".join(filter(None, (str(status.total.state), status.total.reason)))


def _counts_text(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in sorted(counts.items()) if number)


def _bytes_text(number: int) -> str:
    """A number of bytes in a suitable unit."""
    return next(
        (f"{number / 1000**power:.1f} {unit}" for power, unit in _UNITS if number >= 1000**power), f"{number} B"
    )


_UNITS: Iterable[tuple[int, str]] = ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB"))
