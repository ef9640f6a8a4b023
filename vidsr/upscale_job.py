"""One file to upscale: its source, its target, the settings and the callbacks."""

from dataclasses import dataclass
from pathlib import Path

from vidsr.callbacks import OnProgress, OnWarning, ShouldStop
from vidsr.settings import EncodeSettings, UpscaleSettings
from vidsr.stage_timer import OnSpan


@dataclass(frozen=True, kw_only=True)
class UpscaleJob:
    """A file to upscale; the callbacks are those of `vidsr.upscale`."""

    source: Path
    target: Path
    settings: UpscaleSettings
    encode: EncodeSettings
    not_segmentable: str = ""
    """Why it is upscaled by frames, although its settings say by segments."""
    on_progress: OnProgress = lambda done, total: None
    on_warning: OnWarning = lambda sentence: None
    should_stop: ShouldStop = lambda: False
    on_span: OnSpan = lambda span: None
