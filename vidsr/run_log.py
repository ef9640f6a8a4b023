"""The log of a run: its warnings, each once, and its report."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vidsr.callbacks import OnWarning
from vidsr.engine.precision import PrecisionChoice
from vidsr.media.encoders import EncoderChoice
from vidsr.media.file_muxer import FileMuxer
from vidsr.media.reader import Reader
from vidsr.model.architecture import Architecture
from vidsr.report import Report
from vidsr.settings import UpscaleSettings

DROPPED = "{} cannot hold {}; it is dropped"


@dataclass(frozen=True, kw_only=True)
class PoolFacts:
    """What a report says of the work on the frames, as `Pool` and `Report` have it."""

    quarantined: list[int]
    warnings: list[str]
    precision_choice: PrecisionChoice
    restarts: int
    reused: float
    workers: int
    threads: int


@dataclass(frozen=True, kw_only=True)
class FrameCounts:
    """What became of the frames of a source."""

    read: int
    upscaled: int
    """With quarantined ones."""
    corrupt: int
    """Frames and packets that the decoder concealed or dropped."""
    before_key: int
    """Packets before the first key frame."""
    undecoded: int
    """Other packets without a frame and without an error."""
    flattened: int
    """Frames that lost their transparency."""
    missing_s: float | None = None
    """The time of the first frame that the encoder did not return."""
    most_off_s: float = 0.0
    """As `Writer.most_off_s`."""


class RunLog:
    """The log of one file's run from `reader` into `muxer`."""

    def __init__(
        self, reader: Reader, muxer: FileMuxer, choice: EncoderChoice, settings: UpscaleSettings, on_warning: OnWarning
    ) -> None:
        self._reader, self._muxer, self._choice, self._settings = reader, muxer, choice, settings
        self._on_warning = on_warning
        self._warnings: list[str] = []
        self._began = time.perf_counter()

    def warn(self, sentence: str) -> None:
        """Report a sentence once, and keep it for the report."""
        if sentence not in self._warnings:
            self._warnings.append(sentence)
            self._on_warning(f"{self._reader.path}: {sentence}")

    def warn_of_source(self) -> None:
        """Warn of what is known before the first frame."""
        if self._reader.info.interlaced:
            self.warn("is interlaced, and its combing is upscaled too; --deinterlace removes it first")
        if self._choice.why:
            self.warn(self._choice.why)
        self._warn_dropped(self._muxer.copier.dropped_streams)

    def warn_of_side_data(self, names: Iterable[str]) -> None:
        """Warn of side data of frames that the target cannot hold, each name once."""
        if late := self._muxer.side_data.new_losses(names):
            self._muxer.copier.dropped_streams += late
            self._warn_dropped(late)

    def warn_of_resizing(self) -> None:
        """Warn that frames have another size than the first one."""
        size = "x".join(map(str, self._muxer.size))
        self.warn(f"the frame size changes; every frame becomes {size}")

    def report(self, counts: FrameCounts, pool: PoolFacts, *, architecture: Architecture, name: str) -> Report:
        """The report of the run, after the last warnings; `name` is that of the weights."""
        seconds = time.perf_counter() - self._began
        muxer, packets = self._muxer, self._muxer.copier.packets_in(self._muxer.content)
        empty = [stream for stream, count in packets.items() if not count]
        self._warn_of_run(counts, pool, empty)
        return Report(
            source=self._reader.path,
            target=muxer.target,
            model=str(architecture),
            weights=name,
            strength=self._settings.strength,
            precision=pool.precision_choice.precision,
            precision_why=pool.precision_choice.why,
            size=muxer.size,
            encoder=str(self._choice),
            frames_read=counts.read,
            frames_upscaled=counts.upscaled - len(pool.quarantined),
            frames_written=muxer.content.packets[0],
            concealed=counts.corrupt,
            quarantined=list(pool.quarantined),
            reused=pool.reused,
            workers=pool.workers,
            threads=pool.threads,
            worker_restarts=pool.restarts,
            copied=[stream for stream in muxer.copier.copied_streams if packets.get(stream) != 0],
            copied_packets=packets,
            duration_s=muxer.content.seconds,
            left_out=muxer.copier.dropped_streams + empty,
            warnings=self._warnings,
            damage=list(self._damage(counts, pool)),
            verified=self._settings.verify,
            seconds=seconds,
            fps=counts.upscaled / seconds,
        )

    def _warn_dropped(self, names: Iterable[str]) -> None:
        for name in names:
            self.warn(DROPPED.format(self._muxer.target.name, name))

    def _warn_of_run(self, counts: FrameCounts, pool: PoolFacts, empty: list[str]) -> None:
        """Warns of what was found on the way; `empty` are the copied streams without packets."""
        self._warnings += [sentence for sentence in pool.warnings if sentence not in self._warnings]
        for sentence in self._reader.repair.sentences():
            self.warn(sentence)
        if counts.most_off_s > 0.5 / float(self._reader.info.rate or 25):
            self.warn(f"y4m has a frame rate, but no times: frames are up to {counts.most_off_s:.3f} s off theirs")
        if count := counts.before_key:
            self.warn(f"the first {count} frames cannot be decoded, because the video does not begin with a key frame")
        if count := counts.undecoded:
            self.warn(f"{count} packets of the video made no frame: they refer to frames that are missing")
        if counts.flattened:
            self.warn(f"{counts.flattened} frames lose their transparency, because the first one has none")
        if empty:
            self.warn(f"{self._muxer.target.name} has no packets of {', '.join(empty)}")
        if count := self._muxer.copier.dropped_packets:
            self.warn(f"{count} packets of other streams are damaged or run backwards, and were dropped")

    def _damage(self, counts: FrameCounts, pool: PoolFacts) -> Iterator[str]:
        written, missing_s = self._muxer.content.packets[0], counts.missing_s
        if counts.read != written or missing_s is not None:
            where = "" if missing_s is None else f"; the first that is missing is at {missing_s:.3f} s"
            yield f"{counts.read} frames were read and {written} written{where}"
        yield from self._muxer.damage
        if counts.corrupt:
            yield f"{counts.corrupt} frames or packets of the source are damaged"
        if self._reader.truncation:
            yield self._reader.truncation
        if self._reader.has_changed:
            yield "the source has changed while it was read; the target may be of both contents"
        if pool.quarantined:
            frames = ", ".join(map(str, pool.quarantined))
            yield f"upscaled without the network, because each ended two workers: frames {frames}"
