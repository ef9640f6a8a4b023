"""SIGHUP: the file of cameras is read again, and only the cameras that changed notice."""

import signal
from pathlib import Path

from kit.processes import running
from kit.recordings import decode_all, frame_numbers
from kit.runs import BUSY_S, Run, stream
from kit.servers import http
from kit.transport import Kind, mpeg_ts

FIRST = '[cameras.{0}]\nsource = "{1}"\ntargets = ["{2}"]\n'


def pids(run: Run) -> set[int]:
    """The processes of the cameras."""
    return {process.pid for process in running(run.mark, "vidsr.live.camera_process")}


def test_cameras_come_and_go_while_the_others_lose_no_frame(tiny_model: str, tmp_path: Path) -> None:
    file = tmp_path / "cameras.toml"
    defaults = f'[defaults]\nmodel = "{tiny_model}"\nworkers = 0\ntimeout = 2\nmin-free-gb = 0\nmax-delay = 20\n'
    with http(lambda: mpeg_ts(Kind())) as kept, http(lambda: mpeg_ts(Kind(camera=1))) as other:
        stays = FIRST.format("stays", kept, tmp_path / "stays")
        file.write_text(defaults + stays + FIRST.format("goes", other, tmp_path / "shared"))
        with stream(options=["--config", str(file)], folder=tmp_path) as run:
            run.wait_for_frames(camera="stays")
            run.wait_for_frames(camera="goes")
            before = pids(run)
            file.write_text(defaults + stays + FIRST.format("new", other, tmp_path / "shared"))
            run.process.send_signal(signal.SIGHUP)
            run.wait_for_frames(camera="new", within_s=20 + BUSY_S)
            (left,) = before & pids(run)
            assert len(pids(run)) == 2
            assert "goes" not in run.get("/healthz")[1]
            file.write_text(defaults + stays + FIRST.format("new", other, tmp_path / "shared") + "crf = 24\n")
            run.process.send_signal(signal.SIGHUP)
            run.wait_for_text("ended: new; begun: new")
            file.write_text(file.read_text() + 'segment = "long"\n')
            run.process.send_signal(signal.SIGHUP)
            line = len(file.read_text().splitlines())
            run.wait_for_text(f"{file}: new: segment must be a number (line {line}); nothing is changed")
            run.wait_for_frames(camera="new", within_s=20 + BUSY_S)
            run.wait_for_frames(camera="stays")
            assert left in pids(run)
            assert run.end() == 0
    numbers = frame_numbers(decode_all(tmp_path / "stays"))
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    frame_numbers(decode_all(tmp_path / "shared"), camera=1)
