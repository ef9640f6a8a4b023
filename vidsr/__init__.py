"""Video super-resolution on CPUs: FSRCNN, compiled by OpenVINO, spread by Ray, between PyAV's decoder and encoder."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidsr.engine import Engine
    from vidsr.errors import ModelError, SourceError, TargetError, TrainingError, VidsrError, WorkerError
    from vidsr.media.luma_merger import LumaMerger
    from vidsr.media.reader import Reader
    from vidsr.media.writer import Writer
    from vidsr.pipeline import upscale, upscale_frames
    from vidsr.pool import Pool, open_pool
    from vidsr.report import Report
    from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings

__version__ = "0.1.0"

__all__ = [
    "EncodeSettings",
    "Engine",
    "LumaMerger",
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
    "open_pool",
    "upscale",
    "upscale_frames",
]

_HOMES = {
    "EncodeSettings": "settings",
    "Engine": "engine",
    "LumaMerger": "media.luma_merger",
    "ModelError": "errors",
    "Pool": "pool",
    "PoolSettings": "settings",
    "Reader": "media.reader",
    "Report": "report",
    "SourceError": "errors",
    "TargetError": "errors",
    "TrainingError": "errors",
    "UpscaleSettings": "settings",
    "VidsrError": "errors",
    "WorkerError": "errors",
    "Writer": "media.writer",
    "open_pool": "pool",
    "upscale": "pipeline",
    "upscale_frames": "pipeline",
}


def __getattr__(name: str) -> object:
    """A public name, loaded when it is first asked for: a supervisor of cameras lives for weeks without PyAV."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"vidsr.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
