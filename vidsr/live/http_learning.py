"""What cameras learn, over HTTP: a page per camera, and the reports of its networks."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from vidsr.html_template import render_html_template
from vidsr.learn_dir import REPORT, LearnDir, LearnedNetwork, LiveGain
from vidsr.live.camera_watchdog import CameraStatus
from vidsr.live.config import CameraConfig
from vidsr.live.http_response import Environ, Response, file_answer, not_found, text_response

_PATH = re.compile(r"/learning/([A-Za-z0-9_-]+)/(?:([0-9TZ.-]+)/report\.html)?")
_REPORT_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'"
_WIDTH, _HEIGHT, _MARGIN = 640, 200, 40
"""Of the graph, in its own units."""
_MAX_EVENTS = 20


class LearningSite:
    """Answers what is below /learning, for the cameras that learn."""

    def __init__(
        self, configs: Callable[[], Sequence[CameraConfig]], statuses: Callable[[], Sequence[CameraStatus]]
    ) -> None:
        """`configs` and `statuses` are called from several threads."""
        self._configs, self._statuses = configs, statuses

    def folders(self) -> dict[str, Path]:
        """What each camera learns in, if it learns."""
        return {config.name: config.learn_dir for config in self._configs() if config.learn and config.learn_dir}

    def answer(self, environ: Environ) -> Response:
        """The answer to a request."""
        found = _PATH.fullmatch(environ["PATH_INFO"])
        if not found or not (folder := self.folders().get(found[1])):
            return not_found()
        learn_dir = LearnDir(folder)
        if not found[2]:
            shows_scene = all(each.total.shows_scene for each in self._statuses() if each.name == found[1])
            page = learning_html(found[1], learn_dir, shows_scene=shows_scene)
            return text_response("200 OK", page, kind="text/html")
        if found[2] not in (network.name for network in learn_dir.networks()):
            return not_found()
        try:
            file = (learn_dir.network_folder(found[2]) / REPORT).open("rb")
        except OSError:
            return not_found()
        policy = {"Content-Security-Policy": _REPORT_POLICY}
        return file_answer(file, environ, kind="text/html; charset=utf-8", headers=policy)


def learning_html(camera: str, learn_dir: LearnDir, *, shows_scene: bool) -> str:
    """The page of a camera, which shows the scene of its network or another one."""
    networks, current = learn_dir.networks(), learn_dir.current()
    moments = learn_dir.moments()
    return render_html_template(
        "live/learning.html",
        camera=camera,
        current=current,
        shows_scene=shows_scene,
        waiting_since=_minute(since_s) if (since_s := learn_dir.waiting_since_s) else "",
        moments=len(moments),
        megabytes=sum(moment.size for moment in moments) / 1e6,
        networks=networks[::-1],
        graph=gain_graph(networks, learn_dir.gains()),
        events=[(_minute(event["time_s"]), event["event"]) for event in learn_dir.events()[-_MAX_EVENTS:][::-1]],
    )


def _minute(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s):%Y-%m-%d %H:%M}"


def _local_day(name: str) -> str:
    """The day of a network's name, which is in UTC."""
    try:
        return f"{datetime.strptime(name, '%Y-%m-%dT%H-%M-%S.%f%z').astimezone():%Y-%m-%d}"
    except ValueError:  # renamed by hand
        return name[:10]


def gain_graph(networks: Sequence[LearnedNetwork], gains: Sequence[LiveGain]) -> dict[str, object] | None:
    """What the graph of gains by day draws, in units of a view of 640 x 200; None where there is nothing to draw.

    "proofs" are (x, y, accepted, gain in dB) of the networks, "live" the points of the daily means, "zero" and "top"
    the heights of 0 dB and of the highest gain, "days" (x, day).
    """
    by_day: dict[str, list[float]] = defaultdict(list)
    for gain in gains:
        by_day[f"{datetime.fromtimestamp(gain.time_s):%Y-%m-%d}"].append(gain.gain)
    live = {day: sum(own) / len(own) for day, own in by_day.items()}
    proofs = [(_local_day(network.name), network.proof) for network in networks]
    days = sorted({*live, *(day for day, _ in proofs)})
    if not days:
        return None
    highest = max(0.1, *live.values(), *(proof.moving_gain for _, proof in proofs))
    lowest = min(0.0, *live.values(), *(proof.moving_gain for _, proof in proofs))
    step = (_WIDTH - 2 * _MARGIN) / max(1, len(days) - 1)
    xs = {day: round(_MARGIN + number * step) for number, day in enumerate(days)}

    def y(gain: float) -> int:
        return round(_HEIGHT - _MARGIN - (gain - lowest) / (highest - lowest) * (_HEIGHT - 2 * _MARGIN))

    shown = days[:: max(1, len(days) // 6)]
    return {
        "proofs": [(xs[day], y(proof.moving_gain), proof.accepted, proof.moving_gain) for day, proof in proofs],
        "live": " ".join(f"{xs[day]},{y(mean)}" for day, mean in sorted(live.items())),
        "zero": y(0.0),
        "top": (y(highest), highest),
        "days": [(xs[day], day[5:]) for day in shown],
    }
