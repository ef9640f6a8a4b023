"""The recovery of a file after a crash: all but its last fragment."""

import signal
import subprocess
import sys
from pathlib import Path
from shutil import copyfile

import pytest
from commands import few_rights
from recorder_feed import RATE, camera_clip, play, read_recording, recorder, segments

from vidsr.media.sink.segment_recovery import recover_part

_RECORD = """
import sys, time
sys.path[:0] = sys.argv[3:]
from pathlib import Path
from recorder_feed import play, recorder
with recorder(sys.argv[2], segment_s=60, original=True) as made:
    play(made, Path(sys.argv[1]))
    print(made.frames_written, flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return camera_clip(tmp_path_factory.mktemp("camera") / "camera.mp4", seconds=6)


def parts(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.part"))


@pytest.fixture(scope="module")
def crashed(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose recorder was killed when it had been given 6 s of frames."""
    folder = tmp_path_factory.mktemp("crashed")
    here = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
    with subprocess.Popen([sys.executable, "-c", _RECORD, clip, folder, *here], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert int(process.stdout.readline()) == 6 * RATE - 1  # the muxer holds the last one
        process.send_signal(signal.SIGKILL)
    assert len(parts(folder)) == 2
    return folder


def copies(crashed: Path, folder: Path, *, upto: int | None = None) -> Path:
    """The part of the upscaled segment again, its first bytes at least."""
    part = next(part for part in parts(crashed) if ".original." not in part.name)
    copy = folder / part.relative_to(crashed)
    copy.parent.mkdir(parents=True, exist_ok=True)
    copyfile(part, copy)
    if upto is not None:
        with copy.open("r+b") as file:
            file.truncate(upto)
    return copy


def test_after_a_kill_all_but_the_last_fragment_has_its_name_at_the_next_start(
    crashed: Path, clip: Path, tmp_path: Path
) -> None:
    for part in parts(crashed):
        copy = tmp_path / part.relative_to(crashed)
        copy.parent.mkdir(exist_ok=True)
        copyfile(part, copy)
    with recorder(tmp_path) as made:
        assert not parts(tmp_path)
        play(made, clip)
    first = segments(tmp_path)[0]
    whole, original = read_recording(first), read_recording(first.with_name(f"{first.stem}.original.mp4"))
    assert len(whole.pts) >= 4.5 * RATE  # a fragment is a second, and what is not in one yet is lost
    assert len(original.pts) >= 4.5 * RATE
    assert whole.pts[0] == original.pts[0] == 0
    assert len(whole.audio) > 0


def test_wherever_a_file_is_cut_off_what_is_kept_decodes_whole(crashed: Path, tmp_path: Path) -> None:
    size = copies(crashed, tmp_path).stat().st_size
    kept = set()
    for upto in range(0, size, max(1, size // 40)):
        part = copies(crashed, tmp_path, upto=upto)
        target = part.with_suffix("")
        if recover_part(part):
            kept.add(len(read_recording(target).pts))
            target.unlink()
        assert not part.exists()
        assert not target.exists()
    assert len(kept) >= 4
    assert all(count % RATE in (0, 1, RATE - 1) for count in kept)


def test_a_file_that_was_only_begun_is_deleted(tmp_path: Path) -> None:
    for content in (b"", b"\0\0\0\x08free", bytes(1000)):
        part = tmp_path / "10-00-00.mp4.part"
        part.write_bytes(content)
        assert not recover_part(part)
        assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_given_to_nobody_else(crashed: Path, tmp_path: Path) -> None:
    part = copies(crashed, tmp_path)
    part.with_suffix("").write_text("there already")
    assert recover_part(part)
    assert part.with_suffix("").read_text() == "there already"
    second = part.with_suffix("").with_stem(part.with_suffix("").stem + "_2")
    assert len(read_recording(second).pts) > 0


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_part_that_may_not_be_read_stays(suffix: str, open_folder: Path) -> None:
    clip = camera_clip(open_folder / f"clip{suffix}", seconds=1)
    part = clip.rename(clip.with_name(f"10-00-00{suffix}.part"))
    part.chmod(0)
    open_folder.chmod(0o777)
    with few_rights(), pytest.raises(PermissionError):
        recover_part(part)
    assert part.exists()
