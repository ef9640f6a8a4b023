"""How a live source is followed, and what is kept of it."""

from dataclasses import dataclass

TRANSPORTS = ("tcp", "udp")
_LONGEST_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """How a live source is read and kept up with."""

    model: str = "auto"
    """A name of the zoo, with or without its scale, or the path of a weight file; "auto" chooses by the source."""
    scale: int | None = None
    """2, 3 or 4; None takes the model's own, or 2 where it has several."""
    transport: str = "tcp"
    """How RTSP brings its packets: "tcp" or "udp"."""
    timeout_s: float = 5.0
    """Seconds of silence after which a connection counts as lost."""
    max_delay_s: float = 1.0
    """Seconds from a packet's arrival to its enlarged picture's writing that are kept, by cheaper networks, by none,
    and then by leaving pictures out."""
    realtime: bool = False
    """Play a file at its own speed, as if it were a camera."""
    insecure: bool = False
    """Do not verify the certificates of rtsps and https."""
    fail_fast: bool = False
    """End with the first fault of the source instead of connecting for ever."""
    max_megapixels: float = 64.0
    """The largest picture that is read."""

    def __post_init__(self) -> None:
        if self.scale not in (None, 2, 3, 4):
            raise ValueError(f"scale must be 2, 3 or 4, not {self.scale}")
        if self.transport not in TRANSPORTS:
            raise ValueError(f"transport must be tcp or udp, not {self.transport!r}")
        if not 0.5 <= self.timeout_s <= _LONGEST_S:
            raise ValueError(f"timeout_s must be 0.5 or more, not {self.timeout_s:g}")
        if not 0.1 <= self.max_delay_s <= _LONGEST_S:
            raise ValueError(f"max_delay_s must be 0.1 or more, not {self.max_delay_s:g}")
        if not 0 < self.max_megapixels <= 268:
            raise ValueError(f"max_megapixels must be above 0 and at most 268, not {self.max_megapixels:g}")


@dataclass(frozen=True, kw_only=True)
class RecordSettings:
    """What is kept of a live source, and for how long."""

    segment_s: float = 60.0
    """Seconds of a segment; it ends at the next key frame behind them."""
    keep_days: float | None = None
    """Days after which a segment is deleted; None keeps it."""
    keep_gb: float | None = None
    """Gigabytes (1e9 bytes) that a folder of segments may take, the oldest going first; None: any number."""
    min_free_gb: float = 1.0
    """Gigabytes that stay free on the disk of a folder of segments, its oldest going first."""
    original: bool = False
    """Keep the source's own packets, untouched, beside each enlarged segment."""

    def __post_init__(self) -> None:
        if not 1 <= self.segment_s <= _LONGEST_S:
            raise ValueError(f"segment_s must be between 1 and {_LONGEST_S:g}, not {self.segment_s:g}")
        if self.keep_days is not None and not self.keep_days > 0:
            raise ValueError(f"keep_days must be above 0, not {self.keep_days:g}")
        if self.keep_gb is not None and not self.keep_gb > 0:
            raise ValueError(f"keep_gb must be above 0, not {self.keep_gb:g}")
        if not self.min_free_gb >= 0:
            raise ValueError(f"min_free_gb must be 0 or more, not {self.min_free_gb:g}")
