"""How a live source is followed, and what is kept of it."""

from dataclasses import dataclass

from vidsr.settings.hours import is_within, parse_hours
from vidsr.settings.options import DAY_S, check_choice, check_limits, check_scale, option
from vidsr.settings.upscale import MAX_MEGAPIXELS, MAX_STRENGTH

TRANSPORTS = ("tcp", "udp")
AUDIO_KINDS = ("aac", "copy", "none")


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """How a live source is read and kept up with."""

    model: str = option(
        "auto",
        "a model of the zoo (see `vidsr models`), an .npz file, or auto: by the compression of the source",
        "NAME",
        group="quality",
    )
    scale: int | None = option(None, "2, 3 or 4 (default: that of the model, else 2)", "N", group="quality")
    strength: float = option(
        1.0, "0 to 1.5 times what the network adds to the bicubic frame: softer or sharper", "N", group="quality"
    )
    transport: str = option("tcp", "transport of RTSP: tcp or udp", "KIND", group="source")
    timeout_s: float = option(5.0, "seconds of silence after which a connection is lost", "S", group="source")
    max_delay_s: float = option(
        1.0,
        "longest delay in seconds; under load a cheaper network is used, then swscale, then frames are dropped",
        "S",
        group="quality",
    )
    degraded_above: float = option(
        5.0,
        "percent of the frames of the last minute, dropped, lost, damaged or upscaled without a network, above which "
        "a camera counts as degraded",
        "N",
        group="quality",
    )
    failed_above: float = option(
        99.0,
        "percent of the frames of the last minute, dropped, above which a camera counts as failed",
        "N",
        group="quality",
    )
    realtime: bool = option(False, "play a file at its own speed, as if it were a camera", group="source")
    insecure: bool = option(False, "do not verify TLS certificates", group="source")
    fail_fast: bool = option(False, "exit at the first error of the source", group="source")
    max_megapixels: float = option(64.0, "reject larger frames", "N", group="source")

    def __post_init__(self) -> None:
        check_scale(self.scale)
        check_choice(self, "transport", TRANSPORTS)
        check_limits(self, "strength", least=0, most=MAX_STRENGTH)
        check_limits(self, "timeout_s", least=0.5, most=DAY_S)
        check_limits(self, "max_delay_s", least=0.1, most=DAY_S)
        check_limits(self, "degraded_above", "failed_above", least=0, most=100)
        check_limits(self, "max_megapixels", least=0, most=MAX_MEGAPIXELS, above=True)


@dataclass(frozen=True, kw_only=True)
class RecordSettings:
    """What is kept of a live source, and for how long."""

    segment_s: float = option(60.0, "seconds per segment", "S")
    keep_days: float | None = option(None, "days after which a segment is deleted", "N")
    keep_original_days: float | None = option(
        None, "days after which the original of a segment is deleted (default: as the segment)", "N"
    )
    keep_gb: float | None = option(None, "gigabytes per folder; the oldest segments are deleted", "N")
    min_free_gb: float = option(1.0, "delete the oldest segments when less than N gigabytes are free", "N")
    keep_at_least_gb: float = option(
        0.0, "gigabytes of the newest segments of a camera that are not deleted for free space", "N"
    )
    audio: str = option(
        "aac", "audio that a target cannot hold is encoded as aac, or dropped by copy; none records no audio", "KIND"
    )
    original: bool = option(False, "also record the packets of the source, unchanged, beside each segment")
    original_only: str = option(
        "never",
        "hours of the day of which only the original is recorded, such as 22-6 or 21:30-5:45; always; or never",
        "HOURS",
    )

    def __post_init__(self) -> None:
        check_choice(self, "audio", AUDIO_KINDS)
        check_limits(self, "segment_s", least=1, most=DAY_S)
        check_limits(self, "keep_days", "keep_original_days", "keep_gb", least=0, above=True)
        check_limits(self, "min_free_gb", "keep_at_least_gb", least=0)
        if self.original_only not in ("always", "never") and not parse_hours(self.original_only):
            raise ValueError(f"original_only must be hours like 22-6, always or never, not {self.original_only!r}")
        if self.keep_gb is not None and self.keep_at_least_gb > self.keep_gb:
            raise ValueError(f"keep_at_least_gb must be at most keep_gb, {self.keep_gb:g}")

    @property
    def keeps_original(self) -> bool:
        """Whether the original is recorded at some hours at least."""
        return self.original or self.original_only != "never"

    def is_original_only(self, now_s: float) -> bool:
        """Whether only the original is recorded at this time of the clock, in local time."""
        return is_within(self.original_only, now_s)
