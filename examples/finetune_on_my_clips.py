"""Fine-tune a network on clips of a camera's main stream, then upscale its sub-stream.

python examples/finetune_on_my_clips.py camera-3 sub-stream.mp4 monday.mp4 tuesday.mp4 friday.mp4
"""

import sys
from pathlib import Path

from vidsr import UpscaleSettings, upscale
from vidsr.settings import FinetuneSettings
from vidsr.training.finetune.finetune import finetune
from vidsr.training.finetune.finetune_data import from_footage


def finetune_and_upscale(folder: Path, lr: Path, clips: list[Path], *, settings: FinetuneSettings) -> Path | None:
    """The upscaled sub-stream, next to the network and its report; None if the network is no better than its start."""
    data = from_footage(clips, [], [], settings, on_warning=print)
    result = finetune(data, folder, settings, on_warning=print)
    print(result.acceptance)
    if not result.model:
        return None
    hr = folder / f"{lr.stem}-upscaled.mp4"
    upscale(lr, hr, settings=UpscaleSettings(model=str(result.model)))
    return hr


if __name__ == "__main__":
    folder, lr, *clips = map(Path, sys.argv[1:]) if len(sys.argv) > 3 else sys.exit(__doc__)
    finetune_and_upscale(folder, lr, clips, settings=FinetuneSettings())
