"""What a camera has counted over all of its processes."""

import dataclasses

from vidsr.live.status import Status

Counts = dict[str, int]


def added(earlier: Status, newest: Status) -> Status:
    """The newest status with what was counted earlier on top, so that no count goes back when a process restarts.

    Raises ValueError when they hold histograms of different lengths.
    """
    return dataclasses.replace(
        newest,
        frames_in=earlier.frames_in + newest.frames_in,
        corrupt=earlier.corrupt + newest.corrupt,
        enlarged=_summed(earlier.enlarged, newest.enlarged),
        written=earlier.written + newest.written,
        dropped=_summed(earlier.dropped, newest.dropped),
        missed=earlier.missed + newest.missed,
        repaired=_summed(earlier.repaired, newest.repaired),
        connects=earlier.connects + newest.connects,
        worker_restarts=earlier.worker_restarts + newest.worker_restarts,
        bytes_written=earlier.bytes_written + newest.bytes_written,
        segments=earlier.segments + newest.segments,
        delays=[before + since for before, since in zip(earlier.delays, newest.delays, strict=True)],
        delay_sum_s=earlier.delay_sum_s + newest.delay_sum_s,
    )


def _summed(earlier: Counts, newest: Counts) -> Counts:
    return {name: earlier.get(name, 0) + newest.get(name, 0) for name in {**earlier, **newest}}
