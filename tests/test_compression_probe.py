"""The measure of compression, on clips of known quality."""

from fractions import Fraction
from pathlib import Path

import av
import pytest
from footage import make_video, scene_frames

from vidsr.media.compression_probe import Compression
from vidsr.media.formats import luma_of
from vidsr.media.reader import Reader

SIZE = (192, 128)
TICK = Fraction(1, 30)  # MPEG-1 and -2 know few others


def measured(path: Path, codec: str, options: dict[str, str], *, pixel_format: str = "yuv420p") -> Compression:
    with Reader(
        make_video(path, scene_frames(12, pixel_format, size=SIZE), codec=codec, options=options, time_base=TICK)
    ) as reader:
        return reader.info.compression


def exactly(quantiser: int) -> dict[str, str]:
    """Options of FFmpeg's own encoders."""
    return {"qmin": str(quantiser), "qmax": str(quantiser)}


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
        ("libsvtav1", "av1", {"crf": "4"}, {"crf": "60"}),
        ("mjpeg", "mjpeg", exactly(2), exactly(20)),
    ],
)
def test_of_a_codec_that_tells_no_quantiser_there_are_the_bits(
    tmp_path: Path, codec: str, name: str, fine: dict[str, str], coarse: dict[str, str]
) -> None:
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    many, few = (
        measured(tmp_path / f"{number}.mkv", codec, options, pixel_format=pixel_format)
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
