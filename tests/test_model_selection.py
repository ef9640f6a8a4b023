"""The measure of compression, on clips of known quality, and the weights that it leads to."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from commands import Command
from footage import make_video, scene_frames
from made import AMX, AVX2, VNNI, ZEN2

from vidsr.cpu import Cpu
from vidsr.engine import Engine
from vidsr.errors import ModelError
from vidsr.media.compression_probe import Compression
from vidsr.media.formats import luma_of
from vidsr.media.reader import Reader
from vidsr.model.weights import blend
from vidsr.model.zoo import full_name, load_model, model_names, model_path
from vidsr.model_selection import USUAL_FAMILY, select_family, select_model

SIZE = (192, 128)
TICK = Fraction(1, 30)  # MPEG-1 and -2 know few others
CLEAN, VIDEO = "fsrcnn-narrow-x2", "fsrcnn-narrow-x2-video"


def measured(path: Path, codec: str, options: dict[str, str], *, pixel_format: str = "yuv420p") -> Compression:
    with Reader(
        make_video(path, scene_frames(12, pixel_format, size=SIZE), codec=codec, options=options, time_base=TICK)
    ) as reader:
        return reader.info.compression


def exactly(quantiser: int) -> dict[str, str]:
    """Options of FFmpeg's own encoders."""
    return {"qmin": str(quantiser), "qmax": str(quantiser)}


# The measure


@pytest.mark.parametrize("quantiser", [10, 20, 35])
@pytest.mark.parametrize(("pixel_format", "more"), [("yuv420p", 0), ("yuv420p10le", 12)])
def test_the_quantiser_of_h264_is_what_its_encoder_was_told(
    tmp_path: Path, quantiser: int, pixel_format: str, more: int
) -> None:
    # x264 counts that of deep pictures from 0, which is 12 lower.
    options = {"qp": str(quantiser + more), "x264-params": "aq-mode=0:ipratio=1"}
    found = measured(tmp_path / "clip.mp4", "libx264", options, pixel_format=pixel_format)
    assert found.quantiser == quantiser


def test_a_lossless_film_of_h264_has_the_quantiser_0(tmp_path: Path) -> None:
    found = measured(tmp_path / "clip.mp4", "libx264", {"crf": "0"})
    assert (found.quantiser, found.lossless) == (0, False)


def test_the_quantiser_is_the_mean_of_what_the_blocks_have(tmp_path: Path) -> None:
    frames = scene_frames(3, size=SIZE)
    for frame in frames:
        luma_of(frame)[:, : SIZE[0] // 2] = 90  # flat, so that it is given a finer one
    clip = make_video(tmp_path / "clip.mp4", frames, options={"crf": "25", "x264-params": "aq-strength=2"})
    with av.open(clip) as container:
        container.streams.video[0].codec_context.options = {"export_side_data": "venc_params"}
        told = next(container.decode(video=0)).side_data["VIDEO_ENC_PARAMS"].qp_map()
    assert told.std() > 1
    with Reader(clip) as reader:
        assert reader.info.compression.quantiser == pytest.approx(told.mean(), abs=0.05)


@pytest.mark.parametrize("codec", ["mpeg4", "mpeg2video", "mpeg1video"])
def test_twice_the_step_of_the_old_codecs_is_6_more(tmp_path: Path, codec: str) -> None:
    fine = measured(tmp_path / "fine.mkv", codec, exactly(4)).quantiser
    coarse = measured(tmp_path / "coarse.mkv", codec, exactly(8)).quantiser
    assert fine == pytest.approx(22.1, abs=0.1)  # a step of 8 grey levels
    assert coarse == pytest.approx(28.1, abs=0.1)


def test_vp9_tells_its_quantiser(tmp_path: Path) -> None:
    fine, coarse = (
        measured(tmp_path / f"{crf}.webm", "libvpx-vp9", {"crf": crf, "b:v": "0"}).quantiser for crf in ("5", "50")
    )
    assert fine is not None
    assert coarse is not None
    assert fine < 10 < 25 < coarse


@pytest.mark.parametrize(
    ("codec", "name", "fine", "coarse"),
    [
        ("libx265", "hevc", {"crf": "4"}, {"crf": "40"}),
        ("libsvtav1", "av1", {"crf": "4"}, {"crf": "60"}),
        ("mjpeg", "mjpeg", exactly(2), exactly(20)),
    ],
)
def test_of_a_codec_that_tells_no_quantiser_there_are_the_bits(
    tmp_path: Path, codec: str, name: str, fine: dict[str, str], coarse: dict[str, str]
) -> None:
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    many, few = (
        measured(tmp_path / f"{number}.mkv", codec, options | quiet, pixel_format=pixel_format)
        for number, options in enumerate((fine, coarse))
    )
    assert (many.codec, many.lossless, many.quantiser, few.quantiser) == (name, False, None, None)
    assert many.bits_per_pixel > 2 * few.bits_per_pixel > 0


@pytest.mark.parametrize(("codec", "pixel_format"), [("ffv1", "yuv420p"), ("huffyuv", "yuv422p"), ("png", "rgb24")])
def test_a_codec_that_loses_nothing_is_known(tmp_path: Path, codec: str, pixel_format: str) -> None:
    assert measured(tmp_path / "clip.avi", codec, {}, pixel_format=pixel_format).lossless


def test_the_bits_are_those_of_the_first_packet_for_a_pixel(tmp_path: Path) -> None:
    found = measured(tmp_path / "raw.avi", "rawvideo", {})
    assert (found.lossless, found.bits_per_pixel) == (True, 12)


def test_a_part_of_a_film_is_measured_at_the_key_frame_before_it(tmp_path: Path) -> None:
    whole = measured(tmp_path / "clip.mp4", "libx264", {"crf": "20"})
    with Reader(tmp_path / "clip.mp4", start_s=0.3) as part:
        assert part.info.compression == whole


# The choice


@pytest.mark.parametrize(
    ("codec", "quantiser", "bits", "model"),
    [
        ("h264", 0.0, 6.0, CLEAN),
        ("h264", 6.0, 5.0, CLEAN),
        ("h264", 6.1, 5.0, f"{VIDEO}25"),
        ("h264", 16.0, 1.5, f"{VIDEO}50"),
        ("h264", 20.0, 1.5, f"{VIDEO}50"),
        ("h264", 20.1, 1.5, f"{VIDEO}75"),
        ("h264", 30.0, 9.0, VIDEO),
        ("h264", 3.0, 0.05, f"{VIDEO}75"),
        ("h264", 30.0, 0.05, VIDEO),
        ("hevc", None, 2.5, f"{VIDEO}25"),
        ("hevc", None, 1.4, f"{VIDEO}50"),
        ("av1", None, 0.1, f"{VIDEO}75"),
        ("mjpeg", None, 1.4, VIDEO),
        ("mjpeg", None, 1.5, f"{VIDEO}75"),
        ("prores", None, 3.5, f"{VIDEO}50"),
        ("vp8", None, 0.3, VIDEO),
    ],
)
def test_a_film_gets_the_more_weights_for_video_the_stronger_it_is_compressed(
    codec: str, quantiser: float | None, bits: float, model: str
) -> None:
    found = Compression(codec=codec, lossless=False, quantiser=quantiser, bits_per_pixel=bits)
    assert select_model(found, still=False, scale=2, names=[CLEAN, VIDEO]).model == model


def test_a_film_without_loss_gets_clean_weights_however_few_its_bits() -> None:
    found = Compression(codec="ffv1", lossless=True, quantiser=None, bits_per_pixel=0.01)
    assert str(select_model(found, still=False, scale=2, names=[CLEAN, VIDEO])) == f"{CLEAN} (ffv1 is lossless)"


HARD = Compression(codec="h264", lossless=False, quantiser=35.0, bits_per_pixel=0.5)


def test_a_picture_gets_clean_weights_however_hard_it_is_compressed() -> None:
    assert str(select_model(HARD, still=True, scale=2, names=[CLEAN, VIDEO])) == f"{CLEAN} (an image)"


def test_a_scale_without_weights_for_video_gets_clean_ones_and_says_so() -> None:
    choice = select_model(HARD, still=False, scale=3, names=[CLEAN, VIDEO, "fsrcnn-narrow-x3"])
    assert (choice.model, choice.why) == ("fsrcnn-narrow-x3", "no fsrcnn-narrow-x3-video in the zoo")
    assert select_model(HARD, still=False, scale=2, names=[CLEAN, VIDEO]).model == VIDEO


# The family


WIDE = [f"fsrcnn-wide-x2{end}" for end in ("", "-video")]


@pytest.mark.parametrize(
    ("cpu", "family"),
    [(AMX, "fsrcnn-wide"), (VNNI, "fsrcnn-narrow"), (AVX2, "fsrcnn-narrow"), (ZEN2, "fsrcnn-narrow")],
)
def test_the_wide_network_is_for_cpus_that_afford_it_and_for_those_who_ask(cpu: Cpu, family: str) -> None:
    assert select_family(None, scale=2, names=WIDE, cpu=cpu) == family
    assert select_family("best", scale=2, names=WIDE, cpu=cpu) == "fsrcnn-wide"
    assert select_family("normal", scale=2, names=WIDE, cpu=cpu) == "fsrcnn-narrow"
    assert select_family("fast", scale=2, names=WIDE, cpu=cpu) == "fsrcnn-fast"


@pytest.mark.parametrize("quality", [None, "best"])
def test_a_scale_that_the_wide_network_does_not_have_gets_the_usual_one(quality: str | None) -> None:
    assert select_family(quality, scale=3, names=WIDE, cpu=AMX) == "fsrcnn-narrow"
    assert select_family(quality, scale=2, names=WIDE[:1], cpu=AMX) == "fsrcnn-narrow"


@pytest.mark.parametrize("quality", ["fast", "normal", "best"])
def test_a_quality_is_a_network_in_the_report(vidsr: Command, tmp_path: Path, quality: str) -> None:
    clip = make_video(tmp_path / "clip.mkv", scene_frames(2, size=SIZE), codec="ffv1")
    done = vidsr("upscale", "--json", "--workers", "0", "--quality", quality, clip, tmp_path / "out.mkv")
    assert json.loads(done.out)["weights"].startswith(select_family(quality, scale=2, names=model_names()))


# The names


@pytest.mark.parametrize(
    ("model", "scale", "name"),
    [
        ("fsrcnn", 3, "fsrcnn-x3"),
        ("fsrcnn-x3", 3, "fsrcnn-x3"),
        ("fsrcnn-video", 4, "fsrcnn-x4-video"),
        ("fsrcnn-narrow-video", 2, "fsrcnn-narrow-x2-video"),
        ("fsrcnn-narrow-x2-video", 2, "fsrcnn-narrow-x2-video"),
        ("fsrcnn-narrow-video25", 3, "fsrcnn-narrow-x3-video25"),
        ("fsrcnn-narrow-x4-video75", 4, "fsrcnn-narrow-x4-video75"),
    ],
)
def test_the_scale_stands_before_what_weights_are_for(model: str, scale: int, name: str) -> None:
    assert full_name(model, scale) == name


@pytest.mark.parametrize("name", [name for name in model_names() if name.endswith("-video")])
def test_weights_for_video_are_found_by_family_and_scale(name: str) -> None:
    family, _, scale = name.removesuffix("-video").rpartition("-x")
    assert model_path(f"{family}-video", int(scale)) == model_path(name)


# The mean of two


def test_a_name_with_a_percentage_is_the_mean_of_two_networks() -> None:
    clean, video, mean = (load_model(name) for name in (CLEAN, VIDEO, f"{VIDEO}25"))
    for name, tensor in mean.tensors.items():
        assert np.allclose(tensor, 0.75 * clean.tensors[name] + 0.25 * video.tensors[name], atol=1e-6)
    assert mean.calibration
    assert mean.calibration.losses.keys() == {"int8", "int7", "bf16"}
    same = load_model("fsrcnn-narrow-video25", 2)
    assert np.array_equal(same.tensors["feature.weight"], mean.tensors["feature.weight"])


def test_there_is_no_mean_without_weights_for_video_or_of_two_architectures() -> None:
    with pytest.raises(ModelError, match="fsrcnn-s-x2-video"):
        load_model("fsrcnn-s-x2-video25")
    with pytest.raises(ModelError, match="no mean of"):
        blend(load_model(CLEAN), load_model("fsrcnn-x2"), 0.5)


@pytest.mark.parametrize("percent", [25, 50, 75])
def test_a_mean_in_int8_is_as_near_to_its_f32_as_the_two_are(percent: int) -> None:
    plane = luma_of(scene_frames(1, size=SIZE)[0])

    def error(name: str) -> float:
        exact, integers = (Engine(name, precision=each, threads=1)(plane).astype(int) for each in ("f32", "int8"))
        return float(np.square(exact - integers).mean())

    assert error(f"{VIDEO}{percent}") < 1.3 * max(error(CLEAN), error(VIDEO))


# The whole


def used(vidsr: Command, *arguments: str | Path) -> str:
    """What the report says of the weights."""
    ended = vidsr("upscale", "--workers", "0", "--json", *arguments)
    assert ended.code == 0
    said: str = json.loads(ended.out)["weights"]
    assert f"  network: {said}\n" in ended.err
    return said


def here(model: str) -> str:
    return model.replace(USUAL_FAMILY, select_family(None, scale=2, names=model_names()))


@pytest.mark.parametrize(("crf", "model"), [("0", CLEAN), ("5", f"{VIDEO}25"), ("40", VIDEO)])
def test_a_film_gets_what_its_quantiser_asks_for(vidsr: Command, tmp_path: Path, crf: str, model: str) -> None:
    source = make_video(tmp_path / "in.mp4", scene_frames(3, size=SIZE), options={"crf": crf})
    said = used(vidsr, source, tmp_path / "out.mp4")
    assert said.startswith(f"{here(model)} (")
    assert f"model: {said}" in vidsr("info", source).out


def test_a_picture_is_enlarged_with_clean_weights(vidsr: Command, tmp_path: Path) -> None:
    frames = scene_frames(1, "yuvj420p", size=SIZE)
    source = make_video(tmp_path / "in.jpg", frames, codec="mjpeg", options=exactly(30))
    assert used(vidsr, source, tmp_path / "out.png") == f"{here(CLEAN)} (an image)"


@pytest.mark.parametrize("model", ["fsrcnn-s", "fsrcnn-narrow-x2"])
def test_a_model_that_was_named_is_taken_whatever_the_source(vidsr: Command, tmp_path: Path, model: str) -> None:
    source = make_video(tmp_path / "in.mp4", scene_frames(3, size=SIZE), options={"crf": "40"})
    assert used(vidsr, "--model", model, source, tmp_path / "out.mp4") == full_name(model, 2)


def test_the_scale_that_a_size_asks_for_is_that_of_the_choice(vidsr: Command, tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", scene_frames(3, size=SIZE), codec="ffv1")
    assert used(vidsr, "--to", "512x384", source, tmp_path / "out.mp4").startswith("fsrcnn-narrow-x3 (ffv1")
