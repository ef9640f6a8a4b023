"""The health of a camera: ok, degraded or failed, and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from vidsr.live.camera_watchdog import CameraStatus
from vidsr.live.status import NO_NETWORK, Status

_MIN_WINDOW_S = 15.0  # shares of a shorter time are those of the start, while networks are compiled
_NO_FRAMES = ("sound out of place",)  # reasons for which packets of audio are dropped


class Health(StrEnum):
    """The health of a camera, from best to worst."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class CameraHealth:
    """The health of a camera, with a sentence for each reason."""

    state: Health
    reasons: tuple[str, ...] = ()


def camera_health(status: CameraStatus, now: float) -> CameraHealth:
    """The health by the statuses of the last minute, and by the limits in the camera's settings."""
    total = status.total
    bad_targets = [f"{target}: {words}" for target, words in total.targets.items() if words != "ok"]
    if not status.is_flowing(now):
        words = total.reason or "no upscaled frames are written"
        return CameraHealth(state=Health.FAILED, reasons=(f"{total.state}, {words}", *bad_targets))
    if bad_targets and len(bad_targets) == len(total.targets):
        return CameraHealth(state=Health.FAILED, reasons=tuple(bad_targets))
    shares = list(_shares(status.history))
    reasons = [
        f"{100 * share:.0f} % of the frames of the last minute {words}"
        for words, share in shares
        if 100 * share > status.degraded_above
    ]
    if any(100 * share > status.failed_above for words, share in shares if words == _DROPPED):
        return CameraHealth(state=Health.FAILED, reasons=(*reasons, *bad_targets))
    state = Health.DEGRADED if reasons or bad_targets else Health.OK
    return CameraHealth(state=state, reasons=(*reasons, *bad_targets))


def worst(healths: Sequence[CameraHealth]) -> Health:
    """The worst state of all."""
    return max((health.state for health in healths), key=list(Health).index, default=Health.OK)


_DROPPED = "were dropped"


def _shares(history: Sequence[tuple[float, Status]]) -> Iterator[tuple[str, float]]:
    """What is wrong with which share of the frames, over the history; nothing for a short one."""
    if not history or history[-1][0] - history[0][0] < _MIN_WINDOW_S:
        return
    first, last = history[0][1], history[-1][1]
    n_in, n_dropped = last.frames_in - first.frames_in, _video_drops(last) - _video_drops(first)
    n_upscaled = sum(last.upscaled.values()) - sum(first.upscaled.values())
    n_missed = last.missed - first.missed
    yield _DROPPED, n_dropped / max(1, n_in + n_dropped)
    yield "never came", n_missed / max(1, n_in + n_missed)
    yield "were damaged", (last.corrupt - first.corrupt) / max(1, n_in)
    no_network = last.upscaled.get(NO_NETWORK, 0) - first.upscaled.get(NO_NETWORK, 0)
    yield "were upscaled without a network", no_network / max(1, n_upscaled)


def _video_drops(status: Status) -> int:
    return sum(number for reason, number in status.dropped.items() if reason not in _NO_FRAMES)
