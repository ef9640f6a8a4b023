"""Every setting, checked when it is made; defaults and help are written here and nowhere else."""

from vidsr.settings.learn import LearnSettings
from vidsr.settings.stream import TRANSPORTS, RecordSettings, StreamSettings
from vidsr.settings.training import (
    CODINGS,
    REDUCTIONS,
    DatasetSettings,
    DegradeSettings,
    FinetuneSettings,
    NetworkSettings,
    TrainSettings,
)
from vidsr.settings.upscale import PRECISIONS, EncodeSettings, PoolSettings, UpscaleSettings
from vidsr.settings.watch import WatchSettings

__all__ = [
    "CODINGS",
    "PRECISIONS",
    "REDUCTIONS",
    "TRANSPORTS",
    "DatasetSettings",
    "DegradeSettings",
    "EncodeSettings",
    "FinetuneSettings",
    "LearnSettings",
    "NetworkSettings",
    "PoolSettings",
    "RecordSettings",
    "StreamSettings",
    "TrainSettings",
    "UpscaleSettings",
    "WatchSettings",
]
