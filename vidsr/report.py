"""The report of a run: frames, streams, damage and times."""

from dataclasses import dataclass, field
from pathlib import Path

_MIN_REUSED = 0.005  # less is printed as 0%


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The working time of a stage, and the frames per second it would reach alone."""

    seconds: float
    fps: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s ({self.fps:.0f} fps)"


@dataclass(frozen=True, kw_only=True)
class Report:
    """The facts of a run; `damage` is empty when every frame came through intact."""

    source: Path
    target: Path
    model: str
    """The architecture of the network."""
    weights: str
    """Their name or file; with the reason, where they were chosen by the source."""
    strength: float
    """Of what the network added to the bicubic frame; 1 as it was trained."""
    precision: str
    """f32, bf16, int8, or int7 (int8 with weights of 7 bits)."""
    precision_why: str
    """Why this precision."""
    size: tuple[int, int]
    """(width, height) of the result."""
    encoder: str = ""
    """The encoder of a video and its pixel format."""
    frames_read: int
    frames_upscaled: int
    """Upscaled by the network, without quarantined frames."""
    frames_written: int
    """In the target, as read back."""
    concealed: int = 0
    """Corrupt frames or packets, which the decoder concealed or dropped."""
    quarantined: list[int] = field(default_factory=list)
    """Frames, counted from 0, that ended two workers and were upscaled without the network."""
    reused: float = 0.0
    """The share of all pixels, 0 to 1, that was copied from the previous output."""
    workers: int = 0
    """Worker processes; 0 for this process."""
    threads: int = 0
    """Per worker."""
    worker_restarts: int = 0
    copied: list[str] = field(default_factory=list)
    """The other streams of the source that were copied."""
    copied_packets: dict[str, int] = field(default_factory=dict)
    """The packets of these streams in the target, as read back; covers, attachments and time codes have none."""
    left_out: list[str] = field(default_factory=list)
    """The streams and the side data that the target cannot hold."""
    duration_s: float = 0.0
    """Of the target, as read back."""
    warnings: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    """A sentence per kind of damage."""
    verified: bool = False
    """Whether the target was decoded, too; what differs is in `damage`."""
    stopped: bool = False
    """Whether it was stopped before the end."""
    seconds: float = 0.0
    fps: float = 0.0
    stages: dict[str, Stage] = field(default_factory=dict)
    """By stage; one that was busy nearly all of `seconds` is the bottleneck."""

    def lines(self) -> list[str]:
        """The report for people."""
        width, height = self.size
        text = [
            f"{self.target}: {self.frames_written} frames, {width}x{height}, {self.seconds:.1f} s, {self.fps:.1f} fps",
            f"  frames: {self.frames_read} read, {self.frames_upscaled} upscaled, {self.frames_written} written",
        ]
        text.append(f"  network: {self.weights}" + (f", strength {self.strength:g}" if self.strength != 1 else ""))
        if self.encoder:
            text.append(f"  encoder: {self.encoder}")
        text.append(f"  precision: {self.precision} ({self.precision_why})")
        if self.stages:
            text.append("  stages: " + ", ".join(f"{name} {stage}" for name, stage in self.stages.items()))
        if self.reused >= _MIN_REUSED:
            text.append(f"  reused from previous frames: {self.reused:.0%} of the pixels")
        if self.copied:
            text.append(f"  copied: {', '.join(map(self._copied, self.copied))}")
        if self.verified and not self.damage:
            text.append("  verified: every frame decodes, at its time")
        if self.worker_restarts:
            text.append(f"  workers replaced: {self.worker_restarts}")
        return text

    def _copied(self, stream: str) -> str:
        packets = self.copied_packets.get(stream)
        return stream if packets is None else f"{stream} ({packets} packets)"
