"""A target fails: the others are not affected, and it recovers."""

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest
from kit.cameras import camera
from kit.networks import small_disk
from kit.recordings import decode_all, decode_file, frame_numbers, recordings
from kit.runs import RecordFigure, Run, stream
from kit.servers import silent
from kit.sinks import sink

pytestmark = [pytest.mark.fault, pytest.mark.slow]
FPS = 10


@pytest.mark.parametrize("scheme", ["rtmp", "rtsp"])
def test_a_silent_server_holds_nobody_up(quick: list[str], place: Path, figure: RecordFigure, scheme: str) -> None:
    with camera() as source, silent() as server:
        target = f"{scheme}://127.0.0.1:{server.port}/live/x"
        with stream(source.url, place, options=[*quick, "--also", target], folder=place.parent) as run:
            run.wait_for_frames()
            figure("frames per second", run.rate(15))
            assert len(server.calls) <= 10
            figure("calls", len(server.calls))
            assert run.number("vidsr_target_ok", f'target="{scheme}') == 0
            assert run.end() == 0
    numbers = frame_numbers(decode_all(place))
    figure("left out", numbers[-1] - numbers[0] + 1 - len(numbers))
    assert numbers[-1] - numbers[0] + 1 - len(numbers) <= 2


@pytest.mark.parametrize("scheme", ["rtmp", "rtsp"])
def test_a_server_that_was_killed_is_sent_to_again(
    quick: list[str], place: Path, figure: RecordFigure, tmp_path: Path, scheme: str
) -> None:
    with (
        camera() as source,
        sink(scheme, tmp_path) as server,
        stream(source.url, place, options=[*quick, "--also", server.url], folder=place.parent) as run,
    ):
        run.wait_until(lambda: server.bytes_received > 50_000, within_s=30, what="the server receives")
        server.kill()
        time.sleep(5)
        server.start()
        took_s = run.wait_until(lambda: server.bytes_received > 50_000, within_s=45, what="the server receives again")
        figure("receives again after s", took_s)
        assert run.end() == 0
    numbers = frame_numbers(decode_all(place))
    assert numbers == list(range(numbers[0], numbers[-1] + 1))


def test_a_disk_that_is_full_is_written_again_when_it_is_freed(
    quick: list[str], place: Path, figure: RecordFigure, tmp_path: Path
) -> None:
    with camera() as source, small_disk(tmp_path / "disk", 4) as disk:
        filler = disk / "filler"
        with stream(source.url, disk / "x", options=[*quick, "--also", str(place)], folder=tmp_path) as run:
            run.wait_until(lambda: bool(recordings(disk)), within_s=40, what="a segment on the small disk")
            kept = set(recordings(disk))
            run.wait_until(lambda: full(filler, run), within_s=20, what="it says that it is full")
            figure("frames per second", run.rate(5))
            filler.unlink()
            took_s = run.wait_until(
                lambda: bool(set(recordings(disk)) - kept), within_s=40, what="a new segment there"
            )
            figure("a new segment after s", took_s)
            assert run.end() == 0
        frame_numbers([decode_file(path) for path in recordings(disk)])
    numbers = frame_numbers(decode_all(place))
    assert numbers == list(range(numbers[0], numbers[-1] + 1))


def full(filler: Path, run: Run) -> bool:
    """Take all of the disk, and what was given up since; whether the run says that its target is full."""
    disk = os.statvfs(filler.parent)
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        for _ in range(disk.f_bfree + 1):
            file.write(bytes(disk.f_frsize))
    return run.number("vidsr_target_ok", "disk/x") == 0
