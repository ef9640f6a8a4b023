"""The metrics of the cameras in the format of Prometheus."""

import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from vidsr.live.camera_watchdog import CameraStatus
from vidsr.live.status import DELAYS_S, State, Status

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily

_COUNTERS: dict[str, tuple[str, Callable[[Status], int]]] = {
    "vidsr_frames_in": ("Decoded frames", lambda status: status.frames_in),
    "vidsr_frames_corrupt": (
        "Frames and packets that are damaged",
        lambda status: status.corrupt,
    ),
    "vidsr_frames_missed": ("Frames of the source that never came", lambda status: status.missed),
    "vidsr_frames_written": ("Upscaled frames handed to the targets", lambda status: status.written),
    "vidsr_reconnects": ("Connections after the first", lambda status: max(0, status.connects - 1)),
    "vidsr_worker_restarts": ("Replaced workers", lambda status: status.worker_restarts),
    "vidsr_bytes_written": ("Bytes written to the targets", lambda status: status.bytes_written),
    "vidsr_segments": ("Finished segments", lambda status: status.segments),
}
_LABELLED_COUNTERS: dict[str, tuple[str, str, Callable[[Status], dict[str, int]]]] = {
    "vidsr_frames_enlarged": ("Upscaled frames by rung", "rung", lambda status: status.upscaled),
    "vidsr_frames_dropped": ("Dropped packets by reason", "reason", lambda status: status.dropped),
    "vidsr_timestamps_repaired": ("Repaired timestamps by fault", "fault", lambda status: status.repaired),
}


class _Cameras(Collector):
    def __init__(self, statuses: Callable[[], list[CameraStatus]]) -> None:
        self._statuses = statuses

    def collect(self) -> Iterator[Family]:
        """All metric families, also those without samples."""
        statuses = self._statuses()
        yield from _counters(statuses)
        yield from _gauges(statuses)
        yield _delays(statuses)


def metrics_registry(statuses: Callable[[], list[CameraStatus]]) -> CollectorRegistry:
    """The metrics that Prometheus scrapes."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Cameras(statuses))
    return registry


def _counters(statuses: Iterable[CameraStatus]) -> Iterator[Family]:
    for name, (help_text, count) in _COUNTERS.items():
        family = CounterMetricFamily(name, help_text, labels=["camera"])
        for status in statuses:
            family.add_metric([status.name], count(status.total))
        yield family
    for name, (help_text, label, counts) in _LABELLED_COUNTERS.items():
        family = CounterMetricFamily(name, help_text, labels=["camera", label])
        for status in statuses:
            for kind, number in counts(status.total).items():
                family.add_metric([status.name, kind], number)
        yield family
    restarts = CounterMetricFamily("vidsr_process_restarts", "Restarts of the process", labels=["camera"])
    for status in statuses:
        restarts.add_metric([status.name], status.restarts)
    yield restarts


def _gauges(statuses: Iterable[CameraStatus]) -> Iterator[Family]:
    flowing = GaugeMetricFamily("vidsr_flowing", "1 while upscaled frames are written", labels=["camera"])
    states = GaugeMetricFamily("vidsr_state", "1 for the current state", labels=["camera", "state"])
    rung = GaugeMetricFamily("vidsr_rung", "1 for the current rung", labels=["camera", "rung"])
    target = GaugeMetricFamily("vidsr_target_ok", "1 while the target is written", labels=["camera", "target"])
    free = GaugeMetricFamily("vidsr_disk_free_bytes", "Free bytes at the target", labels=["camera", "target"])
    now = time.monotonic()
    for status in statuses:
        flowing.add_metric([status.name], status.is_flowing(now))
        for state in State:
            states.add_metric([status.name, state], state is status.total.state)
        for name in {*status.total.upscaled, status.total.rung} - {""}:
            rung.add_metric([status.name, name], name == status.total.rung)
        for name, words in status.total.targets.items():
            target.add_metric([status.name, name], words == "ok")
        for name, number in status.total.disk_free.items():
            free.add_metric([status.name, name], number)
    yield from (flowing, states, rung, target, free)


def _delays(statuses: Iterable[CameraStatus]) -> Family:
    family = HistogramMetricFamily("vidsr_delay_seconds", "Seconds from arrival to writing", labels=["camera"])
    for status in statuses:
        total, buckets = 0, []
        for bound, number in zip([*map(str, DELAYS_S), "+Inf"], status.total.delays, strict=True):
            total += number
            buckets.append((bound, float(total)))
        family.add_metric([status.name], buckets, sum_value=status.total.delay_sum_s)
    return family
