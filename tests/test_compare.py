"""`vidsr compare`: scores of two files of one size, or crops of one frame side by side."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import DAMAGED, SOURCE, TARGET, USAGE, Command, Ended
from made import make_clip, scene
from oracles import read_with_av, samples
from PIL import Image

from vidsr.engine import Engine
from vidsr.media.image_reader import read_image
from vidsr.model.weights import Weights
from vidsr.quality.crops import Crop, most_detailed, parse_crop, side_by_side
from vidsr.quality.matlab import studio_chroma, studio_luma, studio_rgb
from vidsr.quality.metrics import psnr, ssim

# Scores


@pytest.fixture(scope="module")
def coarse(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip, coarsely encoded and with other timestamps."""
    return make_clip(tmp_path_factory.mktemp("coarse") / "coarse.mkv", options={"crf": "40"})


def test_a_clip_equals_its_copy(vidsr: Command, clip: Path) -> None:
    line = "PSNR-Y 100.00 dB, SSIM 1.0000 of 24 frames; worst 100.00 dB, 1.0000: frame 0 at 0.000 s\n"
    start = read_with_av(clip).pts[0]
    assert vidsr("compare", clip, clip) == Ended(0, line.replace("0.000 s", f"{start:.3f} s"), "")


def test_every_frame_is_compared_with_the_one_of_its_number(vidsr: Command, clip: Path, coarse: Path) -> None:
    found = json.loads(vidsr("compare", "--json", clip, coarse).out)
    one, other = (
        [samples(picture)[0] for picture in read_with_av(path).pictures] for path in (clip, coarse)
    )  # fmt: skip
    expected = [psnr(before, after) for before, after in zip(one, other, strict=True)]
    worst = int(np.argmin(expected))
    assert found["psnr"] == pytest.approx(np.mean(expected))
    assert found["ssim"] == pytest.approx(np.mean([ssim(*pair) for pair in zip(one, other, strict=True)]))
    assert (found["frames"], found["worst_frame"], found["worst_psnr"]) == (24, worst, pytest.approx(min(expected)))
    assert found["worst_time_s"] == pytest.approx(read_with_av(clip).pts[worst])


def test_pictures_are_compared_by_the_luma_of_the_papers(vidsr: Command, tmp_path: Path) -> None:
    before, after = scene(0), scene(1)
    for name, picture in (("a", before), ("b", after)):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    planes = studio_luma(before), studio_luma(after)
    expected = f"PSNR-Y {psnr(*planes):.2f} dB, SSIM {ssim(*planes):.4f}\n"
    assert vidsr("compare", tmp_path / "a.png", tmp_path / "b.png") == Ended(0, expected, "")


def test_deep_luma_is_not_rounded(vidsr: Command, tmp_path: Path) -> None:
    paths = [make_clip(tmp_path / f"{depth}.mkv", pts=[0], codec="ffv1", pixel_format=name) for depth, name in
             ((8, "yuv420p"), (10, "yuv420p10le"))]  # fmt: skip
    planes = [samples(read_with_av(path).pictures[0])[0] / step for path, step in zip(paths, (1, 4), strict=True)]
    found = json.loads(vidsr("compare", "--json", *paths).out)
    assert found["psnr"] == pytest.approx(psnr(*planes))
    assert found["psnr"] < 100


def test_frames_without_a_counterpart_are_reported_after_the_scores(
    vidsr: Command, clip: Path, tmp_path: Path
) -> None:
    short = make_clip(tmp_path / "short.mp4", pts=[512 * i for i in range(20)])
    for files, counts in (((clip, short), (20, 24)), ((short, clip), (24, 20))):
        ended = vidsr("compare", *files)
        assert (ended.code, ended.out.count(" of 20 frames")) == (DAMAGED, 1)
        said = f"has {counts[0]} frames, the reference {counts[1]}; the first 20 were compared"
        assert ended.err == f"vidsr: {files[1]}: {said}\n"


def test_a_mean_below_the_gate_ends_with_7(vidsr: Command, clip: Path, coarse: Path) -> None:
    ended = vidsr("compare", "--min-psnr", "60", clip, coarse)
    assert (ended.code, ended.out.count("\n")) == (DAMAGED, 1)
    assert ended.err.startswith(f"vidsr: {coarse}: ")
    assert ended.err.endswith(" dB is below 60\n")
    assert vidsr("compare", "--min-psnr", "5", clip, coarse).code == 0


def test_files_that_cannot_be_compared_are_refused_in_one_sentence(vidsr: Command, clip: Path, tmp_path: Path) -> None:
    small = make_clip(tmp_path / "small.mp4", size=(48, 32), pts=[0])
    full = make_clip(tmp_path / "full.mkv", pixel_format="yuvj420p", pts=[0])
    tiny = make_clip(tmp_path / "tiny.mkv", size=(10, 10), codec="ffv1", pts=[0])
    still = tmp_path / "still.png"
    Image.fromarray(scene(0)).save(still)
    for candidate, sentence in {
        small: f"is 48x32, the reference {clip} is 96x64",
        full: "its luma has full range, the reference limited",
        still: "is an image, the reference is a video",
        tmp_path / "none.mp4": "No such file or directory",
    }.items():
        assert vidsr("compare", clip, candidate) == Ended(SOURCE, "", f"vidsr: {candidate}: {sentence}\n")
    sentence = "SSIM needs at least 11 pixels per side"
    assert vidsr("compare", tiny, tiny) == Ended(SOURCE, "", f"vidsr: {tiny}: {sentence}\n")


@pytest.mark.parametrize(
    "arguments", [["a.mp4"], ["a.mp4", "b.mp4", "c.mp4"], ["--picture", "p.png", "a.mp4", "b.mp4"]]
)
def test_too_few_or_too_many_files_are_refused(vidsr: Command, arguments: list[str]) -> None:
    ended = vidsr("compare", *arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (USAGE, "", 1)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--min-psnr 40 --picture p.png a.mp4", "--min-psnr is for two files; --picture draws one"),
        ("--min-psnr nan a.mp4 b.mp4", "argument --min-psnr: invalid decibels value: 'nan'"),
        ("--at inf --picture p.png a.mp4", "argument --at: invalid seconds value: 'inf'"),
        ("--crop 8x8+0+0 a.mp4 b.mp4", "--crop is for --picture"),
        ("--at 0:12 a.mp4 b.mp4", "--at is for --picture"),
        ("--model fsrcnn-x2 a.mp4 b.mp4", "--model is for --picture"),
        ("--strength 0.5 a.mp4 b.mp4", "--strength is for --picture"),
    ],
)
def test_options_that_would_be_left_out_or_mean_nothing_are_refused(vidsr: Command, words: str, sentence: str) -> None:
    ended = vidsr("compare", *words.split())
    assert (ended.code, ended.out) == (USAGE, "")
    assert ended.err.startswith(f"vidsr: {sentence}")


# Crops of a frame


def test_colours_go_to_luma_and_chroma_and_back() -> None:
    picture = scene(3)
    assert np.abs(studio_rgb(studio_luma(picture), studio_chroma(picture)).astype(int) - picture).max() <= 1


def test_the_most_detailed_crops_are_found_and_do_not_overlap() -> None:
    luma = np.full((120, 180), 90, np.uint8)
    random = np.random.default_rng(0)
    luma[10:40, 100:150] = random.integers(0, 256, (30, 50))
    luma[70:110, 5:60] = random.integers(60, 120, (40, 55))
    first, second = most_detailed(luma, 2)
    assert (first.width, first.height) == (60, 40)
    assert 90 <= first.left <= 100
    assert 0 <= first.top <= 10
    assert abs(second.top - 70) <= 2
    assert second.left <= 5


def test_a_small_image_has_fewer_crops() -> None:
    assert all(
        crop.left + crop.width <= 5 and crop.top + crop.height <= 4
        for crop in most_detailed(np.eye(4, 5, dtype=np.uint8))
    )


def test_columns_show_input_methods_and_original(clip: Path, weights: Weights) -> None:
    crop = Crop(width=24, height=16, left=10, top=6)
    (row,) = side_by_side(clip, Engine(weights, threads=1), label="tiny", at_s=0.5, crops=(crop,))
    assert [part.label for part in row] == ["input", "Lanczos", "tiny", "original"]
    assert {part.image.shape for part in row} == {(16, 24, 3)}
    original = studio_luma(row[3].image)
    for part in row[:3]:
        assert part.psnr == pytest.approx(psnr(original, studio_luma(part.image)), abs=0.5)  # clipped colours apart
    blocks = row[0].image.reshape(8, 2, 12, 2, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()
    found = read_with_av(clip)
    shown = next(number for number, time in enumerate(found.times) if time - found.times[0] >= 0.5)
    distances = [np.abs(samples(picture)[0][crop.area].astype(int) - original).mean() for picture in found.pictures]
    assert np.argmin(distances) == shown
    assert distances[shown] < 1


@pytest.mark.parametrize("text", ["", "12x10", "0x5+1+1", "12x10+1", "12x10-1+3", "ax5+1+1"])
def test_a_crop_is_written_in_one_way(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_crop(text)
    assert parse_crop("12x10+1+3") == Crop(width=12, height=10, left=1, top=3)


def test_without_a_model_the_picture_shows_the_network_that_the_source_would_get(
    vidsr: Command, clip: Path, tmp_path: Path
) -> None:
    drawn = vidsr("compare", "--picture", tmp_path / "parts.png", "--json", "--crop", "24x16+0+0", clip)
    assert (drawn.code, drawn.err) == (0, "")
    ((row,),) = [json.loads(drawn.out)]
    network = json.loads(vidsr("info", "--json", clip).out)["model"].partition(" ")[0]
    assert network in row["psnr"]
    assert (tmp_path / "parts.png").exists()


def test_the_picture_is_drawn_and_its_numbers_are_json(
    vidsr: Command, clip: Path, tiny_model: str, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    target = tmp_path / "parts.png"
    draw = ["compare", "--picture", target, "--model", tiny_model, "--crop", "24x16+0+0", "--crop", "32x16+60+40"]
    ended = vidsr(*draw, "--json", clip)
    rows = json.loads(ended.out)
    assert (ended.code, ended.err) == (0, "")
    assert [row["crop"] for row in rows] == ["24x16+0+0", "32x16+60+40"]
    assert all(list(row["psnr"]) == ["input", "Lanczos", "tiny-x2"] for row in rows)
    assert read_image(target).shape[1] > 4 * 320
    assert vidsr(*draw, clip) == Ended(TARGET, "", f"vidsr: {target}: exists already (--overwrite replaces it)\n")
    assert vidsr(*draw, "--overwrite", clip) == Ended(0, "", "")


def test_a_part_that_lies_outside_is_an_error_and_leaves_no_file(
    vidsr: Command, clip: Path, tiny_model: str, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    ended = vidsr("compare", "--picture", tmp_path / "p.png", "--model", tiny_model, "--crop", "20x20+80+0", clip)
    assert ended == Ended(SOURCE, "", f"vidsr: {clip}: the crop 20x20+80+0 exceeds the frame of 96x64\n")
    assert list(tmp_path.iterdir()) == []
