"""What a run will take, by a trial of its first second."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from vidsr.callbacks import ShouldStop
from vidsr.errors import TargetError
from vidsr.media.atomic_file import refuse_source
from vidsr.media.containers import container_for, trial_suffix
from vidsr.media.pipes import STDOUT
from vidsr.pipeline import upscale
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings
from vidsr.stage_timer import TimedSpan

_TRIAL_S = 1.0  # from the first written frame


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What the upscaling of a file is expected to take."""

    source: Path
    size: tuple[int, int]
    """(width, height) of the result."""
    weights: str
    precision: str
    encoder: str
    trial_frames: int
    fps: float
    """Of the trial, from its first frame to the end of its file."""
    frames: int | None
    """Of the whole; None where the container does not tell, and so with the next two."""
    seconds: float | None
    """Of the whole, with the start."""
    bytes: int | None
    """Of the target."""
    core_s: float
    """Seconds of a core that this process took per frame, with its codecs and, without workers, its engines."""
    serial_s: float
    """Seconds of a core per frame of the one thread that merges luma and chroma and feeds the encoder."""

    def lines(self) -> list[str]:
        """The estimate for people."""
        (width, height), whole = self.size, "an unknown number of frames"
        if self.frames is not None and self.seconds is not None and self.bytes is not None:
            duration = timedelta(seconds=max(1, round(self.seconds)))
            whole = f"{self.frames} frames, about {duration} and {self.bytes / 1e6:.1f} MB"
        return [
            f"{self.source}: {width}x{height}, {whole}, {self.fps:.1f} fps in a trial of {self.trial_frames} frames",
            f"  network: {self.weights}, {self.precision}; encoder: {self.encoder}",
        ]


class _Trial:
    """When the first frame was written, and how many there will be."""

    def __init__(self) -> None:
        self.first_s: float | None = None
        self.first_cpu_s = 0.0
        self.total: int | None = None
        self._writer: int | None = None
        self._written_s: list[float] = []

    def on_progress(self, done: int, total: int | None) -> None:
        if self.first_s is None:
            self.first_s, self.first_cpu_s, self.total = time.perf_counter(), time.process_time(), total

    @property
    def cpu_s(self) -> float:
        """Of this process since the first frame."""
        return time.process_time() - self.first_cpu_s

    @property
    def serial_s(self) -> float:
        """As `Estimate.serial_s`."""
        return (self._written_s[-1] - self._written_s[0]) / (len(self._written_s) - 1 or 1) if self._written_s else 0.0

    def on_span(self, span: TimedSpan) -> None:
        if span.stage == "write":
            self._writer = self._writer or threading.get_ident()
            if self._writer == threading.get_ident():  # another one completes the file
                self._written_s.append(time.thread_time())

    def is_over(self) -> bool:
        return self.first_s is not None and time.perf_counter() - self.first_s >= _TRIAL_S


@contextmanager
def _trial_file(source: Path, target: Path, output_format: str | None) -> Iterator[Path]:
    """A temporary file in place of the target, which alone is named in errors. Raises TargetError."""
    if os.path.exists(source):
        refuse_source(target, source)
    with TemporaryDirectory(prefix="vidsr-estimate-") as folder:
        file = Path(folder) / f"trial{trial_suffix(target, output_format)}"
        try:
            yield file
        except TargetError as error:
            raise TargetError(str(error).replace(str(file), str(target))) from error


def _trial_encode(encode: EncodeSettings, target: Path, output_format: str | None) -> EncodeSettings:
    """The settings by which a file holds raw frames where standard output would."""
    if target == STDOUT and container_for(target, output_format).is_raw and encode.codec == "auto":
        return replace(encode, codec="rawvideo", crf=None, bitrate=None, preset=None)
    return encode


def estimate(
    source: Path,
    target: Path,
    *,
    settings: UpscaleSettings,
    encode: EncodeSettings,
    pool: PoolSettings,
    should_stop: ShouldStop = lambda: False,
) -> Estimate:
    """What upscaling a video into `target`, which may exist, would take, by a trial elsewhere. Raises as `upscale`."""
    trial, began_s = _Trial(), time.perf_counter()
    with _trial_file(source, target, settings.output_format) as file:
        report = upscale(
            source,
            file,
            settings=replace(settings, verify=False, segments=False, output_format=None),
            encode=_trial_encode(encode, target, settings.output_format),
            pool=pool,
            on_progress=trial.on_progress,
            should_stop=lambda: trial.is_over() or should_stop(),
            on_span=trial.on_span,
        )
        size, done, ended_s = file.stat().st_size, report.frames_written, time.perf_counter()
    first_s = began_s if done == 1 or trial.first_s is None else trial.first_s
    fps, total = max(1, done - 1) / (ended_s - first_s), trial.total if report.stopped else done
    return Estimate(
        source=source,
        size=report.size,
        weights=report.weights,
        precision=report.precision,
        encoder=report.encoder,
        trial_frames=done,
        fps=fps,
        frames=total,
        seconds=None if total is None else first_s - began_s + total / fps,
        bytes=None if total is None else round(size * total / done),
        core_s=max(1e-6, trial.cpu_s) / max(1, done - 1),
        serial_s=trial.serial_s,
    )
