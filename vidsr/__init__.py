"""Video super-resolution on CPUs: FSRCNN, compiled by OpenVINO, spread by Ray, between PyAV's decoder and encoder."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidsr.engine import Engine
    from vidsr.errors import ModelError, SourceError, TargetError, TrainingError, VidsrError, WorkerError
    from vidsr.media.luma_merger import LumaMerger
    from vidsr.media.reader import Reader
    from vidsr.media.writer import Writer
    from vidsr.pipeline import upscale
    from vidsr.pool import Pool, open_pool
    from vidsr.pool.upscale_frames import upscale_frames
    from vidsr.report import Report
    from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings

__version__ = "0.1.0"

# OpenVINO would report its use, and write into the home directory; without this package it does neither.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

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
    "engine": ("Engine",),
    "errors": ("ModelError", "SourceError", "TargetError", "TrainingError", "VidsrError", "WorkerError"),
    "media.luma_merger": ("LumaMerger",),
    "media.reader": ("Reader",),
    "media.writer": ("Writer",),
    "pipeline": ("upscale",),
    "pool": ("Pool", "open_pool"),
    "pool.upscale_frames": ("upscale_frames",),
    "report": ("Report",),
    "settings": ("EncodeSettings", "PoolSettings", "UpscaleSettings"),
}


def __getattr__(name: str) -> object:
    """A public name, loaded when it is first asked for: a supervisor of cameras lives for weeks without PyAV."""
    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"vidsr.{home}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
