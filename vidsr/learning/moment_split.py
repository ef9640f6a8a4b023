"""The split of the moments of a camera: which of them teach a network, and which prove it.

The newest day proves what the days before taught: all of its hours, in all of their light. With one day alone, every
fourth hour does, from the newest one on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from vidsr.learn_dir import Moment

_MIN_TRAINING, _MIN_HELD_OUT = 3, 2
_HOURS_PER_DAY = 24
_EVERY = 4  # hours
_MAX_HELD_OUT = 12  # moments; each takes seconds to score


class NothingToLearn(Exception):
    """There is too little to learn from; the text says what there is, and what is needed."""


@dataclass(frozen=True, kw_only=True)
class MomentSplit:
    """The moments that teach, and those that prove, in order of time."""

    training: tuple[Moment, ...]
    held_out: tuple[Moment, ...]
    held_out_part: str
    """What the latter are of: "the newest day"."""

    @property
    def is_enough(self) -> bool:
        """Whether a network can be learned and proved."""
        return len(self.training) >= _MIN_TRAINING and len(self.held_out) >= _MIN_HELD_OUT


def split_moments(moments: Sequence[Moment], day_s: float) -> MomentSplit | None:
    """The split of the moments; None if they are too few, or of one hour. A day has `day_s` seconds."""
    ordered = sorted(moments, key=lambda moment: moment.time_s)
    splits = (_split(ordered, day_s, part) for part in ("the newest day", "every fourth hour"))
    return next((split for split in splits if split.is_enough), None)


def require_split(moments: Sequence[Moment], day_s: float) -> MomentSplit:
    """As `split_moments`. Raises NothingToLearn where there is no split."""
    if split := split_moments(moments, day_s):
        return split
    least = _MIN_TRAINING + _MIN_HELD_OUT
    have = "1 moment" if len(moments) == 1 else f"{len(moments)} moments"
    if len(moments) < least:
        raise NothingToLearn(f"{have} of the scene, and {least} or more are needed")
    raise NothingToLearn(
        f"{have} of the scene, of too few hours; those of {_EVERY + 1} hours or of two days are needed"
    )


def thin(moments: Sequence[Moment], count: int) -> list[Moment]:
    """At most `count` moments in order of time: of each equal share of them the one in which most moves."""
    ordered = sorted(moments, key=lambda moment: moment.time_s)
    if len(ordered) <= count:
        return ordered
    edges = [round(number * len(ordered) / count) for number in range(count + 1)]
    return [max(ordered[first:until], key=lambda moment: moment.motion) for first, until in pairwise(edges)]


def _split(ordered: Sequence[Moment], day_s: float, part: str) -> MomentSplit:
    hour_s = day_s / _HOURS_PER_DAY
    training, held_out = list[Moment](), list[Moment]()
    for moment in ordered:
        age_s = ordered[-1].time_s - moment.time_s
        if part == "the newest day":
            if age_s < day_s:
                held_out.append(moment)
            elif age_s >= day_s + hour_s:  # neighbours of the newest day are too similar to it
                training.append(moment)
        else:
            (training if int(age_s / hour_s) % _EVERY else held_out).append(moment)
    return MomentSplit(training=tuple(training), held_out=tuple(thin(held_out, _MAX_HELD_OUT)), held_out_part=part)
