"""Every knob, checked when it is set; each default is written here and nowhere else."""

from vidsr.settings.degrading import CODINGS, REDUCTIONS, CorpusSettings, DegradeSettings
from vidsr.settings.learning import FinetuneSettings, NetworkSettings, TrainSettings
from vidsr.settings.running import EncodeSettings, PoolSettings, UpscaleSettings

__all__ = [
    "CODINGS",
    "REDUCTIONS",
    "CorpusSettings",
    "DegradeSettings",
    "EncodeSettings",
    "FinetuneSettings",
    "NetworkSettings",
    "PoolSettings",
    "TrainSettings",
    "UpscaleSettings",
]
