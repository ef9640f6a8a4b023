"""Moments of a drawn scene, as a camera has collected them: enough to learn from."""

import time

from training.recordings import RATE, record, scene

from vidsr.learn_dir import MOMENT_SOURCE, LearnDir, Moment

HOURS_AGO = (40, 39, 38, 3, 2)
"""Three moments of yesterday, and two of today."""
_FRAMES = 30  # of each


def write_drawn_moments(learn_dir: LearnDir) -> None:
    """Write the moments, which have no main stream."""
    frames, times = scene(_FRAMES * len(HOURS_AGO)), [number / RATE for number in range(_FRAMES)]
    for number, hours in enumerate(HOURS_AGO):
        time_s = time.time() - 3600 * hours
        folder = learn_dir.moment_folder(time_s)
        folder.mkdir(parents=True)
        record(folder / MOMENT_SOURCE, frames[_FRAMES * number : _FRAMES * (number + 1)], times, 20)
        learn_dir.write_moment(
            Moment(folder=folder, time_s=time_s, has_main=False, motion=2.0, detail=3.0, size=100_000)
        )
