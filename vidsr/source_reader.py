"""The reader of a source by the settings of its upscaling."""

from pathlib import Path

from vidsr.media.containers import container_for
from vidsr.media.reader import Reader
from vidsr.settings import UpscaleSettings


def open_reader(source: Path, target: Path, settings: UpscaleSettings) -> Reader:
    """The reader of a video, for this target. Raises SourceError, and TargetError for an unknown suffix."""
    turns = container_for(target, settings.output_format).has_display_matrix
    return Reader(
        source,
        start_s=settings.start_s,
        end_s=settings.end_s,
        upright=not turns,
        deinterlace=settings.deinterlace,
        keep_start=settings.keep_start,
        input_format=settings.input_format,
        max_megapixels=settings.max_megapixels,
    )
