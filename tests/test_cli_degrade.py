"""`vidsr degrade` writes what a training would learn from, and says what was done."""

import dataclasses
import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from commands import SOURCE, TARGET, USAGE, Command, contents, full_disk
from made import make_clip, make_sound, scene
from oracles import read_with_av, samples

from vidsr.cli import build_parser
from vidsr.errors import TargetError
from vidsr.media.luma_video import write_luma_video
from vidsr.quality.matlab import imresize
from vidsr.quality.metrics import psnr
from vidsr.settings import DegradeSettings

PLAIN = ("--blur-share", "0", "--noise-share", "0", "--denoise-share", "0", "--sharpen-share", "0")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", size=(130, 94), pts=[512 * i for i in range(30)])


def test_a_video_becomes_smaller_and_each_frame_stays_what_it_was(vidsr: Command, film: Path, tmp_path: Path) -> None:
    target = tmp_path / "small.mkv"
    ended = vidsr("degrade", film, target, *PLAIN, "--kernels", "area:1", "--frames", "9", "--codec-share", "0")
    start_s = float(ended.out.partition(" from ")[2].partition(" s")[0])
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"{target}: 9 frames from {start_s:.2f} s, 65x47: area, no codec\n"
    large = [samples(picture)[0] for picture in read_with_av(film).pictures]
    first = round(start_s * 30)
    for number, picture in enumerate(read_with_av(target).pictures):
        small = samples(picture)[0].astype(int)
        exact = large[first + number].reshape(47, 2, 65, 2).mean(axis=(1, 3))
        assert np.abs(small - exact).max() <= 0.5
        assert {int(plane.min()) for plane in samples(picture)[1:]} == {128}


def test_a_full_disk_is_named_wherever_it_strikes(film: Path, tmp_path: Path) -> None:
    target, planes = tmp_path / "small.mkv", list(np.random.default_rng(0).integers(0, 256, (20, 48, 64), np.uint8))
    write_luma_video(target, planes, Fraction(25), source=film, overwrite=True)
    before = contents(tmp_path)
    for limit in range(0, target.stat().st_size, 3000):
        with full_disk(limit), pytest.raises(TargetError, match=": File too large"):
            write_luma_video(target, planes, Fraction(25), source=film, overwrite=True)
    assert contents(tmp_path) == before


def test_a_image_becomes_a_clip(vidsr: Command, tmp_path: Path) -> None:
    source = tmp_path / "picture.png"
    av.VideoFrame.from_ndarray(scene(0, (200, 160)), format="rgb24").save(source)
    ended = vidsr("degrade", source, tmp_path / "clip.mkv", "--scale", "3", "--frames", "6", "--codec-share", "1")
    assert (ended.code, ended.err) == (0, "")
    pictures = read_with_av(tmp_path / "clip.mkv").pictures
    assert {(picture.width, picture.height) for picture in pictures} == {(58, 46)}
    assert len(pictures) == 6


def test_what_was_done_is_reported_as_json(vidsr: Command, film: Path, tmp_path: Path) -> None:
    codec = ("--codec-share", "1", "--codecs", "x265:1", "--x265-crf", "30", "--gop", "7", "--second-share", "0")
    ended = vidsr("degrade", film, tmp_path / "a.mkv", *PLAIN, *codec, "--frames", "8", "--json")
    told = json.loads(ended.out)
    assert (told["frames"], told["size"], told["blur"], told["noise"]) == (8, [65, 47], 0, 0)
    (encode,) = told["encodes"]
    assert {**encode, "preset": ""} == {"kind": "x265", "level": 30, "gop": 7, "preset": ""}


def test_the_seed_decides_and_coarse_codecs_show(vidsr: Command, film: Path, tmp_path: Path) -> None:
    files = {}
    for name, *options in (("a", "--seed", "3"), ("b", "--seed", "3"), ("c", "--seed", "4")):
        vidsr("degrade", film, tmp_path / f"{name}.mkv", *options)
        files[name] = [samples(p)[0].tobytes() for p in read_with_av(tmp_path / f"{name}.mkv").pictures]
    assert files["a"] == files["b"] != files["c"]
    quality = {}
    for crf in ("0", "45"):
        fixed = (*PLAIN, "--kernels", "area:1", "--codec-share", "1", "--codecs", "x264:1", "--x264-crf", crf)
        vidsr("degrade", film, tmp_path / f"{crf}.mkv", *fixed, "--second-share", "0", "--frames", "30")
        small = samples(read_with_av(tmp_path / f"{crf}.mkv").pictures[3])[0]
        large = [samples(picture)[0] for picture in read_with_av(film).pictures]
        quality[crf] = max(psnr(plane, imresize(small, 2)) for plane in large)
    assert quality["0"] > quality["45"] + 3


def test_every_setting_is_an_option_of_the_same_name_and_default() -> None:
    args = build_parser().parse_args(["degrade", "a.mp4", "b.mkv"])
    assert {name: getattr(args, name) for name in vars(DegradeSettings())} == dataclasses.asdict(DegradeSettings())


@pytest.mark.parametrize(
    ("code", "sentence", "options"),
    [
        (USAGE, "--x264-crf must be a range within 0-51, not 18-99", ["--x264-crf", "18-99"]),
        (USAGE, "--codecs must be written like x264:3,x265:1, of", ["--codecs", "vp8:1"]),
        (USAGE, "--noise-share must be from 0 to 1, not 2", ["--noise-share", "2"]),
    ],
)
def test_options_that_make_no_sense_are_refused(
    vidsr: Command, film: Path, tmp_path: Path, code: int, sentence: str, options: list[str]
) -> None:
    ended = vidsr("degrade", film, tmp_path / "a.mkv", *options)
    assert (ended.code, ended.out, list(tmp_path.iterdir())) == (code, "", [])
    assert ended.err.startswith(f"vidsr: {sentence}")


def test_sources_and_targets_that_cannot_be_are_named(vidsr: Command, film: Path, tmp_path: Path) -> None:
    there, sound, tiny = tmp_path / "there.mkv", make_sound(tmp_path / "sound.m4a"), tmp_path / "tiny.mp4"
    there.write_bytes(b"mine")
    make_clip(tiny, size=(40, 30))
    before = contents(tmp_path)
    for code, sentence, source, target in (
        (TARGET, "there.mkv: exists already", film, there),
        (TARGET, "a.mp4: the name must end in .mkv", film, tmp_path / "a.mp4"),
        (TARGET, "nowhere/a.mkv: No such file or directory", film, tmp_path / "nowhere/a.mkv"),
        (SOURCE, "none.mp4: No such file or directory", tmp_path / "none.mp4", tmp_path / "a.mkv"),
        (SOURCE, "sound.m4a: holds no image and no video", sound, tmp_path / "a.mkv"),
        (SOURCE, "tiny.mp4: smaller than 64 pixels per side", tiny, tmp_path / "a.mkv"),
    ):
        ended = vidsr("degrade", source, target)
        assert (ended.code, ended.out, ended.err.count("\n")) == (code, "", 1)
        assert ended.err.startswith(f"vidsr: {tmp_path}/{sentence}")
    assert contents(tmp_path) == before
    assert vidsr("degrade", film, there, "--overwrite").code == 0
    assert read_with_av(there).pictures
