"""Bad targets: one sentence on stderr, exit code 4, no file left, the source unchanged."""

import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from commands import TARGET, USAGE, Command, Ended, Refused, few_rights
from made import make_clip
from oracles import read_with_av
from PIL import Image


@pytest.fixture
def source(clip: Path, tmp_path: Path) -> Path:
    """A clip in the folder of the test."""
    path = tmp_path / "source.mp4"
    path.write_bytes(clip.read_bytes())
    return path


@pytest.mark.parametrize("kind", ["same", "symlink", "hardlink"])
def test_the_source_is_never_the_target(refused: Refused, source: Path, tmp_path: Path, kind: str) -> None:
    target = source if kind == "same" else tmp_path / "other.mp4"
    if kind == "symlink":
        target.symlink_to(source)
    if kind == "hardlink":
        target.hardlink_to(source)
    assert "is the source itself" in refused(TARGET, "--overwrite", source, target)


def test_an_existing_target_is_replaced_only_with_overwrite(
    refused: Refused, upscale: Command, source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mp4"
    target.write_text("precious")
    assert "exists already (--overwrite replaces it)" in refused(TARGET, source, target)
    assert upscale("--overwrite", source, target).code == 0
    assert len(read_with_av(target).pts) == 24


def test_a_failure_keeps_the_existing_target(refused: Refused, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_text("precious")
    refused(TARGET, "--overwrite", "--codec", "gif", source, target)


def test_a_target_in_a_missing_folder(refused: Refused, source: Path, tmp_path: Path) -> None:
    assert "No such file" in refused(TARGET, source, tmp_path / "none" / "out.mp4")


def test_a_target_in_a_folder_without_write_permission(
    upscale: Command, clip: Path, tiny_model: str, open_folder: Path
) -> None:
    for name, data in (("clip.mp4", clip.read_bytes()), ("tiny.npz", Path(tiny_model).read_bytes())):
        (open_folder / name).write_bytes(data)
    open_folder.chmod(0o555)
    with few_rights():
        ended = upscale("--model", open_folder / "tiny.npz", open_folder / "clip.mp4", open_folder / "out.mp4")
    assert ended == Ended(TARGET, "", f"vidsr: {open_folder / 'out.mp4'}: Permission denied\n")


@pytest.mark.parametrize("name", ["out.xyz", "out", "out.mp3"])
def test_a_target_with_an_unknown_suffix(refused: Refused, source: Path, tmp_path: Path, name: str) -> None:
    assert "the name must end in one of ." in refused(TARGET, source, tmp_path / name)


def test_a_video_is_not_written_as_an_image(refused: Refused, source: Path, tmp_path: Path) -> None:
    assert "holds one image" in refused(TARGET, source, tmp_path / "out.png")


@pytest.mark.parametrize(
    ("options", "name", "reason"),
    [
        (["--codec", "gif"], "out.mkv", "gif cannot hold yuv420p; use --codec libx264"),
        (["--codec", "libx264"], "out.webm", "webm cannot hold libx264; use .mkv"),
        (["--codec", "ffv1"], "out.ts", "mpegts cannot hold ffv1; use .mkv"),
        (["--codec", "libx265", "--to", "48x16"], "out.mp4", "libx265 ends the process for frames below 32 rows"),
        (["--codec", "hevc", "--to", "34x18"], "out.mp4", "such as 34x18; use --codec libx264"),
        (["--codec", "rawvideo"], "out.mp4", "mp4 cannot hold rawvideo"),
        (["--codec", "mpeg4", "--to", "8200x64"], "out.mp4", "mpeg4 refuses 8200x64"),
        (["--to", "101x101"], "out.mp4", "libx264 refuses 101x101"),
        (["--to", "99999x99999"], "out.mp4", "no encoder takes that"),
    ],
)
def test_encoder_and_container_refuse_before_any_work(
    refused: Refused, source: Path, tmp_path: Path, options: list[str], name: str, reason: str
) -> None:
    assert reason in refused(TARGET, *options, source, tmp_path / name)


@pytest.mark.parametrize(
    ("options", "name", "reason"),
    [
        (["--codec", "banana"], "out.mp4", "no encoder named 'banana'"),
        (["--codec", "aac"], "out.mp4", "aac encodes audio"),
        (["--codec", "libsvtav1", "--preset", "99"], "out.mp4", "libsvtav1 refuses --preset 99"),
        (["--preset", "banana"], "out.mp4", "libx264 takes a --preset of ultrafast, superfast, "),
        (["--codec", "ffv1", "--crf", "3"], "out.mkv", "ffv1 has no --crf"),
    ],
)
def test_an_option_that_no_encoder_has_is_a_fault_of_usage(
    refused: Refused, source: Path, tmp_path: Path, options: list[str], name: str, reason: str
) -> None:
    assert reason in refused(USAGE, *options, source, tmp_path / name)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "nut", "mov"])
def test_the_file_size_limit_is_one_sentence(upscale: Command, clip: Path, tmp_path: Path, suffix: str) -> None:
    """As a full disk, the limit is reported at the write of a buffer or at the close."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        ended = upscale(clip, tmp_path / f"out.{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (ended.code, ended.err) == (TARGET, f"vidsr: {tmp_path / 'out'}.{suffix}: File too large\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "kilobytes"), [("out.mp4", 64), ("out.mkv", 8), ("out.png", 8)])
def test_a_full_disk_is_one_sentence(tiny_model: str, tmp_path: Path, name: str, kilobytes: int) -> None:
    """64 kB are full in the middle of the work; data in FFmpeg's buffer fails at the close."""
    source = make_clip(tmp_path / "clip.mp4", size=(160, 96), pts=[512 * i for i in range(60)])
    if name.endswith("png"):
        source = tmp_path / "noise.png"
        Image.effect_noise((96, 96), 90).save(source)
    done = on_small_disk(tmp_path, kilobytes, ["--model", tiny_model, source, tmp_path / "disk" / name])
    assert done.stderr == f"vidsr: {tmp_path}/disk/{name}: No space left on device\n"
    assert (done.returncode, done.stdout) == (TARGET, "")


@pytest.mark.parametrize("segments", [[], ["--segments"]])
def test_a_full_disk_ends_a_folder(tiny_model: str, tmp_path: Path, segments: list[str]) -> None:
    """What would come after it would be done in vain."""
    (tmp_path / "old").mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4", "d.mp4", "e.mp4"):
        make_clip(tmp_path / "old" / name, size=(160, 96), pts=[512 * i for i in range(60)])
    options = ["-q", "--threads", "1", "--model", tiny_model, *segments]
    done = on_small_disk(tmp_path, 64, [*options, tmp_path / "old", tmp_path / "disk"])
    first, *_, last = done.stderr.splitlines()
    assert re.fullmatch(rf"vidsr: {tmp_path}/disk/[ab].mp4(.segments/.*)?: No space left on device", first)
    assert re.fullmatch(r"vidsr: [34] files were not begun, since the disk is full; --resume goes on with them", last)
    assert (done.returncode, "Traceback" in done.stderr) == (TARGET, False)


def on_small_disk(tmp_path: Path, kilobytes: int, arguments: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    """`vidsr upscale` where the folder `disk` has so much room; on its standard output is what is then in it."""
    (tmp_path / "disk").mkdir()
    mount = f"mount -t tmpfs -o size={kilobytes}k vidsr {tmp_path}/disk"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("mounting takes rights that this process has not")
    command = f"{sys.executable} -m vidsr upscale --workers 0 {' '.join(map(str, arguments))}"
    script = f"{mount} && {command}; code=$?; ls -A {tmp_path}/disk; exit $code"
    return subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=False)
