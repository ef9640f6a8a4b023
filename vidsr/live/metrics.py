"""The numbers of the cameras as Prometheus wants them."""

import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from vidsr.live.camera_watchdog import View
from vidsr.live.status import DELAYS_S, State, Status

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily

_COUNTERS: dict[str, tuple[str, Callable[[Status], int]]] = {
    "vidsr_frames_in": ("Pictures that were decoded", lambda status: status.frames_in),
    "vidsr_frames_corrupt": ("Pictures or packets that the decoder refused or guessed", lambda status: status.corrupt),
    "vidsr_frames_missed": ("Pictures of the source that never came", lambda status: status.missed),
    "vidsr_frames_written": ("Enlarged pictures that reached the targets", lambda status: status.written),
    "vidsr_reconnects": ("Connections behind the first", lambda status: max(0, status.connects - 1)),
    "vidsr_worker_restarts": ("Workers that were replaced", lambda status: status.worker_restarts),
    "vidsr_bytes_written": ("Bytes that reached the targets", lambda status: status.bytes_written),
    "vidsr_segments": ("Segments that were finished", lambda status: status.segments),
}
_BY_KIND: dict[str, tuple[str, str, Callable[[Status], dict[str, int]]]] = {
    "vidsr_frames_enlarged": ("Pictures by what enlarged them", "rung", lambda status: status.enlarged),
    "vidsr_frames_dropped": ("Packets and pictures left out", "reason", lambda status: status.dropped),
    "vidsr_timestamps_repaired": ("Time stamps repaired", "fault", lambda status: status.repaired),
}


class _Cameras(Collector):
    def __init__(self, views: Callable[[], list[View]]) -> None:
        self._views = views

    def collect(self) -> Iterator[Family]:
        """Every family; those of what has not happened are empty."""
        views = self._views()
        yield from _counters(views)
        yield from _gauges(views)
        yield _delays(views)


def exposition(views: Callable[[], list[View]]) -> bytes:
    """The text that Prometheus scrapes."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Cameras(views))
    return generate_latest(registry)


def _counters(views: Iterable[View]) -> Iterator[Family]:
    for name, (words, count) in _COUNTERS.items():
        family = CounterMetricFamily(name, words, labels=["camera"])
        for view in views:
            family.add_metric([view.name], count(view.total))
        yield family
    for name, (words, label, counts) in _BY_KIND.items():
        family = CounterMetricFamily(name, words, labels=["camera", label])
        for view in views:
            for kind, number in counts(view.total).items():
                family.add_metric([view.name, kind], number)
        yield family
    restarts = CounterMetricFamily("vidsr_process_restarts", "Processes behind the first", labels=["camera"])
    for view in views:
        restarts.add_metric([view.name], view.restarts)
    yield restarts


def _gauges(views: Iterable[View]) -> Iterator[Family]:
    flowing = GaugeMetricFamily("vidsr_flowing", "Whether enlarged pictures come out", labels=["camera"])
    states = GaugeMetricFamily("vidsr_state", "1 for the state it is in", labels=["camera", "state"])
    rung = GaugeMetricFamily("vidsr_rung", "1 for what enlarges now", labels=["camera", "rung"])
    target = GaugeMetricFamily("vidsr_target_ok", "Whether the target takes pictures", labels=["camera", "target"])
    free = GaugeMetricFamily("vidsr_disk_free_bytes", "Free bytes at the target", labels=["camera", "target"])
    now = time.monotonic()
    for view in views:
        flowing.add_metric([view.name], view.flows(now))
        for state in State:
            states.add_metric([view.name, state], state is view.total.state)
        for name in {*view.total.enlarged, view.total.rung} - {""}:
            rung.add_metric([view.name, name], name == view.total.rung)
        for name, words in view.total.targets.items():
            target.add_metric([view.name, name], words == "ok")
        for name, number in view.total.disk_free.items():
            free.add_metric([view.name, name], number)
    yield from (flowing, states, rung, target, free)


def _delays(views: Iterable[View]) -> Family:
    family = HistogramMetricFamily("vidsr_delay_seconds", "From arrival to writing", labels=["camera"])
    for view in views:
        total, buckets = 0, []
        for bound, number in zip([*map(str, DELAYS_S), "+Inf"], view.total.delays, strict=True):
            total += number
            buckets.append((bound, float(total)))
        family.add_metric([view.name], buckets, sum_value=view.total.delay_sum_s)
    return family
