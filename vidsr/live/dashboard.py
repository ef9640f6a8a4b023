"""The health of the cameras as JSON, and as a web page without scripts."""

import json
from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import accumulate

from vidsr.html_template import render_html_template
from vidsr.live.camera_watchdog import CameraStatus
from vidsr.live.health import Health, camera_health, worst
from vidsr.live.status import DELAYS_S, Status

_RATE_S = 10.0


def health_json(statuses: list[CameraStatus], now: float) -> tuple[bool, str]:
    """Whether no camera has failed, and the health of all: states, reasons, and the age of the last frame."""
    healths = {status.name: camera_health(status, now) for status in statuses}
    state = worst([*healths.values()])
    cameras = {
        status.name: {
            "state": healths[status.name].state,
            "reasons": healths[status.name].reasons,
            "last_frame_s": None if status.last_frame_at is None else round(now - status.last_frame_at, 1),
        }
        for status in statuses
    }
    return state is not Health.FAILED, json.dumps({"state": state, "cameras": cameras}, ensure_ascii=False) + "\n"


def dashboard_html(
    statuses: list[CameraStatus],
    now: float,
    *,
    moments: Mapping[str, int],
    recorded: Container[str] = (),
    learning: Container[str] = (),
) -> str:
    """The whole page, with the previews of these moments by camera; 0 stands for none.

    The cameras in `recorded` have a page of their recordings, those in `learning` of what they learn.
    """
    healths = [camera_health(status, now) for status in statuses]
    states = [health.state for health in healths]
    bad = [
        f"{states.count(state)} of {len(states)} {state}"
        for state in (Health.FAILED, Health.DEGRADED)
        if state in states
    ]
    return render_html_template(
        "live/dashboard.html",
        title=f"Cameras: {', '.join(bad)}" if bad else "All cameras are upscaled",
        state=worst(healths),
        cameras=[
            {
                "name": status.name,
                "health": health,
                "moment": moments[status.name],
                "is_recorded": status.name in recorded,
                "learns": status.name in learning,
                "source": " · ".join(filter(None, (status.source, status.total.source))),
                "total": status.total,
                "facts": dict(_facts(status, now)),
                "targets": list(_targets(status.total)),
            }
            for status, health in zip(statuses, healths, strict=True)
        ],
    )


def _facts(status: CameraStatus, now: float) -> Iterator[tuple[str, str]]:
    total = status.total
    yield "rung", total.rung or "none"
    if total.learned:
        yield "learned network", f"{total.learned}{'' if total.shows_scene else ', unused: another scene'}"
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


def _targets(total: Status) -> Iterator[tuple[str, str, str]]:
    """Each target, its state, and the free space on its disk."""
    for target, state in total.targets.items():
        yield target, state, _bytes_text(total.disk_free[target]) if target in total.disk_free else "–"


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


def _counts_text(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in sorted(counts.items()) if number)


def _bytes_text(number: int) -> str:
    """A number of bytes in a suitable unit."""
    return next(
        (f"{number / 1000**power:.1f} {unit}" for power, unit in _UNITS if number >= 1000**power), f"{number} B"
    )


_UNITS: Iterable[tuple[int, str]] = ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB"))
