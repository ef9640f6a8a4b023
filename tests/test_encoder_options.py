"""What a user says of the encoding beyond codec, crf and preset: the encoder's own options, pixel format, bitrate."""

import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import av
import numpy as np
import pytest
from commands import USAGE, Command, Refused
from footage import make_video, scene_frames
from made import make_clip

from vidsr.live.camera_file import read_cameras
from vidsr.media.encoders import check_settings, encoder_options
from vidsr.settings import EncodeSettings

GRAIN = ("--codec", "libsvtav1", "--preset", "12", "--encoder-option", "svtav1-params=film-grain=20")


def packets(path: Path) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def decoded(path: Path, **options: str) -> np.ndarray:
    """Every luma; `options` are those of FFmpeg's own decoder."""
    with av.open(path) as container:
        video = container.streams.video[0]
        context = av.CodecContext.create(video.codec_context.name, "r")
        context.options = options
        context.extradata = video.codec_context.extradata
        frames = [frame for packet in container.demux(video) for frame in context.decode(packet)]
    return np.stack([frame.to_ndarray()[: frame.height].astype(int) for frame in frames])


def test_an_option_reaches_the_encoder_and_the_last_of_a_name_counts(
    upscale: Command, clip: Path, tmp_path: Path
) -> None:
    keys = []
    for number, options in enumerate(([], ["g=1"], ["g=1", "g=4"])):
        target = tmp_path / f"{number}.mkv"
        assert upscale(*(word for each in options for word in ("--encoder-option", each)), clip, target).code == 0
        with av.open(target) as container:
            keys.append(sum(packet.is_keyframe for packet in container.demux(video=0) if packet.size))
    assert keys == [1, 24, 6]


def test_the_film_grain_of_av1_is_in_the_stream_for_the_player_to_apply(
    upscale: Command, clip: Path, tmp_path: Path
) -> None:
    ended = upscale(*GRAIN, clip, tmp_path / "grain.mkv")
    assert ended.code == 0, ended.err
    with_grain, without = (decoded(tmp_path / "grain.mkv", filmgrain=applied) for applied in ("1", "0"))
    assert 0.3 < np.abs(with_grain - without).mean() < 20


def test_x265_is_tuned_for_grain_beside_the_parameters_that_vidsr_needs(tmp_path: Path) -> None:
    encode = EncodeSettings(codec="libx265", encoder_option=("tune=grain", "x265-params=aq-mode=0"))
    options = encoder_options(encode, {"x265-params": "hdr10=1"})
    assert options["tune"] == "grain"
    assert options["x265-params"] == "log-level=none:aq-mode=0:hdr10=1"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--encoder-option", "tun=grain"], "libx264 has no option 'tun'; did you mean 'tune'?"),
        (["--encoder-option", "zzzzzz=1"], "libx264 has no option 'zzzzzz'"),
        (["--encoder-option", "color_range=2"], "libx264 has no option 'color_range'"),
        (["--encoder-option", "time_base=1/7"], "libx264 has no option 'time_base'"),
        (["--encoder-option", "g=many"], "libx264 refuses --encoder-option g=many"),
        (["--encoder-option", "x264-params=foo=1"], "Error parsing option 'foo = 1'"),
        (["--codec", "libx265", "--encoder-option", "x265-params=foo=1"], "Unknown option: foo"),
        (["--codec", "libx265", "--encoder-option", "x265-params=rd=x"], "Invalid value for rd: x"),
        (["--codec", "libsvtav1", "--encoder-option", "svtav1-params=grain=1"], "Error parsing option grain: 1"),
        (["--crf", "60"], "libx264 takes a --crf of 0 to 51, not 60"),
        (["--codec", "h264", "--crf", "52"], "libx264 takes a --crf of 0 to 51, not 52"),
        (["--codec", "libx265", "--crf", "52"], "libx265 takes a --crf of 0 to 51, not 52"),
        (
            ["--codec", "libx265", "--encoder-option", "x265-params=rd=9:qp=60"],
            "a --encoder-option rd of 1 to 6, not 9",
        ),
        (
            ["--encoder-option", "x264-params=bframes=99"],
            "libx264 takes a --encoder-option bframes of 0 to 16, not 99",
        ),
        (["--encoder-option", "bf=17"], "libx264 takes a --encoder-option bf of 0 to 16, not 17"),
        (["--encoder-option", "qp=-3"], "libx264 takes a --encoder-option qp of 0 to 69, not -3"),
        (["--encoder-option", "g=-5"], "libx264 takes a --encoder-option g of at least -1, not -5"),
        (["--codec", "libsvtav1", "--encoder-option", "qmax=90"], "a --encoder-option qmax of -1 to 69, not 90"),
        (
            ["--codec", "libvpx-vp9", "--encoder-option", "cpu-used=9"],
            "for parameter 'cpu-used' out of range [-8 - 8]",
        ),
        (["--codec", "libx265", "--preset", "foo"], "libx265 takes a --preset of ultrafast, superfast, "),
        (["--codec", "ffv1", "--bitrate", "1M"], "ffv1 has no --bitrate"),
        (["--codec", "ffv1", "--max-rate", "1M"], "ffv1 has no --max-rate"),
        (["--codec", "libvpx-vp9", "--max-rate", "1M"], "libvpx-vp9 holds a --max-rate over many seconds only"),
        (["--pixel-format", "yuv420"], "no pixel format named 'yuv420'"),
        (["--pixel-format", "rgb24"], "--pixel-format must be planar YUV or grey, not rgb24; the nearest is yuv444p"),
        (["--pixel-format", "nv12"], "not nv12; the nearest is yuv420p"),
        (["--codec", "libx264", "--pixel-format", "yuv420p12le"], "libx264 cannot hold yuv420p12le, but gray, "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_the_encoder_does_not_have_is_refused_by_name(
    words: list[str], sentence: str, refused: Refused, clip: Path, tmp_path: Path
) -> None:
    assert sentence in refused(USAGE, *words, clip, tmp_path / "out.mkv")


@pytest.mark.parametrize(
    ("name", "words", "limits"),
    [
        ("out.mp4", ["--crf", "60"], "0 to 51, not 60"),
        ("out.mkv", ["--codec", "libsvtav1", "--preset", "99"], "[-2 - 13]"),
        ("out.webm", ["--encoder-option", "cpu-used=77"], "[-8 - 8]"),
        ("out.mkv", ["--codec", "ffv1", "--encoder-option", "slices=99999999999"], "out of range"),
        ("-", ["--codec", "libx264", "--output-format", "matroska", "--crf", "60"], "0 to 51, not 60"),
    ],
)
def test_a_number_out_of_range_is_found_before_a_source_is_looked_for(
    name: str, words: list[str], limits: str, refused: Refused, tmp_path: Path
) -> None:
    target = name if name == "-" else tmp_path / name
    assert limits in refused(USAGE, *words, tmp_path / "missing.mp4", target)
    assert limits in refused(USAGE, "--explain", *words, tmp_path / "missing.mp4", target)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--preset", "foo"], "a --preset of ultrafast, superfast, veryfast, "),
        (["--encoder-option", "tune=grain,foo"], "a --encoder-option tune of film, animation, "),
        (["--encoder-option", "profile=foo"], "a --encoder-option profile of baseline, main, "),
    ],
)
def test_x264_has_no_words_of_its_own_beside_the_sentence(
    words: list[str], sentence: str, clip: Path, tmp_path: Path
) -> None:
    """It prints them by the C library, which only another process shows."""
    command = [sys.executable, "-m", "vidsr", "upscale", *words, clip, tmp_path / "out.mp4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == USAGE
    assert done.stderr.startswith("vidsr: libx264 takes a")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "encode",
    [
        EncodeSettings(preset="Slow", encoder_option=("tune=film,zerolatency", "profile=high")),
        EncodeSettings(preset="3", codec="libx265"),
        EncodeSettings(codec="libx265", encoder_option=("tune=grain", "profile=main")),
    ],
)
def test_names_that_encoders_know_are_taken(encode: EncodeSettings) -> None:
    check_settings(encode)


def test_a_folder_whose_every_file_would_be_refused_has_one_sentence(
    refused: Refused, clip: Path, tmp_path: Path
) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "in").mkdir(exist_ok=True)
        shutil.copy(clip, tmp_path / "in" / name)
    words = ["--codec", "libsvtav1", "--preset", "99"]
    assert "[-2 - 13]" in refused(USAGE, *words, tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_makes_no_sense_is_a_fault_of_usage(refused: Refused, clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    assert "--encoder-option must be KEY=VALUE, not 'tune'" in refused(USAGE, "--encoder-option", "tune", clip, target)
    assert "--bitrate must be alone, not beside crf" in refused(USAGE, "--bitrate", "1M", "--crf", "20", clip, target)
    assert "--bitrate must be 2000M or less" in refused(USAGE, "--bitrate", "900000M", clip, target)
    assert "--max-rate must be 50k or more" in refused(USAGE, "--max-rate", "49k", clip, target)
    assert "not '1 Mbit'" in refused(USAGE, "--bitrate", "1 Mbit", clip, target)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "libvpx-vp9"])
def test_the_help_names_the_quality_that_each_codec_has_by_default(codec: str) -> None:
    crf = next(field for field in fields(EncodeSettings) if field.name == "crf")
    assert f"{codec} {encoder_options(EncodeSettings(codec=codec))['crf']}" in crf.metadata["help"]


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9"])
def test_a_bitrate_is_kept_instead_of_a_quality(codec: str, upscale: Command, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", size=(96, 64), pts=[512 * i for i in range(60)])
    sizes = {}
    for rate in ("50k", "0.4M"):
        target = tmp_path / f"{rate}.mkv"
        ended = upscale("--codec", codec, "--bitrate", rate, clip, target)
        assert ended.code == 0, ended.err
        sizes[rate] = 8 * sum(map(len, packets(target))) / 2  # of two seconds
    assert 25_000 < sizes["50k"] < 120_000
    assert 200_000 < sizes["0.4M"] < 700_000


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
def test_noise_stays_below_the_highest_rate(codec: str, upscale: Command, tmp_path: Path) -> None:
    noise, frames = np.random.default_rng(1), list[av.VideoFrame]()
    for _ in range(60):
        frames.append(av.VideoFrame.from_ndarray(noise.integers(0, 255, (96, 96), np.uint8), format="yuv420p"))
    clip = make_video(tmp_path / "noise.mkv", frames, codec="ffv1")
    rates = {}
    for limit in ((), ("--max-rate", "300k")):
        ended = upscale("--codec", codec, "--crf", "20", *limit, "--overwrite", clip, tmp_path / "out.mkv")
        assert ended.code == 0, ended.err
        rates[limit] = 8 * sum(map(len, packets(tmp_path / "out.mkv"))) / 2  # of two seconds
    free, bound = rates.values()
    assert free > 900_000
    assert bound < 600_000  # the first second may hold a whole buffer more


@pytest.mark.parametrize(
    ("stored", "asked", "codec"),
    [
        ("yuv420p", "yuv420p10le", "h264"),
        ("yuv444p", "yuv420p", "h264"),
        ("yuv420p10le", "yuv420p", "h264"),
        ("yuv420p", "yuv420p12le", "hevc"),
        ("yuv420p", "gray16le", "ffv1"),
        ("yuv420p", "yuv422p16le", "ffv1"),
    ],
)
def test_a_pixel_format_is_what_the_file_has(
    stored: str, asked: str, codec: str, upscale: Command, tmp_path: Path
) -> None:
    source = make_video(tmp_path / "in.mkv", scene_frames(2, stored, size=(64, 48)), codec="ffv1")
    same = upscale("--codec", "ffv1", source, tmp_path / "same.mkv")
    ended = upscale("--pixel-format", asked, "--crf", "0", source, tmp_path / "out.mkv")
    assert (same.code, ended.code) == (0, 0), ended.err
    with av.open(tmp_path / "out.mkv") as container:
        assert container.streams.video[0].codec_context.codec.canonical_name == codec
        frames = list(container.decode(video=0))
        assert frames[0].format.name == asked
        lumas = [frame.reformat(format="gray16le").to_ndarray() / 65536 for frame in frames]
    with av.open(tmp_path / "same.mkv") as container:
        expected = [frame.reformat(format="gray16le").to_ndarray() / 65536 for frame in container.decode(video=0)]
    assert np.abs(np.stack(lumas) - np.stack(expected)).max() < 5 / 255


def test_a_file_of_cameras_lists_encoder_options(tmp_path: Path) -> None:
    camera = '[cameras.a]\nsource = "rtsp://h/"\ntargets = ["x"]\n'
    (tmp_path / "cameras.toml").write_text(camera + 'encoder-option = ["tune=grain", "g=30"]\nbitrate = "1M"\n')
    (config,) = read_cameras(tmp_path / "cameras.toml")
    assert config.encode.encoder_options == {"tune": "grain", "g": "30"}
    (tmp_path / "cameras.toml").write_text(camera + 'encoder-option = "tune=grain"')
    with pytest.raises(ValueError, match="encoder-option must be a list of at least one text"):
        read_cameras(tmp_path / "cameras.toml")
