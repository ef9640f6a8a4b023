"""Geometry of the frames: pixel aspect, display matrix, fields, changes of size."""

from fractions import Fraction
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
from footage import make_video, scene_frame, scene_frames, upscale
from made import make_clip
from numpy.typing import NDArray
from oracles import read_with_av, samples

from vidsr.engine import Engine
from vidsr.media.reader import Reader

ONE, LAST = 1 << 16, 1 << 30
WIDTH, HEIGHT = 32, 24
ORIENTATIONS = [(x, 0, 0, y) for x, y in product((1, -1), repeat=2)] + [
    (0, y, x, 0) for x, y in product((1, -1), repeat=2)
]


def matrix(turn: tuple[int, int, int, int]) -> tuple[int, ...]:
    """FFmpeg's matrix for x' = a*x + c*y and y' = b*x + d*y, translated to keep the frame in view."""
    a, b, c, d = turn
    x = (WIDTH if a < 0 else 0) + (HEIGHT if c < 0 else 0)
    y = (WIDTH if b < 0 else 0) + (HEIGHT if d < 0 else 0)
    return (a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, x * ONE, y * ONE, LAST)


def turned(plane: NDArray[np.uint8], turn: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """The plane with the matrix applied."""
    a, b, c, d = turn
    y, x = np.mgrid[: plane.shape[0], : plane.shape[1]]
    column, row = a * x + c * y, b * x + d * y
    column, row = column - column.min(), row - row.min()
    result = np.zeros((row.max() + 1, column.max() + 1), plane.dtype)
    result[row, column] = plane
    return result


def stored_matrix(path: Path) -> tuple[int, ...] | None:
    data = read_with_av(path).pictures[0].side_data.get("DISPLAYMATRIX")
    return data and tuple(map(int, np.frombuffer(data, np.int32)[:9]))


def aspect(path: Path) -> Fraction:
    with av.open(path) as container:
        return container.streams.video[0].sample_aspect_ratio or Fraction(1)


@pytest.mark.parametrize("target", ["mkv", "nut"])
@pytest.mark.parametrize("turn", ORIENTATIONS)
def test_frames_are_upright_in_a_container_without_display_matrix(
    turn: tuple[int, int, int, int], target: str, tiny_model: str, tmp_path: Path
) -> None:
    source = make_video(tmp_path / "in.mp4", scene_frames(2), options={"crf": "0"}, matrix=matrix(turn))
    before = read_with_av(source).pictures[0]
    upscale(source, tmp_path / f"out.{target}", tiny_model, codec="ffv1")
    after = read_with_av(tmp_path / f"out.{target}").pictures[0]
    assert np.array_equal(samples(after)[0], Engine(tiny_model)(turned(samples(before)[0], turn)))
    for one, other in zip(samples(before)[1:], samples(after)[1:], strict=True):
        upright = turned(one, turn)
        assert other.shape == (2 * upright.shape[0], 2 * upright.shape[1])
        assert np.abs(other[::2, ::2].astype(int) - upright).mean() < 5
    assert stored_matrix(tmp_path / f"out.{target}") is None


@pytest.mark.parametrize("target", ["mp4", "mov"])
@pytest.mark.parametrize("turn", ORIENTATIONS)
def test_mp4_and_mov_keep_the_display_matrix(
    turn: tuple[int, int, int, int], target: str, tiny_model: str, tmp_path: Path
) -> None:
    source = make_video(tmp_path / "in.mp4", scene_frames(2), options={"crf": "0"}, matrix=matrix(turn))
    upscale(source, tmp_path / f"out.{target}", tiny_model, codec="libx264")
    before = read_with_av(source).pictures[0]
    after = read_with_av(tmp_path / f"out.{target}").pictures[0]
    assert np.array_equal(samples(after)[0], Engine(tiny_model)(samples(before)[0]))
    *kept, x, y, _ = matrix(turn)
    if turn != (1, 0, 0, 1):
        assert stored_matrix(tmp_path / f"out.{target}") == (*kept, 2 * x, 2 * y, LAST)


@pytest.mark.parametrize("target", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("ratio", [Fraction(4, 3), Fraction(11, 12), Fraction(1)])
def test_the_pixel_aspect_is_kept(ratio: Fraction, target: str, tiny_model: str, tmp_path: Path) -> None:
    make_video(tmp_path / "in.mp4", scene_frames(2), sample_aspect_ratio=ratio)
    upscale(tmp_path / "in.mp4", tmp_path / f"out.{target}", tiny_model)
    assert aspect(tmp_path / f"out.{target}") == ratio


@pytest.mark.parametrize("size", [(32, 24), (24, 24)])
def test_the_pixel_aspect_is_rotated_with_the_frame(size: tuple[int, int], tiny_model: str, tmp_path: Path) -> None:
    make_video(
        tmp_path / "in.mp4",
        scene_frames(2, size=size),
        sample_aspect_ratio=Fraction(4, 3),
        matrix=matrix((0, 1, -1, 0)),
    )
    upscale(tmp_path / "in.mp4", tmp_path / "out.mkv", tiny_model)
    assert aspect(tmp_path / "out.mkv") == Fraction(3, 4)


def test_another_size_keeps_the_display_aspect(tiny_model: str, tmp_path: Path) -> None:
    make_video(tmp_path / "in.mp4", scene_frames(2), sample_aspect_ratio=Fraction(4, 3))
    upscale(tmp_path / "in.mp4", tmp_path / "out.mp4", tiny_model, to="64x64")
    assert aspect(tmp_path / "out.mp4") == Fraction(4, 3) * Fraction(32, 24)


def interlaced_frames(count: int) -> list[av.VideoFrame]:
    """Interlaced frames: two scene frames each, in even and odd rows."""
    size = (96, 64)
    frames = [scene_frame("gray", index=4 * index, size=size) for index in range(count)]
    for index, frame in enumerate(frames):
        samples(frame)[0][1::2] = samples(scene_frame("gray", index=4 * index + 2, size=size))[0][1::2]
    return [frame.reformat(format="yuv420p", threads=1) for frame in frames]


def combing(frame: av.VideoFrame) -> float:
    """Mean difference between adjacent rows, beyond that between every other row."""
    rows = samples(frame)[0].astype(float)
    return np.abs(rows[1:-1] * 2 - rows[:-2] - rows[2:]).mean() / np.abs(rows[2:] - rows[:-2]).mean()


def test_deinterlaced_frames_keep_their_times(tiny_model: str, tmp_path: Path) -> None:
    pts = [0, 400, 1100, 1600, 2500, 3000]
    interlaced = {"crf": "0", "flags": "+ildct+ilme", "x264-params": "tff=1"}
    frames = interlaced_frames(6)
    frames[-1].duration = 900
    make_video(tmp_path / "in.mp4", frames, pts=pts, options=interlaced)
    with Reader(tmp_path / "in.mp4") as reader:
        assert reader.info.interlaced
    with Reader(tmp_path / "in.mp4", deinterlace=True) as reader:
        assert not reader.info.interlaced
        whole = [frame.av_frame for frame in reader]
    before = read_with_av(tmp_path / "in.mp4")
    assert max(map(combing, whole)) < 0.5 * min(map(combing, before.pictures))
    report = upscale(tmp_path / "in.mp4", tmp_path / "out.mp4", tiny_model, deinterlace=True)
    after = read_with_av(tmp_path / "out.mp4")
    assert (after.times, report.damage, report.warnings) == (before.times, [], [])
    assert upscale(tmp_path / "in.mp4", tmp_path / "two.mp4", tiny_model).warnings  # about the combing


@pytest.mark.parametrize("suffix", ["h264", "ts"])
@pytest.mark.parametrize("sizes", [[(32, 24), (64, 48)], [(64, 48), (33, 25)]])
def test_frames_are_resized_to_the_first_frame(
    suffix: str, sizes: list[tuple[int, int]], tiny_model: str, tmp_path: Path
) -> None:
    parts = []
    for number, size in enumerate(sizes):
        even = (size[0] // 2 * 2, size[1] // 2 * 2)
        parts.append(make_clip(tmp_path / f"{number}.{suffix}", size=even, pts=[512 * i for i in range(6)]))
    whole = tmp_path / f"in.{suffix}"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    report = upscale(whole, tmp_path / "out.mp4", tiny_model)
    read = read_with_av(tmp_path / "out.mp4")
    assert {(frame.width, frame.height) for frame in read.pictures} == {(2 * sizes[0][0], 2 * sizes[0][1])}
    assert (report.frames_written, report.damage) == (12, [])
    assert set(np.diff(read.times)) == {Fraction(1, 30) if suffix == "ts" else read.times[1]}
    shown = [samples(frame)[0].mean() for frame in read.pictures]
    assert np.allclose(shown[:6], shown[6:], atol=8)  # the same scene at the same size
