"""A worker is killed, hangs or loses Ray: frames are back within seconds, none mixed or repeated."""

import signal
from pathlib import Path

import pytest
from kit.cameras import camera
from kit.processes import running
from kit.recordings import decode_all, frame_numbers
from kit.runs import BUSY_S, RecordFigure, running_stream

pytestmark = [pytest.mark.fault, pytest.mark.slow]
FAULTS = {
    "worker killed": ("ray::", signal.SIGKILL),
    "worker stopped": ("ray::", signal.SIGSTOP),
    "raylet killed": ("raylet/raylet", signal.SIGKILL),
    "camera's process killed": ("vidsr.live.camera_process", signal.SIGKILL),
    "camera's process stopped": ("vidsr.live.camera_process", signal.SIGSTOP),
}
SLOWLY_SEEN_S = {"camera's process stopped": 10.0}
"""The heartbeat that has to be missed first."""


@pytest.mark.parametrize("fault", FAULTS)
def test_frames_are_back_and_none_is_mixed(quick: list[str], place: Path, figure: RecordFigure, fault: str) -> None:
    words, number = FAULTS[fault]
    with camera() as source, running_stream(source.url, place, [*quick, "--workers", "1"]) as run:
        run.wait_for_frames(more=10)
        victims = running(run.mark, words)
        assert victims, f"no process {words}"
        for victim in victims:
            victim.send_signal(number)
        before = run.written()
        gap_s = (
            run.wait_until(lambda: run.written() < before + 1, within_s=1, what="") if number == signal.SIGSTOP else 0
        )
        figure("back after s", gap_s + run.wait_for_frames(within_s=10 + SLOWLY_SEEN_S.get(fault, 0) + BUSY_S, more=5))
        figure("workers replaced", int(run.number("vidsr_worker_restarts_total")))
        figure("processes replaced", int(run.number("vidsr_process_restarts_total")))
        run.wait_for_frames(more=10)
        assert run.end() == 0
    figure("frames", len(frame_numbers(decode_all(place))))
