"""How files are enlarged and written."""

import re
from dataclasses import dataclass

_LONGEST_S = 1e9  # no film is longer, and FFmpeg's clock, which counts microseconds, holds no more than 9e12
_MOST_MEGAPIXELS = 268  # FFmpeg holds no larger picture
_MOST_REUSE = 32  # far beyond what looks right
_WORST_CRF = 63  # of AV1 and VP9; H.264 and HEVC end at 51

PRECISIONS = ("auto", "f32", "bf16", "int8")


@dataclass(frozen=True, kw_only=True)
class PoolSettings:
    """How the network is spread over the machine."""

    workers: int | None = None
    """Processes that enlarge, 0: threads of this one, without Ray; None plans them: one a core, none up to 4 cores."""
    threads: int | None = None
    """Threads of each worker, or of this process; None shares the cores evenly."""
    precision: str = "auto"
    """What the network is computed in: f32, bf16 or int8; "auto" takes the fastest that hardly loses anything."""
    ray_address: str | None = None
    """The running Ray cluster to join; None starts a private one on this machine."""
    timeout_s: float = 20.0
    """Seconds a megapixel after which a worker that does not answer counts as hung, 20 at the least."""
    reuse: int = 0
    """Grey levels, of 256, by which parts of a picture may differ from the one they were enlarged in and not be
    enlarged again; with 0 only what is exactly as it was is not."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 0:
            raise ValueError(f"workers must be 0 or more, not {self.workers}")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads must be 1 or more, not {self.threads}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {self.precision!r}")
        if not 0 < self.timeout_s <= _LONGEST_S:
            raise ValueError(f"timeout_s must be above 0, not {self.timeout_s:g}")
        if not 0 <= self.reuse <= _MOST_REUSE:
            raise ValueError(f"reuse must be between 0 and {_MOST_REUSE}, not {self.reuse}")


@dataclass(frozen=True, kw_only=True)
class EncodeSettings:
    """How the enlarged picture is stored."""

    codec: str = "libx264"
    """The encoder, by its FFmpeg name."""
    crf: int | None = None
    """Constant quality, lower is better; None takes the default of the codec (18 for libx264)."""
    preset: str | None = None
    """Speed against size, by the codec's own names; None takes the codec's default."""

    def __post_init__(self) -> None:
        if self.crf is not None and not 0 <= self.crf <= _WORST_CRF:
            raise ValueError(f"crf must be between 0 and {_WORST_CRF}, not {self.crf}")


@dataclass(frozen=True, kw_only=True)
class UpscaleSettings:
    """What becomes of the picture."""

    model: str = "auto"
    """A name of the zoo, with or without its scale, or the path of a weight file; "auto" chooses by the source."""
    scale: int | None = None
    """2, 3 or 4; None takes the model's own, or 2 where it has several."""
    to: str | None = None
    """The exact size to reach after the network, "1080p" (height, shape kept) or "1920x1080"; None: none."""
    start_s: float | None = None
    """Seconds from the beginning of the source at which to begin."""
    end_s: float | None = None
    """Seconds from the beginning of the source at which to end."""
    deinterlace: bool = False
    """Make whole pictures of interlaced ones first (bwdif)."""
    max_megapixels: float = 64.0
    """The largest picture that is read."""
    overwrite: bool = False
    """Replace a target that exists."""

    def __post_init__(self) -> None:
        if self.scale not in (None, 2, 3, 4):
            raise ValueError(f"scale must be 2, 3 or 4, not {self.scale}")
        if self.to is not None and not re.fullmatch(r"[1-9]\d{0,4}(p|x[1-9]\d{0,4})", self.to):
            raise ValueError(f"to must be a size like 1080p or 1920x1080, not {self.to!r}")
        if self.start_s is not None and not 0 <= self.start_s <= _LONGEST_S:
            raise ValueError(f"start_s must be 0 or more, not {self.start_s:g}")
        if self.end_s is not None and not (self.start_s or 0) < self.end_s <= _LONGEST_S:
            raise ValueError(f"end_s must be later than the start, not {self.end_s:g}")
        if not 0 < self.max_megapixels <= _MOST_MEGAPIXELS:
            raise ValueError(
                f"max_megapixels must be above 0 and at most {_MOST_MEGAPIXELS}, not {self.max_megapixels:g}"
            )
