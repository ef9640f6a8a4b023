"""Two recordings of one camera are laid on each other, picture by picture and pixel by pixel, or refused."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles import read_with_av, samples
from recordings import RATE, SIZE, record, record_both, scene, smaller

from vidsr.errors import TrainingError
from vidsr.metrics import psnr
from vidsr.quality.imresize import imresize
from vidsr.quality.upscalers import in_bytes
from vidsr.settings import CorpusSettings
from vidsr.training.data.paired_dataset import record_corpus
from vidsr.training.data.replay import read_corpus
from vidsr.training.pairing.alignment import Alignment, align, aligned_pairs, pairs_at
from vidsr.training.pairing.registration import Axis

Luma = NDArray[np.uint8]

FOOTAGE = Path(__file__).resolve().parents[3] / "shared" / "data" / "video" / "surveillance"
FRAMES = scene(150)


def refused(large: Path, small: Path, scale: int = 2) -> str:
    with pytest.raises(TrainingError) as caught:
        align(large, small, scale, note=pytest.fail)
    assert large.name in str(caught.value)
    return str(caught.value)


def gain_db(pairs: list[tuple[Luma, Luma]], change: Callable[[Luma], Luma] = lambda large: large) -> float:
    inner = slice(12, -12)
    return float(np.mean([psnr(in_bytes(imresize(a, 2))[inner, inner], change(b)[inner, inner]) for a, b in pairs]))


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
    large, small = record_both(tmp_path, FRAMES, ratio=ratio, corner=corner, main=main, sub=sub)
    found = align(large, small, 2, note=pytest.fail)
    assert found.offset_s == pytest.approx((sub[0] - main[0]) / RATE, abs=0.5 / RATE)
    for axis, first in zip((found.laying.rows, found.laying.columns), corner, strict=True):
        ends = np.array([0, axis.small])
        assert np.abs((axis.start + axis.ratio * ends - first - ratio * ends) / ratio).max() < 0.1
    pairs = list(aligned_pairs(found, 12))
    assert len(pairs) == 12
    assert {(a.shape, b.shape, a.dtype, b.dtype) for a, b in pairs} == {
        (found.shape, (2 * found.shape[0], 2 * found.shape[1]), np.dtype("u1"), np.dtype("u1"))
    }
    own = gain_db(pairs)
    assert own > max(gain_db(pairs, lambda large, by=by: np.roll(large, by, (0, 1))) for by in [(1, 0), (0, -1)]) + 1
    later = [(a, b) for (a, _), (_, b) in pairwise(pairs)]
    assert own > gain_db(later) + 3


def numbers_of(found: Alignment, small: list[Luma], times: list[float]) -> list[tuple[int, int]]:
    """Of every pair, which frame of the scene the small picture shows, and which the large one."""
    rows, columns = found.laying.covered
    laid = [in_bytes(found.laying.reducing(2)(frame).astype(float)) for frame in FRAMES]

    def nearest(plane: Luma, planes: list[Luma]) -> int:
        return int(np.argmin([((plane - each.astype(float)) ** 2).mean() for each in planes]))

    whole = slice(2 * rows.start, 2 * rows.stop), slice(2 * columns.start, 2 * columns.stop)
    few, many = [each[rows, columns] for each in small], [each[whole] for each in laid]
    return [(nearest(a, few), nearest(b, many)) for _, a, b in pairs_at(found, times, 0.2)]


def test_times_that_jitter_and_pictures_that_were_dropped_give_pictures_of_one_instant_or_none(tmp_path: Path) -> None:
    kept = [n for n in range(150) if n % 7 != 3]
    large = record(tmp_path / "main.mp4", [FRAMES[n] for n in kept], [n / RATE for n in kept], 12)
    sent = [round(n * RATE / 15) for n in range(5, 85)]  # of 25 a second, dated as 15 even ones
    few = smaller(FRAMES, 2.0)
    small = record(tmp_path / "sub.mp4", [few[n] for n in sent], [n / 15 for n in range(len(sent))], 28)
    found = align(large, small, 2, note=pytest.fail)
    assert found.offset_s == pytest.approx(sent[0] / RATE, abs=0.5 / RATE)
    pairs = numbers_of(found, few, np.arange(0.0, 5.0, 1 / 15).tolist())
    assert 30 < len(pairs) < 75
    assert [a - b for a, b in pairs] == [0] * len(pairs)


def test_pictures_that_were_sent_several_times_do_not_mislead(tmp_path: Path) -> None:
    frames = [FRAMES[number // 3 * 3] for number in range(150)]
    corner = {"ratio": 2.2, "corner": (1.3, 0.45)}
    large, small = record_both(tmp_path, frames, main=range(150), sub=range(22, 140, 2), **corner)
    found = align(large, small, 2, note=pytest.fail)
    assert found.offset_s == pytest.approx(22 / RATE, abs=0.5 / RATE)
    assert len(list(aligned_pairs(found, 20))) == 20


def test_the_large_pictures_get_the_levels_of_the_small_ones(tmp_path: Path) -> None:
    full = {"levels": lambda frame: np.clip((frame - 16.0) * 255 / 219, 0, 255).astype(np.uint8)}
    large, small = record_both(tmp_path, FRAMES, main=range(100), sub=range(10, 100, 2), **full)
    found = align(large, small, 2, note=pytest.fail)
    assert found.laying.gain == pytest.approx(255 / 219, abs=0.02)
    assert np.mean([b.mean() - a.mean() for a, b in aligned_pairs(found, 5)]) == pytest.approx(0, abs=0.5)


def test_a_part_gives_only_pictures_of_its_own_time(tmp_path: Path) -> None:
    large, small = record_both(tmp_path, FRAMES, main=range(20, 150), sub=range(0, 150, 2))
    found = align(large, small, 2, note=pytest.fail)
    assert (found.start_s, found.end_s) == pytest.approx((0.8, 5.92), abs=0.05)
    few = [plane.astype(float) for plane in smaller(FRAMES, 2.0)]
    rows, columns = found.laying.covered
    parts = [(None, 4.0), (4.0, None)]
    seen = [
        [
            int(np.argmin([((a - b[rows, columns]) ** 2).mean() for b in few]))
            for a, _ in aligned_pairs(found, 9, **part)
        ]
        for part in ({"start_s": start, "end_s": end} for start, end in parts)
    ]
    assert [len(each) for each in seen] == [9, 9]
    assert 20 <= min(seen[0]) < max(seen[0]) < 100 <= min(seen[1])
    assert list(aligned_pairs(found, 9, start_s=6.5)) == []


def test_what_was_cut_off_at_the_edge_of_the_large_picture_is_in_no_pair() -> None:
    assert Axis(ratio=2.0, start=-3.0, large=192, small=96).covered() == slice(2, 96)
    assert Axis(ratio=2.0, start=4.0, large=192, small=96).covered() == slice(0, 94)
    assert Axis(ratio=2.0, start=0.05, large=192, small=96).covered() == slice(0, 96)


# What is refused


def test_two_scenes_and_two_times_of_one_scene_are_refused(tmp_path: Path) -> None:
    large, small = record_both(tmp_path, FRAMES, main=range(70), sub=range(75, 150))
    assert "what moves in them is never the same (likeness 0." in refused(large, small)
    other = record(tmp_path / "other.mp4", scene(70, seed=1), [n / RATE for n in range(70)], 20)
    assert "they show different scenes, or have no time in common" in refused(other, small)


def test_a_large_recording_that_is_not_large_enough_is_refused(tmp_path: Path) -> None:
    large, small = record_both(tmp_path, FRAMES, main=range(30), sub=range(30))
    assert "its 256x192 are not 3 times the 128x96 of" in refused(large, small, 3)


def test_levels_that_no_line_relates_are_refused(tmp_path: Path) -> None:
    bent = {"levels": lambda frame: (255 * (np.abs(frame / 255.0 - 0.5) * 2) ** 1.5).astype(np.uint8)}
    dark = {"levels": lambda frame: (255 * (frame / 255) ** 3).astype(np.uint8)}
    large, small = record_both(tmp_path, FRAMES, main=range(60), sub=range(60), **dark)
    assert "no line relates their levels (off by" in refused(large, small)
    assert "likeness" in refused(*record_both(tmp_path, FRAMES, main=range(60), sub=range(60), **bent))


def test_where_nothing_moves_pictures_that_fit_are_taken_and_others_refused(tmp_path: Path) -> None:
    still, notes = [FRAMES[0]] * 30, list[str]()
    large, small = record_both(tmp_path, still, corner=(0.6, -0.7), main=range(30), sub=range(30))
    found = align(large, small, 2, note=notes.append)
    assert [note.partition(": ")[2] for note in notes] == [
        "nothing moves, so that their times are taken to begin together"
    ]
    pairs = list(aligned_pairs(found, 5))
    assert gain_db(pairs) > gain_db(pairs, lambda large: np.roll(large, 1, 0)) + 1
    other = record(tmp_path / "other.mp4", scene(1, seed=1) * 30, [n / RATE for n in range(30)], 20)
    with pytest.raises(TrainingError, match=r"their views do not fit \(likeness of edges -?0\.\d+, 0\.8 needed\)"):
        align(other, small, 2)
    nothing = record_both(tmp_path, [np.full(SIZE[::-1], 90, np.uint8)] * 30, main=range(30), sub=range(30))
    with pytest.raises(TrainingError, match="views do not fit"):
        align(*nothing, 2)


@pytest.mark.skipif(not FOOTAGE.exists(), reason="the clips are not beside the project")
def test_two_days_of_one_camera_are_refused_and_one_day_is_not(tmp_path: Path) -> None:
    first, second = (next((FOOTAGE / "roadcam").glob(name)) for name in ("625_201708101116*", "625_201708101101*"))
    read = read_with_av(first)
    planes = [imresize(samples(picture)[0], 0.5) for picture in read.pictures[20::2]]
    times = [time - read.pts[20] for time in read.pts[20::2]]
    small = record(tmp_path / "sub.mp4", [in_bytes(plane) for plane in planes], times, 28)
    assert align(first, small, 2, note=pytest.fail).offset_s == pytest.approx(read.pts[20] - read.pts[0], abs=0.02)
    assert "what moves in them is never the same" in refused(second, small)


# What is learnt from


def test_a_corpus_of_recordings_is_made_in_one_run_as_in_several_and_is_read_as_any_other(tmp_path: Path) -> None:
    found = align(*record_both(tmp_path, FRAMES, main=range(150), sub=range(10, 150, 2)), 2, note=pytest.fail)
    settings, part = CorpusSettings(clips=64, crop=32), {"start_s": 0.5, "end_s": 4.5}
    corpus = record_corpus(found, tmp_path / "corpus", settings, note=pytest.fail, **part)
    assert (corpus.shards, corpus.of, corpus.fresh, corpus.clips, corpus.finished) == (2, 2, 2, 64, True)
    asked: list[int] = []
    half = record_corpus(found, tmp_path / "half", settings, stop=lambda: bool(asked) or asked.append(1), **part)
    assert (half.shards, half.finished) == (1, False)
    assert record_corpus(found, tmp_path / "half", settings, **part).fresh == 1
    contents = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("corpus", "half")]
    assert contents[0] == contents[1]
    pairs = read_corpus(tmp_path / "corpus", 2)
    planes = [(pair.small_luma, pair.large) for pair in pairs]
    assert {(a.shape, b.shape) for a, b in planes} == {((32, 32), (64, 64))}
    assert gain_db(planes) > gain_db(planes, lambda large: np.roll(large, 1, 1)) + 1
    with pytest.raises(TrainingError, match="for x2, not x3"):
        read_corpus(tmp_path / "corpus", 3)
    with pytest.raises(TrainingError, match="holds another corpus"):
        record_corpus(found, tmp_path / "corpus", CorpusSettings(clips=64, crop=40), **part)


def test_a_corpus_stops_where_the_recording_ends_and_says_so(tmp_path: Path) -> None:
    found = align(*record_both(tmp_path, FRAMES, main=range(60), sub=range(60)), 2, note=pytest.fail)
    notes: list[str] = []
    corpus = record_corpus(found, tmp_path / "corpus", CorpusSettings(clips=9999, crop=32), note=notes.append)
    assert notes == ["the corpus stops at 256 clips of 9999: there are no more instants"]
    assert corpus.finished
    assert 200 < corpus.clips <= 256
    with pytest.raises(TrainingError, match="smaller than the 128 pixels a side"):
        record_corpus(found, tmp_path / "none", CorpusSettings(crop=128))
