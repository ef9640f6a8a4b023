"""The general network of a camera, from which it learns its own, and how it learns."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from vidsr.errors import SourceError
from vidsr.media.reader import Reader
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model, model_names
from vidsr.model_selection import AUTO, select_family, select_model
from vidsr.settings import FinetuneSettings, LearnSettings, StreamSettings

_USUAL_SCALE = 2
_LAYERS, _RATE = "all", 5e-4  # at 2e-3 pictures of no camera lose far more
_MIN_CLIPS, _MAX_CLIPS = 32, 2_000
_STEPS_PER_CLIP = 2
_MEASUREMENTS = 8  # of the learning curve, each with a checkpoint
_DATASET_SHARE = 0.25  # of the memory


def general_network(stream: StreamSettings, sources: Sequence[Path]) -> tuple[str, Weights]:
    """The model of the stream, and its weights; for auto what it takes for most of the `sources`. Raises ModelError.

    Without one that can be read these are the weights for video.
    """
    if stream.model != AUTO:
        return stream.model, load_model(stream.model, stream.scale, usual_scale=_USUAL_SCALE)
    scale, names = stream.scale or _USUAL_SCALE, model_names()
    family = select_family(None, scale=scale, names=names)
    taken = Counter[str]()
    for source in sources:
        with suppress(SourceError), Reader(source) as reader:
            choice = select_model(reader.info.compression, still=False, scale=scale, names=names, family=family)
            taken[choice.model] += 1
    clean = f"{family}-x{scale}"
    usual = f"{clean}-video" if f"{clean}-video" in names else clean
    name = max(taken, key=taken.__getitem__, default=usual)
    return name, load_model(name)


def short_name(model: str) -> str:
    """The name of a model of the zoo, or of its file."""
    return Path(model).stem if model.endswith(".npz") else model


def finetune_settings(model: str, scale: int, learn: LearnSettings) -> FinetuneSettings:
    """The fine-tuning of the general network.

    It ends after its steps and not where the held-out moments score best: those must not have chosen what they prove.
    Raises ValueError for settings that exclude each other.
    """
    return FinetuneSettings(
        scale=scale,
        initial_model=model,
        layers=_LAYERS,
        rate=_RATE,
        clips=min(_MAX_CLIPS, max(_MIN_CLIPS, learn.steps // _STEPS_PER_CLIP)),
        clean_share=0,  # a camera's frames are always encoded
        steps=learn.steps,
        every=max(1, learn.steps // _MEASUREMENTS),
        patience=None,
        max_gb=min(1.0, _DATASET_SHARE * learn.memory_gb),
        threads=learn.cores,
    )
