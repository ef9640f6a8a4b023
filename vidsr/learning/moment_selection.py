"""Which moments are kept: those of the last days, and of too many the most different ones, spread over hours and days.

Two moments are as far apart as their pictures, their hours of the day and their days: pictures that are quite unlike
count as much as two hours, a day as much as six. Of the two nearest ones, the one that is nearer to others, in which
less moves, or which is less sharp, is deleted, until the rest fits. So quiet hours lose most, but none loses all.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Floats
from vidsr.learn_dir import LearnDir, Moment
from vidsr.learning.moment_survey import read_thumbnail
from vidsr.settings import LearnSettings
from vidsr.training.finetune.frame_selection import NOISE_LEVELS, picture_features

_GB = 1e9
_MAX_EXPIRED = 16
"""Moments deleted for their age per run: a clock that is wrong for a while must not cost all of them."""
_PICTURES_APART = 0.3  # root mean square of their features; cars on one road are 0.05 to 0.3 apart
_HOURS_APART, _DAYS_APART = 1 / 12, 1 / 3  # of a day
_NEIGHBOURS = 96  # moments before and after in time that one is compared with
_WITHOUT_MAIN = 0.25  # worth of a moment without main stream, where others have one


def thin_moments(learn_dir: LearnDir, settings: LearnSettings, *, now_s: float) -> list[Moment]:
    """Delete the moments that are too old or too many; returns them. Others may read the folder meanwhile."""
    removed = expired_moments(learn_dir.moments(), settings, now_s=now_s)
    for moment in removed:
        learn_dir.remove(moment.folder)
    moments = learn_dir.moments()
    if sum(moment.size for moment in moments) > settings.keep_gb * _GB:
        thumbnails = [read_thumbnail(moment.folder)[::2, ::2] for moment in moments]
        surplus = surplus_moments(moments, picture_features(thumbnails), settings)
        for moment in surplus:
            learn_dir.remove(moment.folder)
        removed += surplus
    return removed


def expired_moments(moments: Sequence[Moment], settings: LearnSettings, *, now_s: float) -> list[Moment]:
    """The moments that are too old, or of a day that has not come: the clock was wrong. The oldest few of them."""
    longest_s = settings.keep_days * settings.day_s
    return [each for each in moments if not -settings.day_s <= now_s - each.time_s <= longest_s][:_MAX_EXPIRED]


def surplus_moments(moments: Sequence[Moment], features: NDArray[np.float32], settings: LearnSettings) -> list[Moment]:
    """The moments, of those in order of time, without which the rest fits into `keep_gb`; (N, pixels) features."""
    worth, distances = _worth(moments), _distances(moments, features, settings.day_s)
    total, removed = sum(moment.size for moment in moments), list[Moment]()
    while total > settings.keep_gb * _GB and len(removed) + 1 < len(moments):
        row, first = (int(index) for index in np.unravel_index(distances.argmin(), distances.shape))
        distances[row, first] = np.inf
        pair = (first, first + row + 1)
        loser = min(pair, key=lambda index: worth[index] * _nearest(distances, index))
        removed.append(moments[loser])
        total -= moments[loser].size
        distances[:, loser] = np.inf
        distances[_pairs_before(distances, loser)] = np.inf
    return removed


def _nearest(distances: Floats, index: int) -> float:
    """The distance of a moment to the nearest other one."""
    return float(min(distances[:, index].min(), distances[_pairs_before(distances, index)].min(initial=np.inf)))


def _pairs_before(distances: Floats, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of the pairs whose second moment this is."""
    rows = np.arange(min(index, len(distances)))
    return rows, index - 1 - rows


def _worth(moments: Sequence[Moment]) -> Floats:
    motion = np.array([moment.motion for moment in moments])
    detail = np.array([moment.detail for moment in moments])
    has_main = np.array([moment.has_main for moment in moments])
    share = np.where(has_main | ~has_main.any(), 1.0, _WITHOUT_MAIN)
    worth: Floats = motion / (motion + NOISE_LEVELS) * detail * share
    return worth


def _distances(moments: Sequence[Moment], features: NDArray[np.float32], day_s: float) -> Floats:
    """(neighbours, N): the distance of each moment from the one 1, 2 and so on after it; infinite without one."""
    days = np.array([moment.time_s for moment in moments]) / day_s
    distances = np.full((min(_NEIGHBOURS, len(moments) - 1), len(moments)), np.inf)
    for row in range(len(distances)):
        apart = row + 1
        days_apart = np.abs(days[apart:] - days[:-apart])
        hours_apart = np.abs(days_apart - days_apart.round())
        pictures_apart = np.sqrt(np.square(features[apart:] - features[:-apart]).mean(axis=1))
        parts = (
            np.minimum(pictures_apart / _PICTURES_APART, 1),
            hours_apart / _HOURS_APART,
            days_apart.round() / _DAYS_APART,
        )
        distances[row, :-apart] = np.sqrt(sum(np.square(part) for part in parts))
    return distances
