"""Every knob, checked when it is set; each default is written here and nowhere else."""

from vidsr.settings.degrading import CODINGS, REDUCTIONS, CorpusSettings, DegradeSettings
from vidsr.settings.learning import FinetuneSettings, NetworkSettings, TrainSettings
from vidsr.settings.running import PRECISIONS, EncodeSettings, PoolSettings, UpscaleSettings
from vidsr.settings.streaming import TRANSPORTS, RecordSettings, StreamSettings

__all__ = [
    "CODINGS",
    "PRECISIONS",
    "REDUCTIONS",
    "TRANSPORTS",
    "CorpusSettings",
    "DegradeSettings",
    "EncodeSettings",
    "FinetuneSettings",
    "NetworkSettings",
    "PoolSettings",
    "RecordSettings",
    "StreamSettings",
    "TrainSettings",
    "UpscaleSettings",
]
