"""The ladder of networks: which rung upscales the next frame, so that frames stay within the delay limit."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vidsr.live.learned_network import SceneNetwork
from vidsr.media.compression_probe import Compression
from vidsr.model.weights import Weights, with_strength
from vidsr.model.zoo import load_model, model_names
from vidsr.model_selection import AUTO, CHEAP_FAMILY, USUAL_FAMILY, select_family, select_model
from vidsr.settings import StreamSettings

_FITS, _TOO_COSTLY = 0.8, 0.98  # cost per frame interval to step up below, and down above
_CALM, _DELAYED, _LATE, _DROP = 0.3, 0.35, 0.7, 0.9  # shares of the delay limit
_CALM_S = 2.0
_CATCH_UP_S = 2.0
_SETTLE_S = 0.4  # until a change takes effect on the frames in work
_GRACE_S = 3.0  # a camera sends buffered frames and networks are compiled: neither counts as load
_DROPPING_S = 5.0
_LASTING_S = 30.0
_MIN_HOLD_S, _MAX_HOLD_S, _HOLD_FACTOR = 10.0, 300.0, 3.0
_MAX_COST_SHARE = 0.7
"""The highest cost, relative to the rung above, that is worth a rung."""
_MIN_FRAMES = 5  # after which the cost of a rung is known


@dataclass(kw_only=True)
class _Rung:
    """A rung and its measured cost."""

    name: str
    cost_s: float = 0.0
    """Seconds per frame, as a moving average."""
    frames: int = 0
    """Frames since the last step to this rung."""
    cost_ratio: float = 1.0
    """Cost relative to the rung below, as last measured."""

    def learn(self, cost_s: float) -> None:
        if self.frames:  # the first one may include the compilation of the network
            self.cost_s += (cost_s - self.cost_s) * max(1 / self.frames, 1 / 16)
        self.frames += 1


class QualityLadder:
    """Selects the rung for the next frame; `rungs` come best first.

    It steps down by one rung when frames are late or soon will be; on the last rung `should_drop` says when to drop
    undecoded packets. It steps up when the estimated cost of the rung above fits into the frame interval. A rung that
    does not fit is retried after 10 s at first and after at most 5 minutes, as its cost may have changed. `on_warning`
    receives each change with its reason. Thread-safe.
    """

    def __init__(self, rungs: Sequence[str], max_delay_s: float, *, on_warning: Callable[[str], None]) -> None:
        self._rungs = [_Rung(name=name) for name in rungs]
        self._max_delay_s, self._on_warning = max_delay_s, on_warning
        self._index = 0
        self._frame_interval_s = 0.0  # of the source
        self._time_s: float | None = None
        self._delay_s = 0.0
        self._hold_s = _MIN_HOLD_S
        self._expected_fit: bool | None = None  # whether the last step up was expected to fit; None once it has held
        self._upper_rung: _Rung | None = None  # the rung before a step down, until the cost of the lower one is known
        self._begun_s = self._changed_s = self._dropped_s = -_MAX_HOLD_S
        self._delayed_at_s = self._no_fit_until_s = -_MAX_HOLD_S
        self._delay_mark = (0.0, 0.0)  # the time and the delay of the last check
        self._is_late = False
        self._lock = threading.Lock()

    @property
    def best_rung(self) -> str:
        """The rung that is used while the load allows it."""
        return self._rungs[0].name

    @property
    def rung(self) -> str:
        """The rung for the next frame."""
        return self._rungs[self._index].name

    def replace_rungs(self, rungs: Sequence[str]) -> None:
        """Go on with other rungs, best first; those in the places of earlier ones are taken to cost as much."""
        with self._lock:
            if len(rungs) == len(self._rungs):
                for rung, name in zip(self._rungs, rungs, strict=True):
                    rung.name = name
                return
            self._index = min(self._index, len(rungs) - 1)
            self._rungs = [_Rung(name=name) for name in rungs]
            self._upper_rung = self._expected_fit = None

    def is_dropping(self, now_s: float) -> bool:
        """Whether packets were dropped in the last seconds, because even the last rung is too slow."""
        return now_s - self._dropped_s < _DROPPING_S

    def begin(self, now_s: float) -> None:
        """A connection or a new format begins: delays in the next few seconds are not caused by load."""
        with self._lock:
            self._begun_s, self._time_s, self._delay_s = now_s, None, 0.0

    def record(self, *, now_s: float, rung: str, time_s: float, delay_s: float, cost_s: float) -> None:
        """Record a written frame: its source time `time_s`, and `delay_s` from its arrival to now.

        `cost_s` is the time of the busiest stage; with several workers, the seconds of a worker divided by their
        number. It is the shortest frame interval that the rung can sustain.
        """
        with self._lock:
            if self._time_s is not None and time_s > self._time_s:
                interval_s = time_s - self._time_s
                usual_s = self._frame_interval_s or interval_s
                self._frame_interval_s = usual_s + (min(interval_s, 3 * usual_s) - usual_s) / 32
            self._time_s, self._delay_s = time_s, delay_s
            self._learn(rung, cost_s)
            self._update(now_s, delay_s)

    def should_drop(self, *, now_s: float, queue_age_s: float) -> bool:
        """Whether to drop the undecoded packets, the oldest of which has waited for `queue_age_s`.

        To be called before each packet, and also while no frame is written, so that the ladder detects a stall.
        """
        with self._lock:
            behind_s = max(queue_age_s, self._delay_s)
            self._update(now_s, behind_s)
            longest_s = self._max_delay_s + (_GRACE_S if self._is_starting(now_s) else 0)
            # The last delay covers the frames in work, but after a drop it is out of date: the queue must be old, too.
            if not self._is_lowest() or behind_s <= _DROP * longest_s or queue_age_s <= longest_s / 2:
                return False
            if not self.is_dropping(now_s):
                self._on_warning(
                    f"dropping what waits to be decoded: {queue_age_s:.1f} s behind, and nothing is cheaper"
                )
            self._dropped_s = now_s
            return True

    def _is_lowest(self) -> bool:
        return self._index == len(self._rungs) - 1

    def _is_starting(self, now_s: float) -> bool:
        return now_s - self._begun_s < _GRACE_S

    def _learn(self, name: str, cost_s: float) -> None:
        rung = next((rung for rung in self._rungs if rung.name == name), None)
        if rung is None:  # a frame of a network that was replaced since
            return
        rung.learn(cost_s)
        if rung is not self._rungs[self._index] or rung.frames != _MIN_FRAMES or not rung.cost_s:
            return
        if self._upper_rung:
            self._upper_rung.cost_ratio = self._upper_rung.cost_s / rung.cost_s
        elif self._expected_fit is not None and (below := self._rungs[self._index + 1]).cost_s:
            rung.cost_ratio = rung.cost_s / below.cost_s
        self._upper_rung = None

    def _update(self, now_s: float, behind_s: float) -> None:
        """Step down or up where needed."""
        rung, longest_s = self._rungs[self._index], self._max_delay_s
        # Some frames are in work even without load.
        if behind_s > max(_CALM * longest_s, min(5 * self._frame_interval_s, _LATE * longest_s)):
            self._delayed_at_s = now_s
        self._check_lateness(now_s, behind_s)
        is_slow = rung.frames >= _MIN_FRAMES and rung.cost_s > _TOO_COSTLY * self._frame_interval_s > 0
        is_warm = rung.frames >= _MIN_FRAMES or not self._is_starting(now_s)
        if not self._is_lowest() and ((is_slow and behind_s > _DELAYED * longest_s) or (self._is_late and is_warm)):
            self._step_down(now_s, behind_s)
        elif self._index and min(now_s - self._delayed_at_s, now_s - self._changed_s) > _CALM_S:
            self._maybe_step_up(now_s, rung)
        if self._expected_fit is not None and now_s - self._changed_s > _LASTING_S:
            self._expected_fit, self._hold_s = None, _MIN_HOLD_S

    def _check_lateness(self, now_s: float, behind_s: float) -> None:
        """Detect a delay that is too long and will not recover within 2 s."""
        marked_s, then_s = self._delay_mark
        over_s = behind_s - _LATE * self._max_delay_s
        if over_s <= 0:
            self._delay_mark, self._is_late = (marked_s, 0.0), False
        elif now_s - marked_s >= _SETTLE_S:
            self._delay_mark = (now_s, behind_s)
            self._is_late = over_s > (then_s - behind_s) / (now_s - marked_s) * _CATCH_UP_S

    def _maybe_step_up(self, now_s: float, rung: _Rung) -> None:
        """Step up if the rung above fits, or to retry it."""
        if self.is_dropping(now_s) or rung.frames < _MIN_FRAMES:
            return
        fits = rung.cost_s * self._rungs[self._index - 1].cost_ratio < _FITS * self._frame_interval_s
        if (fits and now_s > self._no_fit_until_s) or now_s - self._changed_s > self._hold_s:
            self._expected_fit = fits
            self._change(self._index - 1, now_s, "there is room" if fits else "to see whether there is room")

    def _step_down(self, now_s: float, behind_s: float) -> None:
        rung = self._rungs[self._index]
        self._delay_mark, self._is_late = (now_s, behind_s), False
        self._upper_rung = rung if rung.frames >= _MIN_FRAMES else None
        if self._expected_fit is not None:
            if self._expected_fit:
                self._no_fit_until_s = now_s + self._hold_s
            self._hold_s = min(self._hold_s * _HOLD_FACTOR, _MAX_HOLD_S)
            if below_s := self._rungs[self._index + 1].cost_s:  # it did not fit, against the measured cost
                rung.cost_ratio, self._upper_rung = max(rung.cost_s, self._frame_interval_s) / below_s, None
        self._expected_fit = None
        self._change(self._index + 1, now_s, f"{behind_s:.2f} s behind")

    def _change(self, index: int, now_s: float, reason: str) -> None:
        self._on_warning(f"{self._rungs[index].name} instead of {self._rungs[self._index].name}: {reason}")
        self._index, self._changed_s = index, now_s
        self._rungs[index].frames = 0


class ModelLadder:
    """The networks of a camera, from which each connection selects. Raises ModelError for a missing one."""

    def __init__(self, settings: StreamSettings) -> None:
        self._strength = settings.strength
        self._named = None if settings.model == AUTO else settings.model
        self._loaded: dict[str, Weights] = {}  # cached: a pool compares networks by identity
        self._learned: tuple[SceneNetwork, Weights] | None = None  # the last one, likewise
        if self._named:
            self._loaded[self._named] = with_strength(load_model(self._named, settings.scale), settings.strength)
            self.scale = self._loaded[self._named].architecture.scale
        else:
            self.scale = settings.scale or 2
            self._load(f"{self._families[0]}-x{self.scale}")

    @property
    def default(self) -> Weights:
        """The network to open a pool with, before the first frame."""
        return next(iter(self._loaded.values()))

    def networks(self, compression: Compression, learned: SceneNetwork | None = None) -> dict[str, Weights]:
        """The networks by name, best first, that suit the compression of a stream; a `learned` one goes before all."""
        families = [CHEAP_FAMILY] if self._named else self._families
        names = [self._named] if self._named else []
        names += [self._select(compression, family) for family in families]
        found: dict[str, Weights] = {}
        if learned and learned.weights.architecture.scale == self.scale:
            if self._learned is None or self._learned[0] is not learned:
                self._learned = learned, with_strength(learned.weights, self._strength)
            found[learned.name] = self._learned[1]
        for name in names:
            weights = self._load(name)
            above = [other.architecture.multiplies for other in found.values()]
            if not above or weights.architecture.multiplies <= _MAX_COST_SHARE * above[-1]:
                found[name] = weights
        return found

    @property
    def _families(self) -> list[str]:
        best = select_family(None, scale=self.scale, names=model_names())
        return list(dict.fromkeys((best, USUAL_FAMILY, CHEAP_FAMILY)))

    def _select(self, compression: Compression, family: str) -> str:
        return select_model(compression, still=False, scale=self.scale, names=model_names(), family=family).model

    def _load(self, name: str) -> Weights:
        if name not in self._loaded:
            self._loaded[name] = with_strength(load_model(name), self._strength)
        return self._loaded[name]
