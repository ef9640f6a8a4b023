"""Standard input and output: yuv4mpegpipe and other containers, with the real ffmpeg on both sides."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from shutil import which

import av
import numpy as np
import pytest
from commands import DAMAGED, SOURCE, TARGET, USAGE, Command, Refused, descriptor, run_between_pipes
from footage import make_video, scene_frames
from fork_server import ForkedPython, run_forked
from made import make_clip
from oracles import read_with_av, samples

from vidsr.media.encoders import _Y4M_FORMATS

needs_ffmpeg = pytest.mark.skipif(which("ffmpeg") is None, reason="ffmpeg is not installed")
RAW = ["-strict", "-1", "-f", "yuv4mpegpipe", "-"]


def run(model: str, *words: str | Path, **streams: object) -> subprocess.CompletedProcess[bytes]:
    """`vidsr upscale` with the small network and without Ray, in a process of its own."""
    command = [sys.executable, "-m", "vidsr", "upscale", "--model", model, "--workers", "0", *map(str, words)]
    return run_forked(command, **{"stdin": subprocess.DEVNULL, **streams})


def run_here(model: str, *words: str | Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The same in this process, between two pipes."""
    return run_between_pipes("upscale", "--model", model, "--workers", "0", *words, data=data)


def ffmpeg(*words: str | Path, data: bytes | None = None) -> bytes:
    command = ["ffmpeg", "-v", "error", "-nostdin" if data is None else "-y", *map(str, words)]
    return subprocess.run(command, input=data, check=True, capture_output=True, timeout=60).stdout


def y4m(frames: int = 6, pixel_format: str = "yuv420p", size: tuple[int, int] = (64, 48)) -> bytes:
    """A stream as ffmpeg pipes it, made by PyAV."""
    path = Path(f"/proc/self/fd/{os.memfd_create('y4m')}")
    with av.open(str(path), "w", format="yuv4mpegpipe", container_options={"strict": "-1"}) as output:
        video = output.add_stream("rawvideo", rate=25)
        video.width, video.height, video.pix_fmt = *size, pixel_format
        for frame in scene_frames(frames, pixel_format, size=size):
            output.mux(video.encode(frame))
    data = path.read_bytes()
    os.close(int(path.name))
    return data


def one_sentence(ended: subprocess.CompletedProcess[bytes]) -> str:
    """The only line on stderr."""
    assert ended.stderr.count(b"\n") == 1, ended.stderr
    assert ended.stderr.startswith(b"vidsr: ")
    return ended.stderr.decode().strip()


@needs_ffmpeg
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p16le", "gray10le"])
def test_ffmpeg_pipes_into_vidsr_and_vidsr_into_ffmpeg(pixel_format: str, tiny_model: str, tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", scene_frames(8, pixel_format, size=(64, 48)), codec="ffv1")
    by_file = run(tiny_model, "--codec", "ffv1", source, tmp_path / "file.mkv")
    vidsr = f"{sys.executable} -m vidsr upscale --model {tiny_model} --workers 0 - -"
    pipe = (
        f"ffmpeg -v error -i {source} {' '.join(RAW)} | {vidsr} | ffmpeg -v error -i - -c:v ffv1 {tmp_path}/pipe.mkv"
    )
    ended = subprocess.run(["bash", "-o", "pipefail", "-c", pipe], capture_output=True, timeout=60)
    assert (by_file.returncode, ended.returncode) == (0, 0), ended.stderr
    assert b"8 frames, 128x96" in ended.stderr
    expected, found = (read_with_av(tmp_path / name) for name in ("file.mkv", "pipe.mkv"))
    assert found.times == pytest.approx(expected.times, abs=1e-3)
    assert [frame.format.name for frame in found.pictures] == [pixel_format] * 8
    for one, other in zip(expected.pictures, found.pictures, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(samples(one), samples(other), strict=True))


@pytest.mark.parametrize("pixel_format", sorted(_Y4M_FORMATS))
def test_every_format_of_y4m_is_read_and_written(pixel_format: str, upscale: Command, tmp_path: Path) -> None:
    (tmp_path / "in.y4m").write_bytes(y4m(2, pixel_format))
    with descriptor(1, os.open(tmp_path / "out.y4m", os.O_CREAT | os.O_WRONLY)):
        ended = upscale(tmp_path / "in.y4m", "-")
    assert ended.code == 0, ended.err
    frames = read_with_av(tmp_path / "out.y4m").pictures
    assert [(frame.format.name, frame.width, frame.height) for frame in frames] == [(pixel_format, 128, 96)] * 2


def test_the_report_is_on_stderr_and_only_frames_on_stdout(tiny_model: str) -> None:
    ended = run_here(tiny_model, "--json", "--progress", "json", "-", "-", data=y4m())
    assert ended.returncode == 0, ended.stderr
    header, _, frames = ended.stdout.partition(b"\n")
    assert header.startswith(b"YUV4MPEG2 W128 H96 F25:1 ")
    assert len(frames) == 6 * (len(b"FRAME\n") + 128 * 96 * 3 // 2)
    (report,) = [
        json.loads(line) for line in ended.stderr.splitlines() if line.startswith(b'{"source": "/dev/stdin", "t')
    ]
    assert (report["frames_read"], report["frames_written"], report["encoder"]) == (6, 6, "rawvideo, yuv420p")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_the_rate_is_that_of_the_source_whatever_its_clock(tiny_model: str, tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / name, pts=[512 * number for number in range(6)])
    ended = run_here(tiny_model, clip, "-")
    assert b"F30:1" in ended.stdout.partition(b"\n")[0].split(), ended.stderr
    assert ended.stdout.count(b"FRAME\n") == 6


def test_what_goes_in_keeps_its_range_its_shape_and_the_place_of_its_colours(tiny_model: str) -> None:
    header = b"YUV4MPEG2 W64 H48 F30000:1001 Ip A4:3 C420mpeg2 XCOLORRANGE=FULL\n"
    ended = run_here(tiny_model, "-", "-", data=header + y4m().partition(b"\n")[2])
    fields = ended.stdout.partition(b"\n")[0].split()
    assert {b"F30000:1001", b"A4:3", b"C420mpeg2", b"XCOLORRANGE=FULL"} <= {*fields}, ended.stderr


@pytest.mark.parametrize("kind", ["mpegts", "matroska", "nut"])
def test_any_container_that_needs_no_seeking_goes_in_and_out_with_its_sound(
    kind: str, tiny_model: str, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / {"mpegts": "a.ts", "matroska": "a.mkv", "nut": "a.nut"}[kind], audio=1)
    ended = run_here(tiny_model, "--output-format", "matroska", "-", "-", data=clip.read_bytes())
    assert ended.returncode == 0, ended.stderr
    (tmp_path / "out.mkv").write_bytes(ended.stdout)
    before, after = read_with_av(clip), read_with_av(tmp_path / "out.mkv")
    assert len(after.pictures) == 24
    assert (after.pictures[0].width, after.pictures[0].height) == (192, 128)
    with av.open(clip) as one, av.open(tmp_path / "out.mkv") as other:
        sounds = [np.concatenate([f.to_ndarray() for f in c.decode(audio=0)], axis=1) for c in (one, other)]
    assert np.array_equal(*sounds)
    assert [len(packets) for packets in after.packets.values()] == [
        len(packets) for packets in before.packets.values()
    ]
    assert b"copied: #1 audio aac" in ended.stderr


def test_a_file_that_is_redirected_may_need_seeking(clip: Path, tiny_model: str, tmp_path: Path) -> None:
    with clip.open("rb") as file:
        ended = run(tiny_model, "-q", "-", tmp_path / "out.mkv", stdin=file)
    assert ended.returncode == 0
    assert len(read_with_av(tmp_path / "out.mkv").pictures) == 24


def test_y4m_says_what_it_cannot_hold(clip: Path, tiny_model: str, tmp_path: Path) -> None:
    tagged = make_video(tmp_path / "in.mp4", scene_frames(3), color_primaries=9, color_trc=16, colorspace=9)
    assert b"cannot hold colour tags but the range" in run_here(tiny_model, tagged, "-").stderr
    ended = run_here(tiny_model, clip, "-")
    assert ended.returncode == 0
    assert b"cannot hold #1 audio aac" in ended.stderr
    assert b"y4m has a frame rate, but no times: frames are up to 0.0" in ended.stderr


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "/dev/stdin: is empty; the program that writes into it has failed"),
        (b"YUV4MPEG2 W64 Hx F25:1\n" + bytes(9999), "/dev/stdin: holds no video, a damaged one, or one of a kind"),
        (b"YUV4MPEG2 W64 H48 F25:1 Cfoo\nFRAME\n" + bytes(9999), "/dev/stdin: holds no video, a damaged one"),
        (b"YUV4MPEG2 W64 H48 F25:1 C420jpeg\n", "/dev/stdin: no frame can be decoded"),
        (bytes(99_999), "/dev/stdin: holds no video, a damaged one"),
    ],
    ids=["empty", "size", "format", "no frame", "zeros"],
)
def test_a_source_that_is_none_is_a_sentence(data: bytes, sentence: str, tiny_model: str) -> None:
    ended = run_here(tiny_model, "-", "-", data=data)
    assert (ended.returncode, ended.stdout) == (SOURCE, b"")
    assert sentence in one_sentence(ended)


@pytest.mark.parametrize("from_file", [True, False])
def test_a_frame_that_is_cut_off_is_reported_and_those_before_it_are_kept(
    from_file: bool, tiny_model: str, tmp_path: Path
) -> None:
    (tmp_path / "in.y4m").write_bytes(y4m()[:-1000])
    data = (tmp_path / "in.y4m").read_bytes()
    ended = run_here(tiny_model, "-q", tmp_path / "in.y4m" if from_file else "-", "-", data=data)
    assert ended.returncode == DAMAGED
    assert "is cut off: its last packet is incomplete" in one_sentence(ended)
    assert ended.stdout.count(b"FRAME\n") == 5


def test_a_file_whose_index_is_at_its_end_is_no_damaged_one(tiny_model: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(1)
    frames = [
        av.VideoFrame.from_ndarray(noise.integers(0, 255, (540, 480), np.uint8), format="yuv420p") for _ in range(7)
    ]
    plain, first = (tmp_path / name for name in ("plain.mp4", "first.mp4"))
    for path, muxer in ((plain, {}), (first, {"movflags": "+faststart"})):
        make_video(path, frames, options={"crf": "0"}, muxer=muxer)
    assert plain.stat().st_size > 1 << 20, "more than is kept of a pipe"
    ended = run_here(tiny_model, "-", tmp_path / "no.mkv", data=plain.read_bytes())
    assert (ended.returncode, (tmp_path / "no.mkv").exists()) == (SOURCE, False)
    assert "/dev/stdin: its index is behind its frames" in one_sentence(ended)
    assert run_here(tiny_model, "-", tmp_path / "out.mkv", data=first.read_bytes()).returncode == 0
    ended = run_here(tiny_model, "-", tmp_path / "no.mkv", data=first.read_bytes()[:100_000])
    assert ended.returncode == SOURCE
    assert "it is damaged, or cut off" in one_sentence(ended)


def test_garbage_between_frames_is_reported(tiny_model: str) -> None:
    data = y4m()
    ended = run_here(tiny_model, "-q", "-", "-", data=data + b"garbage\n" + data)
    assert ended.returncode == DAMAGED
    assert "reading ended early: it is damaged" in ended.stderr.decode()
    assert ended.stdout.count(b"FRAME\n") == 6


def test_a_reader_that_ends_is_a_sentence(tiny_model: str) -> None:
    command = [sys.executable, "-m", "vidsr", "upscale", "--model", tiny_model, "--workers", "0", "-", "-"]
    with ForkedPython(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.close()
        _, printed = process.communicate(y4m(), timeout=60)
    assert process.returncode == TARGET
    assert printed == b"vidsr: /dev/stdout: the program that reads it has ended (Broken pipe)\n"


def test_a_full_disk_and_a_closed_output_are_sentences(clip: Path, tiny_model: str) -> None:
    with open("/dev/full", "wb") as full:
        ended = run(tiny_model, "--pixel-format", "yuv420p", "-q", clip, "-", stdout=full, stderr=subprocess.PIPE)
    assert ended.returncode == TARGET
    assert "/dev/stdout: No space left on device" in one_sentence(ended)
    words = [sys.executable, "-m", "vidsr", "upscale", "--model", tiny_model, str(clip), "-"]
    closed = subprocess.run(["bash", "-c", '"$@" >&-', "bash", *words], capture_output=True, timeout=60)
    assert (closed.returncode, one_sentence(closed)) == (TARGET, "vidsr: standard output is closed")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-", "."], "- has no name"),
        (["-", "a.mkv", "-"], "- has no name"),
        (["--verify", "a.mkv", "-"], "--verify reads the target back"),
        (["--estimate", "-", "-"], "--estimate reads a second of the source"),
        (["--output-format", "y4m", "a.mkv", "b.mkv"], "--output-format is for a target of -"),
        (["--output-format", "nut", "a.png", "b.png"], "--output-format is for a target of -"),
        (["--output-format", "nut", "--estimate", "a.mkv", "b.mkv"], "--output-format is for a target of -"),
        (["--explain", "-", "-"], "--explain reads a second of the source"),
        (["--output-format", "mp4", "-", "-"], "--output-format must be one of y4m, matroska, nut, mpegts"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_refused_before_work(words: list[str], sentence: str, refused: Refused) -> None:
    assert sentence in refused(USAGE, *words)


def test_what_the_container_does_not_hold_is_refused_before_work(tiny_model: str) -> None:
    ended = run_here(tiny_model, "--codec", "libx264", "-", "-", data=y4m(1))
    assert (ended.returncode, ended.stdout) == (TARGET, b"")
    assert "yuv4mpegpipe cannot hold libx264; use --output-format matroska" in one_sentence(ended)


def test_a_container_may_be_named_that_is_not_recognised(tiny_model: str, tmp_path: Path) -> None:
    make_clip(tmp_path / "a.h264")
    data = (tmp_path / "a.h264").read_bytes()
    ended = run_here(tiny_model, "-q", "--input-format", "h264", "-", tmp_path / "out.mkv", data=data)
    assert ended.returncode == 0, ended.stderr
    assert len(read_with_av(tmp_path / "out.mkv").pictures) == 24
    ended = run_here(tiny_model, "--input-format", "hls", "-", tmp_path / "no.mkv", data=data)
    assert ended.returncode == SOURCE
    assert "no --input-format is named 'hls'; try one of yuv4mpegpipe" in one_sentence(ended)


def test_a_signal_completes_the_target_although_no_more_comes_from_the_source(tiny_model: str, tmp_path: Path) -> None:
    words = ["--model", tiny_model, "--workers", "0", "-", str(tmp_path / "out.mkv")]
    command = [sys.executable, "-m", "vidsr", "upscale", "--progress", "json", *words]
    with ForkedPython(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write(y4m(100))
        process.stdin.flush()
        while json.loads(process.stderr.readline())["frames"] < 10:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        printed = process.stderr.read()
        assert process.wait(timeout=30) == 128 + signal.SIGTERM, printed
    assert b"stopping; the file is being completed" in printed
    assert 10 < len(read_with_av(tmp_path / "out.mkv").pictures) <= 100
