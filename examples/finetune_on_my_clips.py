"""A network that knows your camera: tuned to clips of its main stream, then used on its small one.

python examples/finetune_on_my_clips.py camera-3 sub-stream.mp4 monday.mp4 tuesday.mp4 friday.mp4
"""

import sys
from pathlib import Path

from vidsr import UpscaleSettings, upscale
from vidsr.settings import FinetuneSettings
from vidsr.training.finetune.finetune import tune
from vidsr.training.finetune.finetune_data import from_footage


def tune_and_enlarge(folder: Path, small: Path, clips: list[Path], *, settings: FinetuneSettings) -> Path | None:
    """The enlarged sub-stream, beside the network and its report; None where tuning did not pay."""
    gathered = from_footage(clips, [], [], settings, note=print)
    tuned = tune(gathered, folder, settings, note=print)
    print(tuned.verdict)
    if not tuned.model:
        return None
    large = folder / f"{small.stem}-large.mp4"
    upscale(small, large, settings=UpscaleSettings(model=str(tuned.model)))
    return large


if __name__ == "__main__":
    folder, small, *clips = map(Path, sys.argv[1:])
    tune_and_enlarge(folder, small, clips, settings=FinetuneSettings())
