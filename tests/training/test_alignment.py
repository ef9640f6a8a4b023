"""Two recordings of one camera are laid on each other, picture by picture and pixel by pixel, or refused."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles import read_with_av, samples
from recordings import RATE, SIZE, record, record_both, scene, smaller

from vidsr.errors import SourceError, TrainingError
from vidsr.quality.crops import Crop
from vidsr.quality.matlab import imresize
from vidsr.quality.metrics import psnr
from vidsr.quality.upscalers import to_uint8
from vidsr.settings import DatasetSettings
from vidsr.training.data.dataset import read_degraded_pairs
from vidsr.training.data.paired_dataset import build_paired_dataset
from vidsr.training.pairing import Alignment, align, aligned_pairs, pairs_at
from vidsr.training.pairing.registration import AxisMap

Luma = NDArray[np.uint8]

FOOTAGE = Path(__file__).resolve().parents[3] / "shared" / "data" / "video" / "surveillance"


def refused(hr: Path, lr: Path, scale: int = 2) -> str:
    with pytest.raises(SourceError) as caught:
        align(hr, lr, scale, on_warning=pytest.fail)
    assert hr.name in str(caught.value)
    return str(caught.value)


def gain_db(pairs: list[tuple[Luma, Luma]], change: Callable[[Luma], Luma] = lambda hr: hr) -> float:
    inner = slice(12, -12)
    return float(np.mean([psnr(to_uint8(imresize(a, 2))[inner, inner], change(b)[inner, inner]) for a, b in pairs]))


@pytest.mark.parametrize(
    ("ratio", "corner", "main", "sub"),
    [
        (2.0, (0.0, 0.0), range(0, 120), range(13, 150, 2)),
        (2.0, (0.6, -0.7), range(40, 150), range(0, 140, 2)),
        (2.2, (1.3, 0.45), range(0, 150), range(21, 130, 2)),
        (2.2, (-0.9, 6.0), range(0, 150, 2), range(17, 150)),
    ],
)
def test_time_is_found_to_half_a_frame_and_place_to_a_tenth_of_a_pixel(
    tmp_path: Path, ratio: float, corner: tuple[float, float], main: range, sub: range
) -> None:
    hr, lr = record_both(tmp_path, scene(150), ratio=ratio, corner=corner, main=main, sub=sub)
    found = align(hr, lr, 2, on_warning=pytest.fail)
    assert found.time_offset.offset_s == pytest.approx((sub[0] - main[0]) / RATE, abs=0.5 / RATE)
    for axis, first in zip((found.registration.rows, found.registration.columns), corner, strict=True):
        ends = np.array([0, axis.lr])
        assert np.abs((axis.start + axis.ratio * ends - first - ratio * ends) / ratio).max() < 0.1
    pairs = list(aligned_pairs(found, 12))
    assert len(pairs) == 12
    assert {(a.shape, b.shape, a.dtype, b.dtype) for a, b in pairs} == {
        (found.shape, (2 * found.shape[0], 2 * found.shape[1]), np.dtype("u1"), np.dtype("u1"))
    }
    own = gain_db(pairs)
    assert own > max(gain_db(pairs, lambda hr, by=by: np.roll(hr, by, (0, 1))) for by in [(1, 0), (0, -1)]) + 1
    later = [(a, b) for (a, _), (_, b) in pairwise(pairs)]
    assert own > gain_db(later) + 3


def numbers_of(found: Alignment, lr: list[Luma], times: list[float]) -> list[tuple[int, int]]:
    """Of every pair, which frame of the scene the small picture shows, and which the large one."""
    rows, columns = found.registration.covered
    laid = [to_uint8(found.registration.resampler(2)(frame).astype(float)) for frame in scene(150)]

    def nearest(plane: Luma, planes: list[Luma]) -> int:
        return int(np.argmin([((plane - each.astype(float)) ** 2).mean() for each in planes]))

    whole = slice(2 * rows.start, 2 * rows.stop), slice(2 * columns.start, 2 * columns.stop)
    few, many = [each[rows, columns] for each in lr], [each[whole] for each in laid]
    return [(nearest(a, few), nearest(b, many)) for _, a, b in pairs_at(found, times, 0.2)]


def test_times_that_jitter_and_frames_that_were_dropped_give_frames_of_one_instant_or_none(tmp_path: Path) -> None:
    kept = [n for n in range(150) if n % 7 != 3]
    hr = record(tmp_path / "main.mp4", [scene(150)[n] for n in kept], [n / RATE for n in kept], 12)
    sent = [round(n * RATE / 15) for n in range(5, 85)]  # of 25 a second, dated as 15 even ones
    few = smaller(scene(150), 2.0)
    lr = record(tmp_path / "sub.mp4", [few[n] for n in sent], [n / 15 for n in range(len(sent))], 28)
    found = align(hr, lr, 2, on_warning=pytest.fail)
    assert found.time_offset.offset_s == pytest.approx(sent[0] / RATE, abs=0.5 / RATE)
    pairs = numbers_of(found, few, np.arange(0.0, 5.0, 1 / 15).tolist())
    assert 30 < len(pairs) < 75
    assert [a - b for a, b in pairs] == [0] * len(pairs)


def test_frames_that_were_sent_several_times_do_not_mislead(tmp_path: Path) -> None:
    frames = [scene(150)[number // 3 * 3] for number in range(150)]
    corner = {"ratio": 2.2, "corner": (1.3, 0.45)}
    hr, lr = record_both(tmp_path, frames, main=range(150), sub=range(22, 140, 2), **corner)
    found = align(hr, lr, 2, on_warning=pytest.fail)
    assert found.time_offset.offset_s == pytest.approx(22 / RATE, abs=0.5 / RATE)
    assert len(list(aligned_pairs(found, 20))) == 20


def test_the_hr_frames_get_the_levels_of_the_lr_ones(tmp_path: Path) -> None:
    full = {"levels": lambda frame: np.clip((frame - 16.0) * 255 / 219, 0, 255).astype(np.uint8)}
    hr, lr = record_both(tmp_path, scene(150), main=range(100), sub=range(10, 100, 2), **full)
    found = align(hr, lr, 2, on_warning=pytest.fail)
    assert found.registration.gain == pytest.approx(255 / 219, abs=0.02)
    assert np.mean([b.mean() - a.mean() for a, b in aligned_pairs(found, 5)]) == pytest.approx(0, abs=0.5)


def test_a_part_gives_only_frames_of_its_own_time(tmp_path: Path) -> None:
    hr, lr = record_both(tmp_path, scene(150), main=range(20, 150), sub=range(0, 150, 2))
    found = align(hr, lr, 2, on_warning=pytest.fail)
    assert (found.start_s, found.end_s) == pytest.approx((0.8, 5.92), abs=0.05)
    few = [plane.astype(float) for plane in smaller(scene(150), 2.0)]
    rows, columns = found.registration.covered
    seen = [
        [int(np.argmin([((a - b[rows, columns]) ** 2).mean() for b in few])) for a, _ in aligned_pairs(part, 9)]
        for part in (replace(found, end_s=4.0), replace(found, start_s=4.0))
    ]
    assert [len(each) for each in seen] == [9, 9]
    assert 20 <= min(seen[0]) < max(seen[0]) < 100 <= min(seen[1])
    assert list(aligned_pairs(replace(found, start_s=6.5), 9)) == []


def test_what_was_cut_off_at_the_edge_of_the_hr_frame_is_in_no_pair() -> None:
    assert AxisMap(ratio=2.0, start=-3.0, hr=192, lr=96).covered() == slice(2, 96)
    assert AxisMap(ratio=2.0, start=4.0, hr=192, lr=96).covered() == slice(0, 94)
    assert AxisMap(ratio=2.0, start=0.05, hr=192, lr=96).covered() == slice(0, 96)


# What is refused


def test_two_scenes_and_two_times_of_one_scene_are_refused(tmp_path: Path) -> None:
    hr, lr = record_both(tmp_path, scene(150), main=range(70), sub=range(75, 150))
    assert "their motion does not match (similarity 0." in refused(hr, lr)
    other = record(tmp_path / "other.mp4", scene(70, seed=1), [n / RATE for n in range(70)], 20)
    assert "they show different scenes or times" in refused(other, lr)


def test_an_hr_recording_that_is_not_large_enough_is_refused(tmp_path: Path) -> None:
    hr, lr = record_both(tmp_path, scene(150), main=range(30), sub=range(30))
    assert "256x192 is not 3 times the 128x96 of" in refused(hr, lr, 3)


def test_levels_that_no_line_relates_are_refused(tmp_path: Path) -> None:
    nonlinearity = {"levels": lambda frame: (255 * (np.abs(frame / 255.0 - 0.5) * 2) ** 1.5).astype(np.uint8)}
    dark = {"levels": lambda frame: (255 * (frame / 255) ** 3).astype(np.uint8)}
    hr, lr = record_both(tmp_path, scene(150), main=range(60), sub=range(60), **dark)
    assert "their levels are not linearly related (off by" in refused(hr, lr)
    assert "similarity" in refused(*record_both(tmp_path, scene(150), main=range(60), sub=range(60), **nonlinearity))


def test_where_nothing_moves_frames_that_fit_are_taken_and_others_refused(tmp_path: Path) -> None:
    still, warnings = [scene(150)[0]] * 30, list[str]()
    hr, lr = record_both(tmp_path, still, corner=(0.6, -0.7), main=range(30), sub=range(30))
    found = align(hr, lr, 2, on_warning=warnings.append)
    assert [on_warning.partition(": ")[2] for on_warning in warnings] == [
        "nothing moves; the recordings are assumed to start together"
    ]
    pairs = list(aligned_pairs(found, 5))
    assert gain_db(pairs) > gain_db(pairs, lambda hr: np.roll(hr, 1, 0)) + 1
    other = record(tmp_path / "other.mp4", scene(1, seed=1) * 30, [n / RATE for n in range(30)], 20)
    with pytest.raises(SourceError, match=r"their views do not match \(similarity of edges -?0\.\d+, 0\.8 needed\)"):
        align(other, lr, 2)
    nothing = record_both(tmp_path, [np.full(SIZE[::-1], 90, np.uint8)] * 30, main=range(30), sub=range(30))
    with pytest.raises(SourceError, match="views do not match"):
        align(*nothing, 2)


@pytest.mark.skipif(not FOOTAGE.exists(), reason="the clips are not beside the project")
def test_two_days_of_one_camera_are_refused_and_one_day_is_not(tmp_path: Path) -> None:
    first, second = (next((FOOTAGE / "roadcam").glob(name)) for name in ("625_201708101116*", "625_201708101101*"))
    read = read_with_av(first)
    planes = [imresize(samples(picture)[0], 0.5) for picture in read.pictures[20::2]]
    times = [time - read.pts[20] for time in read.pts[20::2]]
    lr = record(tmp_path / "sub.mp4", [to_uint8(plane) for plane in planes], times, 28)
    assert align(first, lr, 2, on_warning=pytest.fail).time_offset.offset_s == pytest.approx(
        read.pts[20] - read.pts[0], abs=0.02
    )
    assert "their motion does not match" in refused(second, lr)


# What is learnt from


def test_a_dataset_of_recordings_is_made_in_one_run_as_in_several_and_is_read_as_any_other(tmp_path: Path) -> None:
    found = align(
        *record_both(tmp_path, scene(150), main=range(150), sub=range(10, 150, 2)), 2, on_warning=pytest.fail
    )
    found, settings = [replace(found, start_s=0.5, end_s=4.5)], DatasetSettings(clips=64, crop=32)
    dataset = build_paired_dataset(found, tmp_path / "dataset", settings, on_warning=pytest.fail)
    assert (dataset.shards, dataset.of, dataset.fresh, dataset.clips, dataset.finished) == (2, 2, 2, 64, True)
    asked: list[int] = []
    half = build_paired_dataset(found, tmp_path / "half", settings, should_stop=lambda: bool(asked) or asked.append(1))
    assert (half.shards, half.finished) == (1, False)
    assert build_paired_dataset(found, tmp_path / "half", settings).fresh == 1
    contents = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("dataset", "half")]
    assert contents[0] == contents[1]
    pairs = read_degraded_pairs(tmp_path / "dataset", 2)
    planes = [(pair.lr_luma, pair.hr) for pair in pairs]
    assert {(a.shape, b.shape) for a, b in planes} == {((32, 32), (64, 64))}
    assert gain_db(planes) > gain_db(planes, lambda hr: np.roll(hr, 1, 1)) + 1
    with pytest.raises(TrainingError, match="for x2, not x3"):
        read_degraded_pairs(tmp_path / "dataset", 3)
    with pytest.raises(TrainingError, match=r"holds a dataset with other \w+"):
        build_paired_dataset(found, tmp_path / "dataset", DatasetSettings(clips=64, crop=40))


def test_a_dataset_stops_where_the_recording_ends_with_a_warning(tmp_path: Path) -> None:
    found = align(*record_both(tmp_path, scene(150), main=range(60), sub=range(60)), 2, on_warning=pytest.fail)
    warnings: list[str] = []
    dataset = build_paired_dataset(
        [found], tmp_path / "dataset", DatasetSettings(clips=9999, crop=32), on_warning=warnings.append
    )
    assert warnings == ["the dataset is limited to 256 of 9999 clips: the recordings are too short"]
    assert dataset.finished
    assert 200 < dataset.clips <= 256
    with pytest.raises(SourceError, match="smaller than the 128 pixels per side"):
        build_paired_dataset([found], tmp_path / "none", DatasetSettings(crop=128))


def test_a_dataset_of_several_pairs_takes_an_equal_share_of_each_and_their_windows_alone(tmp_path: Path) -> None:
    found = []
    for number, frames in enumerate((scene(150), scene(150, seed=3))):
        (folder := tmp_path / str(number)).mkdir()
        streams = record_both(folder, frames, main=range(100), sub=range(10, 90))
        window = Crop(width=70, height=60, left=40, top=20)
        found.append(replace(align(*streams, 2, on_warning=pytest.fail), window=window))
    assert {each.shape for each in found} == {(60, 70)}
    settings = DatasetSettings(clips=128, crop=32)
    built = build_paired_dataset(found, tmp_path / "both", settings, on_warning=pytest.fail)
    assert (built.of, built.clips, built.finished) == (4, 128, True)
    for number, alignment in enumerate(found):
        alone = build_paired_dataset([alignment], tmp_path / f"alone{number}", replace(settings, clips=64))
        assert alone.of == 2
    pairs = {name: read_degraded_pairs(tmp_path / name, 2) for name in ("both", "alone0", "alone1")}
    assert all(
        np.array_equal(one.hr, other.hr)
        for one, other in zip(pairs["both"], pairs["alone0"] + pairs["alone1"], strict=True)
    )
    whole = next(aligned_pairs(replace(found[0], window=None), 1))[1]
    inside = next(aligned_pairs(found[0], 1))[1]
    assert np.array_equal(inside, whole[40:160, 80:220])
