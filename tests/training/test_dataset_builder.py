"""A dataset is made once, wherever it is interrupted, and is the same however it is made."""

import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from commands import full_disk
from made import make_clip, scene
from numpy.typing import NDArray
from oracles import read_with_av, samples

from vidsr.errors import SourceError, TargetError, TrainingError
from vidsr.model.architecture import fsrcnn
from vidsr.quality.matlab import imresize
from vidsr.quality.metrics import psnr
from vidsr.settings import DatasetSettings, DegradeSettings
from vidsr.training.data.dataset import read_degraded_pairs
from vidsr.training.data.dataset_builder import BuildResult, build_dataset, read_shards
from vidsr.training.data.patches import PatchSampler
from vidsr.training.data.sources import Source, find_footage

QUICK = DegradeSettings(frames="4-5", codecs="mjpeg:1", second_share=0, blur_share=0, noise="1", denoise_share=0)
SMALL = DatasetSettings(clips=64, crop=32)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures and two films."""
    folder = tmp_path_factory.mktemp("material")
    for index in range(2):
        av.VideoFrame.from_ndarray(scene(index, (128, 100)), format="rgb24").save(folder / f"{index}.png")
        make_clip(folder / f"{index}.mp4", size=(128, 96), pts=[512 * i for i in range(12 + index)])
    return folder


def build(material: Path, folder: Path, degradation: DegradeSettings = QUICK, **how: object) -> BuildResult:
    how.setdefault("on_warning", pytest.fail)
    settings = how.pop("settings", SMALL)
    return build_dataset(find_footage([Source(path=material, sizes=(1.0,))]), folder, degradation, settings, **how)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_dataset_is_the_same_by_one_process_and_by_two_in_one_run_and_in_two(
    material: Path, tmp_path: Path
) -> None:
    degradation = DegradeSettings(frames="4-5", second_share=0.5)
    told: list[tuple[int, int]] = []
    whole = build(material, tmp_path / "whole", degradation, on_progress=lambda *done: told.append(done))
    assert (whole.shards, whole.of, whole.fresh, whole.clips, whole.finished) == (2, 2, 2, 64, True)
    assert told == [(0, 2), (1, 2), (2, 2)]
    build(material, tmp_path / "two", degradation, processes=2)
    asked = count()
    part = build(material, tmp_path / "parts", degradation, should_stop=lambda: next(asked) > 0)
    assert (part.shards, part.finished) == (1, False)
    rest = build(material, tmp_path / "parts", degradation)
    assert (rest.fresh, rest.clips, rest.finished) == (1, 64, True)
    assert contents(tmp_path / "whole") == contents(tmp_path / "two") == contents(tmp_path / "parts")


def test_a_damaged_shard_is_refused_by_name_and_rebuilt_and_the_sound_one_kept(material: Path, tmp_path: Path) -> None:
    build(material, tmp_path)
    before, damaged = contents(tmp_path), tmp_path / "shard-00001.npz"
    damaged.write_bytes(damaged.read_bytes()[:-2000])
    sound = (tmp_path / "shard-00000.npz").stat().st_mtime_ns
    with pytest.raises(TrainingError, match=rf"{damaged}: damaged"):
        read_degraded_pairs(tmp_path, 2)
    assert build(material, tmp_path).fresh == 1
    assert contents(tmp_path) == before
    assert (tmp_path / "shard-00000.npz").stat().st_mtime_ns == sound


@pytest.mark.parametrize(
    ("name", "degradation", "settings"),
    [
        ("x264_crf", DegradeSettings(x264_crf="20-30"), SMALL),
        ("seed", DegradeSettings(seed=1), SMALL),
        ("crop", DegradeSettings(), DatasetSettings(clips=64, crop=40)),
    ],
)
def test_a_dataset_of_other_settings_is_refused_by_name(
    material: Path, tmp_path: Path, name: str, degradation: DegradeSettings, settings: DatasetSettings
) -> None:
    build(material, tmp_path, DegradeSettings(), should_stop=lambda: True)
    with pytest.raises(TrainingError, match=f"^{tmp_path}: holds a dataset with other {name} .*remove"):
        build(material, tmp_path, degradation, settings=settings)


def test_a_dataset_of_other_files_is_refused(material: Path, tmp_path: Path) -> None:
    build(material, tmp_path, should_stop=lambda: True)
    with pytest.raises(TrainingError, match="with other files; "):
        build(material / "0.png", tmp_path)


def test_a_longer_dataset_resumes_from_a_shorter_one(material: Path, tmp_path: Path) -> None:
    build(material, tmp_path, settings=DatasetSettings(clips=1, crop=32))
    assert (build(material, tmp_path).fresh, len(read_degraded_pairs(tmp_path, 2))) == (1, 64)


def test_the_dataset_stops_at_its_bound_with_a_warning(material: Path, tmp_path: Path) -> None:
    warnings: list[str] = []
    bounded = DatasetSettings(clips=1000, crop=32, max_gb=4e-4)
    dataset = build(material, tmp_path, settings=bounded, on_warning=warnings.append)
    assert (dataset.clips, dataset.finished) == (64, True)
    assert warnings == ["the dataset is limited to 64 of 1000 clips: more exceed 0.0004 GB"]
    assert sum(map(len, contents(tmp_path).values())) < 4e5
    with pytest.raises(ValueError, match=r"^max_gb must be 0\.000"):
        build(material, tmp_path, settings=DatasetSettings(crop=32, max_gb=1e-5))


@pytest.mark.parametrize("processes", [1, 2])
def test_a_full_disk_is_reported_and_what_was_there_stays(material: Path, tmp_path: Path, processes: int) -> None:
    build(material, tmp_path, settings=DatasetSettings(clips=1, crop=32))
    before = contents(tmp_path)
    with full_disk(50_000), pytest.raises(TargetError, match=rf"^{tmp_path}/shard-00001.npz: File too large"):
        build(material, tmp_path, processes=processes)
    assert contents(tmp_path) == before


BUILD = """
import sys
from pathlib import Path
from vidsr.settings import DatasetSettings, DegradeSettings
from vidsr.training.data.dataset_builder import build_dataset
from vidsr.training.data.sources import Source, find_footage
if __name__ == "__main__":
    footage = find_footage([Source(path=Path(sys.argv[1]), sizes=(1.0,))])
    settings = DatasetSettings(clips=100_000, crop=32)
    build_dataset(footage, Path(sys.argv[2]), DegradeSettings(frames="4-5"), settings, processes=2)
"""


def test_the_workers_of_a_killed_build_end_with_it(material: Path, tmp_path: Path) -> None:
    (tmp_path / "build.py").write_text(BUILD)
    command = [sys.executable, str(tmp_path / "build.py"), str(material), str(tmp_path / "dataset")]
    with subprocess.Popen(command) as process:
        until = time.monotonic() + 60
        while not list(tmp_path.glob("dataset/shard-*.npz")):
            assert time.monotonic() < until
            time.sleep(0.05)
        workers = psutil.Process(process.pid).children()
        process.kill()
    assert len(workers) >= 2
    _, left = psutil.wait_procs(workers, timeout=20)
    for worker in left:
        worker.kill()
    assert left == []


def test_the_pairs_are_what_batches_are_cut_from_and_lie_on_each_other(material: Path, tmp_path: Path) -> None:
    build(material, tmp_path)
    pairs = read_degraded_pairs(tmp_path, 2)
    assert {(p.lr.shape, p.lr.dtype.name, p.hr.shape, p.hr.dtype.name) for p in pairs} == {
        ((32, 32), "uint8", (64, 64), "uint8")
    }
    lr, hr = PatchSampler(pairs, fsrcnn(4, 2, 0, 2), patch=16, batch=8).draw(np.random.default_rng(0))
    assert (lr.shape[0], hr.shape) == (8, (8, 1, 32, 32))
    assert 0 <= float(lr.min()) < float(lr.max()) <= 1
    inner, moves = slice(6, -6), [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    enlarged = [(pair.hr[inner, inner], imresize(pair.lr, 2)) for pair in pairs]
    at = {
        move: np.mean([psnr(hr, np.roll(guess, move, (0, 1))[inner, inner]) for hr, guess in enlarged])
        for move in moves
    }
    assert at.pop((0, 0)) > max(at.values()) + 0.5
    with pytest.raises(TrainingError, match="for x2, not x3"):
        read_degraded_pairs(tmp_path, 3)


def test_most_frames_are_not_the_first_of_their_clip(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mp4", size=(64, 64), pts=[512 * i for i in range(8)])
    frames = [samples(picture)[0].tobytes() for picture in read_with_av(film).pictures]
    build(film, tmp_path / "dataset", DegradeSettings(frames="8", codecs="mjpeg:1"))
    numbers = [frames.index(pair.hr.tobytes()) for pair in read_degraded_pairs(tmp_path / "dataset", 2)]
    assert set(numbers) == set(range(8))
    assert numbers.count(0) < 16


def test_videos_are_sampled_at_even_positions(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mp4", size=(64, 64), pts=[512 * i for i in range(64)], options={"g": "16"})
    frames = [samples(picture)[0].tobytes() for picture in read_with_av(film).pictures]
    build(film, tmp_path / "dataset", DegradeSettings(frames="4", codecs="mjpeg:1"))
    numbers = [frames.index(pair.hr.tobytes()) for pair in read_degraded_pairs(tmp_path / "dataset", 2)]
    assert np.histogram(numbers, 4, (0, 64))[0].tolist() == pytest.approx([16] * 4, abs=8)


def test_what_was_done_is_kept_beside_each_frame(material: Path, tmp_path: Path) -> None:
    build(material, tmp_path)
    asked, shards = read_shards(tmp_path)
    assert asked == QUICK
    recipes = [str(recipe) for shard in shards for recipe in shard.recipes]
    assert len(recipes) == 64
    assert any(recipe.endswith("no codec") for recipe in recipes)
    assert any("MJPEG quality" in recipe for recipe in recipes)


# What cannot be used


def still(path: Path, level: NDArray[np.uint8]) -> Path:
    av.VideoFrame.from_ndarray(level, format="gray").save(path)
    return path


def test_what_cannot_be_used_is_named_and_the_rest_is_made(material: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    make_clip(source / "good.mp4", size=(128, 96))
    make_clip(source / "short.mp4", size=(128, 96), pts=[0, 512, 1024])
    make_clip(source / "tiny.mp4", size=(48, 96))
    (source / "broken.png").write_bytes(b"no picture")
    still(source / "black.png", np.full((80, 80), 16, np.uint8))
    warnings: list[str] = []
    dataset = build(source, tmp_path / "dataset", on_warning=warnings.append)
    assert 32 <= dataset.clips < 64
    named = {Path(on_warning.partition(": ")[0]).name: on_warning.partition(": ")[2] for on_warning in warnings}
    assert named == {
        "short.mp4": "has 3 frames, fewer than the 4 of a clip; skipped",
        "tiny.mp4": "smaller than the 64 pixels per side of a clip; skipped",
        "broken.png": named["broken.png"],
        "black.png": "shows nothing",
    }


def test_a_video_cut_off_in_the_middle_gives_what_it_has(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mkv", size=(64, 64), pts=[512 * i for i in range(60)], options={"g": "6"})
    film.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    warnings: list[str] = []
    dataset = build(film, tmp_path / "dataset", on_warning=warnings.append)
    assert 16 <= dataset.clips < 64
    assert {on_warning.partition(": ")[0] for on_warning in warnings} == {str(film)}


def test_without_anything_to_see_there_is_no_dataset(tmp_path: Path) -> None:
    black = still(tmp_path / "black.png", np.full((80, 80), 16, np.uint8))
    with pytest.raises(SourceError, match="no clip could be made"):
        build(black, tmp_path / "dataset", on_warning=lambda sentence: None)
    with pytest.raises(SourceError, match="none of 1 files is usable"):
        build(
            still(tmp_path / "tiny.png", np.zeros((9, 9), np.uint8)),
            tmp_path / "none",
            on_warning=lambda sentence: None,
        )
    with pytest.raises(TrainingError, match="holds no dataset"):
        read_degraded_pairs(tmp_path / "nowhere", 2)
