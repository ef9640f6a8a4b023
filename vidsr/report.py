"""What a run did: how many frames went where, what was carried over, what was damaged, how long it took."""

from dataclasses import dataclass, field
from pathlib import Path

_WORTH_SAYING = 0.005  # less is "0%"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """How long one stage was busy, and how many frames a second it would do alone."""

    seconds: float
    fps: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s ({self.fps:.0f} fps)"


@dataclass(frozen=True, kw_only=True)
class Report:
    """The facts of one run; `damage` is empty when every frame came through as it should."""

    source: Path
    target: Path
    model: str
    """The network, as its layers are called."""
    weights: str
    """Their name or file; where the source chose them, with the reason."""
    precision: str
    """The precision it was computed in: f32, bf16, int8, or int7 (int8 with weights of 7 bits)."""
    precision_why: str
    """Why this one."""
    size: tuple[int, int]
    """(width, height) of the result."""
    frames_read: int
    frames_enlarged: int
    """By the network; quarantined frames are not among them."""
    frames_written: int
    concealed: int = 0
    """Frames or packets that the decoder had to guess or drop."""
    quarantined: list[int] = field(default_factory=list)
    """Frames, counted from 0, that ended two workers and were enlarged without the network."""
    reused: float = 0.0
    """The share of all that came in, 0 to 1, that was as it had been before and was not enlarged again."""
    workers: int = 0
    """Processes that enlarged; 0 where this one did."""
    threads: int = 0
    """Of each."""
    worker_restarts: int = 0
    copied: list[str] = field(default_factory=list)
    """The streams beside the video that were carried over."""
    left_out: list[str] = field(default_factory=list)
    """Those that the target's container cannot hold."""
    warnings: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    """What is not as it should be, a sentence each."""
    stopped: bool = False
    """Whether it was asked to stop before the end."""
    seconds: float = 0.0
    fps: float = 0.0
    stages: dict[str, Stage] = field(default_factory=dict)
    """The work of each stage; one that was busy nearly all of `seconds` is what the run waited for."""

    def lines(self) -> list[str]:
        """The report for people."""
        width, height = self.size
        text = [
            f"{self.target}: {self.frames_written} frames, {width}x{height}, {self.seconds:.1f} s, {self.fps:.1f} fps",
            f"  frames: {self.frames_read} read, {self.frames_enlarged} enlarged, {self.frames_written} written",
        ]
        text.append(f"  network: {self.weights}")
        text.append(f"  precision: {self.precision} ({self.precision_why})")
        if self.stages:
            text.append("  stages: " + ", ".join(f"{name} {stage}" for name, stage in self.stages.items()))
        if self.reused >= _WORTH_SAYING:
            text.append(f"  unchanged, and not enlarged again: {self.reused:.0%} of the picture")
        if self.copied:
            text.append(f"  copied: {', '.join(self.copied)}")
        if self.worker_restarts:
            text.append(f"  workers replaced: {self.worker_restarts}")
        return text
