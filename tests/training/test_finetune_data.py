"""What a fine-tuning makes of the files that it is given, before anything is trained."""

from pathlib import Path

import av
import pytest
from av.video.reformatter import ColorTrc
from footage import make_video
from recordings import scene

from vidsr.errors import SourceError
from vidsr.settings import FinetuneSettings
from vidsr.training.finetune.finetune_data import from_footage


@pytest.mark.parametrize("count", [1, 2, 3])
def test_one_or_two_images_are_refused_and_of_three_one_gives_a_hint(tmp_path: Path, count: int) -> None:
    for number in range(count):
        av.VideoFrame.from_ndarray(scene(1, seed=number)[0], format="gray").save(tmp_path / f"{number}.png")
    warnings: list[str] = []
    if count < 3:
        with pytest.raises(SourceError, match=f"too few images, {count} in all; give 3 or more, or clips"):
            from_footage([tmp_path], [], [], FinetuneSettings(), on_warning=pytest.fail)
    else:
        from_footage([tmp_path], [], [], FinetuneSettings(), on_warning=warnings.append)
        assert "this image alone is held out: the gain is a hint" in warnings[0]


def test_interlaced_and_hdr_clips_are_said_to_teach_what_upscale_may_not_show(tmp_path: Path) -> None:
    frames = [av.VideoFrame.from_ndarray(plane, format="gray") for plane in scene(24)]
    pictures = [frame.reformat(format="yuv420p") for frame in frames]
    pts = [512 * number for number in range(24)]
    options = {"crf": "20", "flags": "+ildct+ilme", "x264-params": "tff=1"}
    interlaced = make_video(tmp_path / "interlaced.mp4", pictures, pts=pts, options=options)
    hdr = make_video(tmp_path / "hdr.mp4", pictures, pts=pts, options={"crf": "20"}, color_trc=ColorTrc.SMPTE2084)
    warnings: list[str] = []
    from_footage([interlaced, hdr], [], [], FinetuneSettings(), on_warning=warnings.append)
    assert [sentence.partition(",")[0] for sentence in warnings] == [f"{interlaced}: is interlaced", f"{hdr}: is HDR"]
