"""The metrics of the cameras in the format of Prometheus."""

import time
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from vidsr.live.camera_watchdog import CameraStatus
from vidsr.live.health import Health, camera_health
from vidsr.live.status import DELAYS_S, State, Status

_Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
_Help = tuple[str, str]
"""The help text, and the label of the values, "" where there is one value only."""

_COUNTERS: dict[str, tuple[_Help, Callable[[Status], float | Mapping[str, float]]]] = {
    "vidsr_frames_in": (("Decoded frames", ""), lambda total: total.frames_in),
    "vidsr_frames_corrupt": (("Frames and packets that are damaged", ""), lambda total: total.corrupt),
    "vidsr_frames_missed": (("Frames of the source that never came", ""), lambda total: total.missed),
    "vidsr_frames_written": (
        ("Upscaled frames that a target has taken: a file, or a server for 4 s without an error", ""),
        lambda total: total.written,
    ),
    "vidsr_reconnects": (("Connections after the first", ""), lambda total: max(0, total.connects - 1)),
    "vidsr_worker_restarts": (("Replaced workers", ""), lambda total: total.worker_restarts),
    "vidsr_bytes_written": (("Bytes written to the targets", ""), lambda total: total.bytes_written),
    "vidsr_segments": (("Finished segments", ""), lambda total: total.segments),
    "vidsr_frames_upscaled": (("Upscaled frames by rung", "rung"), lambda total: total.upscaled),
    "vidsr_frames_dropped": (("Dropped packets by reason", "reason"), lambda total: total.dropped),
    "vidsr_timestamps_repaired": (("Repaired timestamps by fault", "fault"), lambda total: total.repaired),
}
_GAUGES: dict[str, tuple[_Help, Callable[[Status], float | Mapping[str, float]]]] = {
    "vidsr_state": (
        ("1 for the current state", "state"),
        lambda total: {state: state is total.state for state in State},
    ),
    "vidsr_rung": (
        ("1 for the current rung", "rung"),
        lambda total: {name: name == total.rung for name in {*total.upscaled, total.rung} - {""}},
    ),
    "vidsr_learned": (
        ("1 while the learned network of a camera is used, 0 while it shows another scene", "network"),
        lambda total: {total.learned: total.shows_scene} if total.learned else {},
    ),
    "vidsr_target_ok": (
        ("1 while the target is written", "target"),
        lambda total: {target: words == "ok" for target, words in total.targets.items()},
    ),
    "vidsr_disk_free_bytes": (("Free bytes at the target", "target"), lambda total: total.disk_free),
}


def metrics_registry(statuses: Callable[[], list[CameraStatus]]) -> CollectorRegistry:
    """The metrics that Prometheus scrapes."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Cameras(statuses))
    return registry


class _Cameras(Collector):
    def __init__(self, statuses: Callable[[], list[CameraStatus]]) -> None:
        self._statuses = statuses

    def collect(self) -> Iterator[_Family]:
        """All metric families, also those without samples."""
        cameras, now = {status.name: status for status in self._statuses()}, time.monotonic()
        totals = {name: status.total for name, status in cameras.items()}
        for kind, families in ((CounterMetricFamily, _COUNTERS), (GaugeMetricFamily, _GAUGES)):
            for name, (help_, value_of) in families.items():
                yield _family(kind, name, help_, {camera: value_of(total) for camera, total in totals.items()})
        restarts = {name: status.restarts for name, status in cameras.items()}
        yield _family(CounterMetricFamily, "vidsr_process_restarts", ("Restarts of the process", ""), restarts)
        states = {name: camera_health(status, now).state for name, status in cameras.items()}
        healths = {name: {str(each): each is state for each in Health} for name, state in states.items()}
        yield _family(GaugeMetricFamily, "vidsr_health", ("1 for the current health", "health"), healths)
        flowing = {name: status.is_flowing(now) for name, status in cameras.items()}
        yield _family(GaugeMetricFamily, "vidsr_flowing", ("1 while upscaled frames are written", ""), flowing)
        delays = HistogramMetricFamily("vidsr_delay_seconds", "Seconds from arrival to writing", labels=["camera"])
        for name, total in totals.items():
            sums = [float(sum(total.delays[: number + 1])) for number in range(len(total.delays))]
            buckets = list(zip([*map(str, DELAYS_S), "+Inf"], sums, strict=True))
            delays.add_metric([name], buckets, sum_value=total.delay_sum_s)
        yield delays


def _family(
    kind: type[CounterMetricFamily | GaugeMetricFamily],
    name: str,
    help_: _Help,
    values: Mapping[str, float | Mapping[str, float]],
) -> _Family:
    text, label = help_
    family = kind(name, text, labels=["camera", label] if label else ["camera"])
    for camera, value in values.items():
        for each, number in value.items() if isinstance(value, Mapping) else [("", value)]:
            family.add_metric([camera, each] if label else [camera], number)
    return family
