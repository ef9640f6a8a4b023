"""What /healthz says while a stream runs, against what happens to it."""

import json
from pathlib import Path
from shutil import rmtree

from kit.runs import Run, stream
from recorder_feed import camera_clip


def state(run: Run) -> str:
    text = run.get("/healthz")[1]
    return str(json.loads(text)["state"]) if text else ""


def test_a_stream_whose_only_target_is_gone_has_failed_until_it_is_back(
    quick: list[str], place: Path, tmp_path: Path
) -> None:
    clip = camera_clip(tmp_path / "clip.mp4", seconds=40)
    place.mkdir()
    with stream(clip, place, options=[*quick, "--realtime"], folder=tmp_path) as run:
        run.wait_for_frames()
        assert (run.get("/healthz")[0], state(run)) == (200, "ok")
        rmtree(place)
        run.wait_until(lambda: state(run) == "failed", within_s=20, what="it has failed")
        assert run.get("/healthz")[0] == 503
        written, seen = run.written(), run.number("vidsr_frames_upscaled_total")
        run.wait_until(lambda: run.number("vidsr_frames_upscaled_total") > seen + 20, within_s=20, what="it goes on")
        assert run.written() == written
        place.mkdir()
        run.wait_until(lambda: state(run) == "ok", within_s=40, what="it is written again")
        assert run.number("vidsr_process_restarts_total") == 0
        assert "camera: failed; " in run.log


def test_a_stream_of_which_one_target_is_gone_is_degraded(quick: list[str], place: Path, tmp_path: Path) -> None:
    clip = camera_clip(tmp_path / "clip.mp4", seconds=30)
    options = [*quick, "--realtime", "--also", "rtmp://127.0.0.1:1/live/key"]
    with stream(clip, place, options=options, folder=tmp_path) as run:
        run.wait_for_frames()
        run.wait_until(lambda: state(run) == "degraded", within_s=30, what="it is degraded")
        code, text = run.get("/healthz")
        assert code == 200
        (reason,) = json.loads(text)["cameras"]["camera"]["reasons"]
        assert reason.startswith("rtmp://127.0.0.1:1: the server rejects the stream")
