"""A stop or a kill in every state: complete files, the right exit code, nothing left behind."""

import signal
import time
from pathlib import Path

import psutil
import pytest
from kit.cameras import camera
from kit.processes import leftovers, run_processes
from kit.recordings import decode_all, frame_numbers
from kit.runs import RecordFigure, Run, running_stream, stream
from kit.servers import free_port, silent

pytestmark = pytest.mark.fault


def stop(run: Run, figure: RecordFigure, number: int = signal.SIGTERM) -> None:
    """It ends in order within 10 s, and nothing is left."""
    began = time.monotonic()
    assert run.end(number) == 0
    figure("ended after s", time.monotonic() - began)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_stopped_while_it_runs(quick: list[str], place: Path, figure: RecordFigure, number: int) -> None:
    with camera() as source, running_stream(source.url, place, quick) as run:
        run.wait_for_frames(more=15)
        stop(run, figure, number)
    assert len(frame_numbers(decode_all(place))) >= 15


@pytest.mark.slow
def test_stopped_with_workers(quick: list[str], place: Path, figure: RecordFigure) -> None:
    with camera() as source, running_stream(source.url, place, [*quick, "--workers", "1"]) as run:
        run.wait_for_frames(more=15)
        stop(run, figure)
    assert len(frame_numbers(decode_all(place))) >= 15


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.0, 4.0])
def test_stopped_while_it_starts(quick: list[str], place: Path, figure: RecordFigure, seconds: float) -> None:
    with camera() as source, stream(source.url, place, options=quick, folder=place.parent) as run:
        time.sleep(seconds)
        run.process.send_signal(signal.SIGTERM)
        code = run.process.wait(15)
        figure("exit code", code)
        assert code in (0, -signal.SIGTERM, 128 + signal.SIGTERM)  # before it has set itself up, as any process
        assert not leftovers(run.mark, run.before)


def test_stopped_while_it_connects(quick: list[str], place: Path, figure: RecordFigure) -> None:
    options = [*quick, "--timeout", "20"]
    with (
        silent() as server,
        stream(f"rtsp://127.0.0.1:{server.port}/cam", place, options=options, folder=place.parent) as run,
    ):
        run.wait_until(lambda: bool(server.calls), within_s=30, what="it connects")
        stop(run, figure)


@pytest.mark.slow
def test_stopped_while_it_waits(quick: list[str], place: Path, figure: RecordFigure) -> None:
    with stream(f"rtsp://127.0.0.1:{free_port()}/cam", place, options=quick, folder=place.parent) as run:
        run.wait_until(lambda: run.number("vidsr_state", 'state="waiting"') == 1, within_s=30, what="it waits")
        stop(run, figure)


@pytest.mark.slow
def test_stopped_while_the_camera_is_frozen(quick: list[str], place: Path, figure: RecordFigure) -> None:
    with camera() as source, running_stream(source.url, place, [*quick, "--timeout", "20"]) as run:
        source.freeze()
        time.sleep(1)
        stop(run, figure)
    frame_numbers(decode_all(place))


@pytest.mark.slow
def test_a_second_signal_forces(quick: list[str], place: Path, figure: RecordFigure) -> None:
    with camera() as source, running_stream(source.url, place, quick) as run:
        run.camera_process().send_signal(signal.SIGSTOP)
        run.process.send_signal(signal.SIGTERM)
        time.sleep(1)
        began = time.monotonic()
        assert run.end(signal.SIGTERM, within_s=5) == 128 + signal.SIGTERM
        figure("ended after s", time.monotonic() - began)


@pytest.mark.slow
def test_a_camera_process_that_does_not_stop_is_killed(quick: list[str], place: Path, figure: RecordFigure) -> None:
    with camera() as source, running_stream(source.url, place, quick) as run:
        run.camera_process().send_signal(signal.SIGSTOP)
        stop(run, figure)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_killed_supervisor_leaves_whole_files_and_nothing_else(
    quick: list[str], place: Path, figure: RecordFigure, workers: str
) -> None:
    options = [*quick, "--workers", workers]
    with camera() as source:
        with running_stream(source.url, place, options) as run:
            run.wait_for_frames(more=40)
            run.process.kill()
            run.process.wait(5)
            figure("orphans gone after s", gone(run))
            before = run.before
        with running_stream(source.url, place, options) as run:
            run.wait_for_frames(more=10)
            run.before.intersection_update(before)
            assert run.end() == 0
    figure("frames", len(frame_numbers(decode_all(place))))


@pytest.mark.slow
def test_everything_killed_at_once_loses_the_last_fragment_at_most(
    quick: list[str], place: Path, figure: RecordFigure
) -> None:
    options = [*quick, "--segment", "600"]
    with camera() as source:
        with running_stream(source.url, place, options) as run:
            run.wait_for_frames(more=60)
            written, before = run.written(), run.before
            for process in run_processes(run.mark):
                process.kill()
            psutil.wait_procs(list(run_processes(run.mark)), timeout=5)
        with running_stream(source.url, place, options) as run:
            run.wait_for_frames(more=10)
            run.before.intersection_update(before)
            assert run.end() == 0
    first, *_ = files = decode_all(place)
    frame_numbers(files)
    figure("frames lost", int(written) - len(first.marks))
    assert len(first.marks) >= written - 25  # a fragment of a second, what was on its way, and the metric's own second


def gone(run: Run) -> float:
    """Seconds until no process of the run is left."""
    began = time.monotonic()
    while list(run_processes(run.mark)):
        assert time.monotonic() < began + 20, f"still there: {leftovers(run.mark, run.before)}"
        time.sleep(0.1)
    return time.monotonic() - began
