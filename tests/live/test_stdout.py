"""The standard output as a target: MPEG-TS for a program that reads it."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import av
import pytest
from fork_server import ForkedPython
from kit.servers import http
from kit.transport import Kind, mpeg_ts

from vidsr.cli import main
from vidsr.errors import TARGET


@contextmanager
def streaming(url: str, options: list[str], *targets: str) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "vidsr", "stream", url, *targets, *options]
    process = ForkedPython(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("reader", ["ends", "asks it to stop"])
def test_a_program_reads_the_upscaled_stream(quick: list[str], reader: str) -> None:
    with http(lambda: mpeg_ts(Kind())) as url, streaming(url, quick, "-") as process:
        assert process.stdout
        assert process.stderr
        data = process.stdout.read(120_000)
        if reader == "ends":
            process.stdout.close()
            assert process.wait(20) == TARGET
            assert _sentences(process.stderr.read()) == ["vidsr: standard output: the program that reads it has ended"]
        else:
            process.send_signal(signal.SIGTERM)
            data += process.stdout.read()
            assert process.wait(20) == 0
        assert b"Traceback" not in process.stderr.read()
    with av.open(BytesIO(data), format="mpegts") as video:
        frames = list(video.decode(video=0))
        assert video.streams.video[0].codec_context.name == "h264"
    assert len(frames) > 5
    source = Kind()
    assert (frames[0].width, frames[0].height) == (2 * source.size[0], 2 * source.size[1])


def test_a_recording_goes_on_without_the_reader(quick: list[str], place: Path) -> None:
    with http(lambda: mpeg_ts(Kind())) as url, streaming(url, quick, "-", "--also", str(place)) as process:
        assert process.stdout
        process.stdout.read(20_000)
        process.stdout.close()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stderr
        told = [line for line in _sentences(process.stderr.read()) if "standard output" in line]
    assert told[0].endswith("standard output: the program that reads it has ended; it is written no more")
    assert not any("retrying" in line for line in told)
    assert list(place.glob("*/*.mp4"))


def test_a_file_of_cameras_has_no_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "cameras.toml"
    file.write_text('[cameras.gate]\nsource = "rtsp://camera/1"\ntargets = ["-"]\n')
    assert main(["stream", "--config", str(file), "--check"]) == 2
    assert f"{file}: gate: targets: - is the standard output" in capsys.readouterr().err


def test_a_terminal_and_a_closed_standard_output_are_refused() -> None:
    command = [sys.executable, "-m", "vidsr", "stream", "udp://127.0.0.1:9", "-"]
    ours, terminal = pty.openpty()
    done = subprocess.run(command, stdout=terminal, stderr=subprocess.PIPE, text=True, timeout=20)
    os.close(terminal)
    os.close(ours)
    assert (done.returncode, done.stderr) == (2, "vidsr: - is a terminal; pipe it into a program or a file\n")
    shell = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    done = subprocess.run(shell, stderr=subprocess.PIPE, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (4, "vidsr: standard output is closed\n")


def test_a_standard_output_that_is_full_ends_it_with_one_sentence(quick: list[str]) -> None:
    command = [sys.executable, "-m", "vidsr", "stream"]
    with http(lambda: mpeg_ts(Kind())) as url, open("/dev/full", "wb") as full:
        done = subprocess.run([*command, url, "-", *quick], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
    sentence = "vidsr: camera: standard output: nothing can be written (No space left on device)"
    assert (done.returncode, _sentences(done.stderr.encode())) == (TARGET, [sentence])


def _sentences(stderr: bytes) -> list[str]:
    """What was printed, but for the networks that a busy machine changes to."""
    return [line for line in stderr.decode().splitlines() if " instead of " not in line and " dropping " not in line]


def test_without_a_main_stream_the_missing_options_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", "udp://127.0.0.1:9", "-", "--learn"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("vidsr: --main missing: ")
    assert "needs --original and a folder" in message
