"""What /healthz says, of made-up cameras and while a stream runs."""

import json
import time
from dataclasses import replace
from pathlib import Path
from shutil import rmtree

import pytest
from kit.runs import Run, stream
from live.status_server import get, health, serving, status
from recorder_feed import camera_clip

from vidsr.live.status import State, Status


def test_it_has_failed_while_the_frames_of_a_camera_do_not_flow(tmp_path: Path) -> None:
    lost = status("back", grew_s=11, state=State.WAITING, reason="the camera refuses the password")
    with serving(tmp_path, status(), status("yard", grew_s=None)) as port:
        assert health(port)[:2] == (503, "failed")
    with serving(tmp_path, status(), lost) as port:
        reasons = {"front": [], "back": ["waiting, the camera refuses the password"]}
        assert health(port) == (503, "failed", reasons)
        page = get(port, "/")[1]
        assert "Cameras: 1 of 2 failed" in page
        assert "the camera refuses the password" in page
    with serving(tmp_path, status()) as port:
        assert health(port) == (200, "ok", {"front": []})
        assert "All cameras are upscaled" in get(port, "/")[1]


FRAMES = {"frames_in": 1500, "written": 1500, "upscaled": {"net": 1500}}


@pytest.mark.parametrize(
    ("counted", "state", "reason"),
    [
        (FRAMES, "ok", None),
        (FRAMES | {"dropped": {"late": 50, "sound out of place": 5000}}, "ok", None),
        (FRAMES | {"dropped": {"late": 500}}, "degraded", "25 % of the frames of the last minute were dropped"),
        (
            FRAMES | {"upscaled": {"net": 750, "swscale": 750}},
            "degraded",
            "50 % of the frames of the last minute were upscaled without a network",
        ),
        (FRAMES | {"missed": 1500}, "degraded", "50 % of the frames of the last minute never came"),
        (FRAMES | {"corrupt": 150}, "degraded", "10 % of the frames of the last minute were damaged"),
        (FRAMES | {"targets": {"rec": "ok", "rtmp://s": "no answer"}}, "degraded", "rtmp://s: no answer"),
        (FRAMES | {"targets": {"rec": "No space left on device"}}, "failed", "rec: No space left on device"),
        (
            {"frames_in": 10, "written": 10, "upscaled": {"swscale": 10}, "dropped": {"late": 9990}},
            "failed",
            "100 % of the frames of the last minute were dropped",
        ),
    ],
)
def test_health_has_three_states_and_says_why(
    tmp_path: Path, counted: dict[str, object], state: str, reason: str | None
) -> None:
    camera = replace(status(**counted), history=((time.monotonic() - 60, Status()), status(**counted).history[-1]))
    with serving(tmp_path, camera) as port:
        code, found, reasons = health(port)
        metrics, page = get(port, "/metrics")[1], get(port, "/")[1]
    assert (code, found) == (503 if state == "failed" else 200, state)
    assert reason is None or reason in reasons["front"]
    assert f'vidsr_health{{camera="front",health="{state}"}} 1.0' in metrics
    assert ("All cameras are upscaled" in page) == (state == "ok")
    assert reason is None or reason in page


def test_the_limits_are_those_of_the_settings(tmp_path: Path) -> None:
    counted = FRAMES | {"dropped": {"late": 500}}
    camera = replace(status(**counted), history=((time.monotonic() - 60, Status()), status(**counted).history[-1]))
    for limits, code, state in [
        ({"degraded_above": 30}, 200, "ok"),
        ({"degraded_above": 20}, 200, "degraded"),
        ({"failed_above": 20}, 503, "failed"),
    ]:
        with serving(tmp_path, replace(camera, **limits)) as port:
            assert health(port)[:2] == (code, state)


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
