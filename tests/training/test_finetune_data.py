"""What a fine-tuning makes of the files that it is given, before anything is trained."""

from pathlib import Path

import av
import pytest
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
