"""Video super-resolution on CPUs: FSRCNN, compiled by OpenVINO, spread by Ray, between PyAV's decoder and encoder."""

from vidsr.engine import Engine
from vidsr.errors import ModelError, SourceError, TargetError, TrainingError, VidsrError, WorkerError
from vidsr.media.reader import Reader
from vidsr.media.scale import Merger
from vidsr.media.writer import Writer
from vidsr.pipeline import enlarge, upscale
from vidsr.pool import Pool, open_pool
from vidsr.report import Report
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings

__version__ = "0.1.0"

__all__ = [
    "EncodeSettings",
    "Engine",
    "Merger",
    "ModelError",
    "Pool",
    "PoolSettings",
    "Reader",
    "Report",
    "SourceError",
    "TargetError",
    "TrainingError",
    "UpscaleSettings",
    "VidsrError",
    "WorkerError",
    "Writer",
    "enlarge",
    "open_pool",
    "upscale",
]
