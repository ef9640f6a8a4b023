"""The main job for a target that is an image."""

import time
from itertools import islice
from pathlib import Path

from vidsr.errors import TargetError
from vidsr.media.image_writer import ImageWriter
from vidsr.media.luma_merger import LumaMerger, check_frame_size
from vidsr.media.reader import Reader
from vidsr.model_selection import load_network
from vidsr.output_size import default_scale, target_size
from vidsr.pool.shared_pools import SharedPools
from vidsr.pool.upscale_frames import upscale_frames
from vidsr.report import Report
from vidsr.run_log import DROPPED
from vidsr.upscale_job import UpscaleJob

_FURTHER = "further images in the file"


def upscale_image(job: UpscaleJob, pools: SharedPools) -> Report:
    """Upscale an image, or a video of one frame; the report of it. Raises what `pipeline.upscale` raises."""
    source, target, settings = job.source, job.target, job.settings
    began, kind, limit = time.perf_counter(), settings.input_format, settings.max_megapixels
    with Reader(source, upright=True, input_format=kind, max_megapixels=limit) as reader:
        further = _further_images(reader, target)
        weights, name = load_network(settings, reader.info, usual_scale=default_scale(settings, reader.info))
        size = target_size(settings, reader.info, weights.architecture.scale)
        check_frame_size(size, reader.info.working_format)
        writer = ImageWriter(target, source=source, first=reader.first.av_frame, overwrite=settings.overwrite)
        writer.dropped += further[: not any(name.startswith(_FURTHER) for name in writer.dropped)]
        warnings = [DROPPED.format(target.name, lost) for lost in writer.dropped]
        for sentence in warnings:
            job.on_warning(f"{source}: {sentence}")
        with writer, pools.in_process(weights, engines=1) as alone:
            ((frame, luma),) = upscale_frames([reader.first], alone, reader.info.depth)
            merger = LumaMerger()
            writer.write(merger.resize(merger.merge(frame.av_frame, luma), size), size[0] / reader.info.width)
        seconds = time.perf_counter() - began
        return Report(
            source=source,
            target=target,
            model=str(weights.architecture),
            weights=name,
            strength=settings.strength,
            precision=alone.precision_choice.precision,
            precision_why=alone.precision_choice.why,
            left_out=writer.dropped,
            warnings=[*warnings, *alone.warnings],
            size=size,
            frames_read=1,
            frames_upscaled=1,
            frames_written=1,
            threads=alone.threads,
            concealed=reader.corrupt,
            damage=[reader.truncation or "the source is damaged"] if reader.corrupt or reader.truncation else [],
            seconds=seconds,
            fps=1 / seconds,
        )


def _further_images(reader: Reader, target: Path) -> list[str]:
    """The name of the images that follow the first one. Raises TargetError for a video of more than one frame."""
    _, *others = islice(reader, 2)
    if others and not reader.info.still:
        raise TargetError(f"{target}: holds one image, and {reader.path} is a video; use .mkv")
    return [_FURTHER] if others else []
