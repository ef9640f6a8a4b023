"""The camera or its network fails: the loss is noticed and reported, and frames come back."""

import time
from pathlib import Path

import pytest
from kit.cameras import camera
from kit.networks import network
from kit.recordings import decode_all, frame_numbers
from kit.runs import BUSY_S, RecordFigure, Run, running_stream, stream
from kit.servers import silent

pytestmark = pytest.mark.fault
TIMEOUT_S = 2.0
"""The `--timeout` of the fixture `quick`."""


def stopped_flow(run: Run) -> bool:
    """Whether it knows that the camera is gone."""
    return run.number("vidsr_state", 'state="running"') == 0


def back_with_films(run: Run, place: Path) -> None:
    """Frames flow again; all that was recorded is whole, of one camera, in order."""
    run.wait_for_frames(within_s=10)
    assert run.end() == 0
    frame_numbers(decode_all(place))


@pytest.mark.parametrize(
    "away_s", [0, pytest.param(5, marks=pytest.mark.slow), pytest.param(30, marks=pytest.mark.slow)]
)
def test_a_camera_that_was_killed_is_back(quick: list[str], place: Path, figure: RecordFigure, away_s: float) -> None:
    with camera() as source, running_stream(source.url, place, quick) as run:
        source.kill()
        time.sleep(away_s)
        source.start()
        took_s = run.wait_for_frames(within_s=60)
        figure("back after s", took_s)
        figure("the last pause s", run.last_pause_s())
        assert took_s < run.last_pause_s() + 3 + BUSY_S
        back_with_films(run, place)


@pytest.mark.slow
def test_a_frozen_camera_is_noticed_and_back_when_it_thaws(
    quick: list[str], place: Path, figure: RecordFigure
) -> None:
    with camera() as source, running_stream(source.url, place, quick) as run:
        source.freeze()
        figure(
            "noticed after s", run.wait_until(lambda: stopped_flow(run), within_s=2 * TIMEOUT_S + 2, what="noticed")
        )
        time.sleep(5)
        source.resume()
        figure("back after s", run.wait_for_frames(within_s=10 + 3 + BUSY_S))
        back_with_films(run, place)


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_cut_cable_is_noticed_and_mended(
    quick: list[str], place: Path, figure: RecordFigure, transport: str
) -> None:
    with (
        network() as net,
        camera(host=net.host, inside=net.inside) as source,
        running_stream(source.url, place, [*quick, "--transport", transport]) as run,
    ):
        net.cut()
        figure(
            "noticed after s", run.wait_until(lambda: stopped_flow(run), within_s=2 * TIMEOUT_S + 2, what="noticed")
        )
        time.sleep(5)
        net.restore()
        figure("back after s", run.wait_for_frames(within_s=15 + 3 + BUSY_S))
        back_with_films(run, place)


@pytest.mark.slow
def test_a_server_that_never_answers_is_asked_with_pauses(quick: list[str], place: Path, figure: RecordFigure) -> None:
    with (
        silent() as server,
        stream(f"rtsp://127.0.0.1:{server.port}/cam", place, options=quick, folder=place.parent) as run,
    ):
        figure("said after s", run.wait_for_text("answer", within_s=2 * TIMEOUT_S + 15))
        time.sleep(3)
        figure("calls", len(server.calls))
        assert len(server.calls) <= 5
        assert not run.healthy()
        assert run.end() == 0


REFUSALS = {
    "no password": (("--auth", "viewer:secret"), "", ("401", "password", "unauthorized")),
    "a wrong password": (("--auth", "viewer:secret"), "viewer:hunter2@", ("401", "password", "unauthorized")),
    "another path": (("--mount", "/other"), "", ("404", "not found")),
    "sound alone": (("--audio-only",), "", ("no video", "no frame")),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSALS)
def test_what_a_camera_refuses_is_reported_in_words(
    quick: list[str], place: Path, figure: RecordFigure, case: str
) -> None:
    options, login, words = REFUSALS[case]
    with camera(*options) as source:
        url = source.url.replace("rtsp://", f"rtsp://{login}")
        with stream(url, place, options=quick, folder=place.parent) as run:
            figure("said after s", run.wait_for_text(*words, within_s=25))
            if "password" in case:
                assert_slow(run)
            assert "hunter2" not in run.log + run.get("/metrics")[1] + run.get("/healthz")[1] + run.get("/")[1]
            assert run.end() == 0


def assert_slow(run: Run) -> None:
    """It asks again after a minute, not before: many cameras lock the account."""
    refusals = run.log.count("401")
    time.sleep(8)
    assert run.log.count("401") == refusals


@pytest.mark.slow
def test_a_starved_link_is_waited_for_without_growth(quick: list[str], place: Path, figure: RecordFigure) -> None:
    with network() as net, camera(host=net.host, inside=net.inside) as source:
        net.starve(24)
        with stream(source.url, place, options=quick, folder=place.parent) as run:
            figure("said after s", run.wait_for_text("too little", "does not answer"))
            before = run.camera_process().memory_info().rss
            time.sleep(25)
            figure("attempts in 25 s", run.log.count("the next attempt"))
            assert run.log.count("the next attempt") <= 8
            grown_mb = (run.camera_process().memory_info().rss - before) / 1e6
            figure("grown by MB", grown_mb)
            assert grown_mb < 5
            assert run.end() == 0


@pytest.mark.slow
@pytest.mark.parametrize("percent", [1, 5, 20])
def test_lost_datagrams_are_counted_and_survived(
    quick: list[str], place: Path, figure: RecordFigure, percent: int
) -> None:
    with (
        network() as net,
        camera("--key-int", "5", fps=25, host=net.host, inside=net.inside) as source,
        running_stream(source.url, place, [*quick, "--transport", "udp"]) as run,
    ):
        net.lose(percent)
        time.sleep(20)
        counted = sum(
            run.number(f"vidsr_{name}_total") for name in ("frames_corrupt", "frames_dropped", "frames_missed")
        )
        figure("written", int(run.written()))
        figure("corrupt, dropped or missed", int(counted))
        assert run.number("vidsr_process_restarts_total") == 0
        assert counted > 0
        run.wait_for_frames()
        assert run.end() == 0
    files = decode_all(place)
    frame_numbers(
        files, unread=sum(len(file.marks) for file in files)
    )  # damage that the decoder hides may hide the mark
