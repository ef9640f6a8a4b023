"""Two cameras in one configuration: the failure of one does not affect the frame rate of the other."""

import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from kit.cameras import Camera, camera
from kit.processes import running
from kit.recordings import decode_all, frame_numbers
from kit.runs import RecordFigure, Run, stream

pytestmark = [pytest.mark.fault, pytest.mark.slow]
WATCHED_S = 15.0
GOOD, BAD = 1, 2
"""The numbers of the cameras."""


def write_config(path: Path, urls: dict[str, str], model: str) -> None:
    lines = ["[defaults]", f'model = "{model}"', "workers = 0", "segment = 2", "timeout = 2.0", 'preset = "ultrafast"']
    lines += ["max-delay = 5.0", "min-free-gb = 0.0"]
    for name, url in urls.items():
        lines += [f"[cameras.{name}]", f'source = "{url}"', f'targets = ["{path.parent / name}"]']
    path.write_text("\n".join(lines))


def kill_its_process(run: Run, source: Camera) -> None:
    (victim,) = [process for process in running(run.mark, "vidsr.live.camera_process") if connected(process, source)]
    victim.send_signal(signal.SIGKILL)


def connected(process: psutil.Process, source: Camera) -> bool:
    """Whether this process has a connection to the camera."""
    listed = process.net_connections("tcp")
    return any(connection.raddr and connection.raddr.port == source.port for connection in listed)


FAULTS: dict[str, Callable[[Run, Camera], None]] = {
    "camera killed": lambda _run, source: source.kill(),
    "camera frozen": lambda _run, source: source.freeze(),
    "process killed": kill_its_process,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_other_camera_does_not_notice(tiny_model: str, tmp_path: Path, figure: RecordFigure, fault: str) -> None:
    config = tmp_path / "cameras.toml"
    with camera("--number", str(GOOD)) as good, camera("--number", str(BAD)) as bad:
        write_config(config, {"good": good.url, "bad": bad.url}, tiny_model)
        with stream(options=["--config", str(config)], folder=tmp_path) as run:
            run.wait_for_frames(camera='camera="good"')
            run.wait_for_frames(camera='camera="bad"')
            before = run.rate(WATCHED_S, 'camera="good"')
            FAULTS[fault](run, bad)
            during = run.rate(WATCHED_S, 'camera="good"')
            figure("frames per second before", before)
            figure("and during", during)
            assert during > 0.95 * before
            assert run.end() == 0
    numbers = frame_numbers(decode_all(tmp_path / "good"), camera=GOOD)
    frame_numbers(decode_all(tmp_path / "bad"), camera=BAD)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
