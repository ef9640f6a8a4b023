"""Settings of upscaling and encoding."""

import re
from dataclasses import dataclass

from vidsr.settings.options import check_choice, check_limits, check_scale, option

_MAX_S = 1_000_000_000  # no video is longer, and FFmpeg's clock in microseconds holds 9e12
MAX_MEGAPIXELS = 268
"""FFmpeg holds no larger frame."""
MAX_WORKERS = 1024
"""Processes, or threads, far beyond what one run keeps busy."""
_MAX_REUSE = 32  # far beyond what looks right
MAX_STRENGTH = 1.5
"""What the network adds to the bicubic frame at most, relative to what it was trained to add."""
_MAX_CRF = 63  # of AV1 and VP9; H.264 and HEVC end at 51
_MIN_MAX_RATE = 50_000  # bits per second
_MOST_BITS = 2_000_000_000  # per second; encoders count in 32 bits

OUTPUT_FORMATS = ("y4m", "matroska", "nut", "mpegts")
"""What may be written to standard output."""
QUALITIES = ("fast", "normal", "best")
PRECISIONS = ("auto", "f32", "bf16", "int8")


@dataclass(frozen=True, kw_only=True)
class PoolSettings:
    """The distribution of the network over the machine."""

    workers: int | None = option(
        None,
        "worker processes; 0: this process, without Ray (default: one per core, at most 16; 0 on up to 4 cores)",
        "N",
    )
    threads: int | None = option(
        None, "threads per worker, or of this process (default: the cores divided by the workers)", "N"
    )
    precision: str = option("auto", "f32, bf16 or int8; auto: the fastest here that loses at most 0.05 dB", "NAME")
    reuse: int = option(
        0, "reuse output where luma changed by at most N of 256 levels; 0: only where it did not change", "N"
    )
    ray_address: str | None = option(None, "a running Ray cluster to join (default: a private one)", "HOST:PORT")
    timeout_s: float = option(
        20.0, "seconds per megapixel before an unresponsive worker counts as hung; smaller frames count as one", "S"
    )

    def __post_init__(self) -> None:
        check_choice(self, "precision", PRECISIONS)
        check_limits(self, "workers", least=0, most=MAX_WORKERS)
        check_limits(self, "threads", least=1, most=MAX_WORKERS)
        check_limits(self, "reuse", least=0, most=_MAX_REUSE)
        check_limits(self, "timeout_s", least=0, most=_MAX_S, above=True)


@dataclass(frozen=True, kw_only=True)
class EncodeSettings:
    """The encoding of the upscaled frames."""

    codec: str = option(
        "auto",
        "libx264, libx265, libsvtav1, libvpx-vp9, ffv1 or another encoder; auto: libx264 (VP9 in .webm), or the first "
        "that holds the depth, subsampling and alpha of the source",
        "NAME",
    )
    crf: int | None = option(
        None,
        "constant quality, lower is better (default: libx264 18, libx265 20, libsvtav1 26, libvpx-vp9 28)",
        "N",
    )
    bitrate: str | None = option(None, "mean bits per second, such as 4M or 800k, instead of --crf", "N")
    max_rate: str | None = option(None, "highest bits per second, over a second, such as 8M, beside --crf", "N")
    preset: str | None = option(None, "speed against size, by the codec's own names", "NAME")
    pixel_format: str | None = option(
        None, "planar YUV or grey, such as yuv420p10le (default: that of the source, without loss)", "NAME"
    )
    encoder_option: tuple[str, ...] = option(
        (), "an option of the encoder by FFmpeg's name, such as tune=grain; repeatable", "KEY=VALUE"
    )

    def __post_init__(self) -> None:
        check_limits(self, "crf", least=0, most=_MAX_CRF)
        for name in ("bitrate", "max_rate"):
            rate = getattr(self, name)
            if rate is not None and not re.fullmatch(r"(?=.*[1-9])\d{1,9}(\.\d+)?[kM]?", rate):
                raise ValueError(f"{name} must be a number like 4M, 800k or 800000, not {rate!r}")
            if (_bits(rate) or 0) > _MOST_BITS:
                raise ValueError(f"{name} must be {_MOST_BITS // 10**6}M or less, not {rate!r}")
        if self.max_bits_per_second is not None and self.max_bits_per_second < _MIN_MAX_RATE:
            raise ValueError(f"max_rate must be 50k or more, which encoders can hold, not {self.max_rate!r}")
        if self.bitrate is not None and self.crf is not None:
            raise ValueError("bitrate must be alone, not beside crf")
        for each in self.encoder_option:
            if not re.fullmatch(r"[^=\s]+=.+", each, re.DOTALL):
                raise ValueError(f"encoder_option must be KEY=VALUE, not {each!r}")
        if self.max_bits_per_second is not None and (self.bits_per_second or 0) > self.max_bits_per_second:
            raise ValueError(f"max_rate must be at least the bitrate, {self.bitrate}, not {self.max_rate}")
        if self.max_rate is not None and (twice := self.encoder_options.keys() & {"maxrate", "bufsize"}):
            raise ValueError(f"max_rate must be alone, not beside encoder_option {min(twice)}")

    @property
    def bits_per_second(self) -> int | None:
        """The bitrate as a number."""
        return _bits(self.bitrate)

    @property
    def max_bits_per_second(self) -> int | None:
        """The highest rate as a number."""
        return _bits(self.max_rate)

    @property
    def encoder_options(self) -> dict[str, str]:
        """The options of the encoder by name; the last of a name counts."""
        return dict(each.split("=", 1) for each in self.encoder_option)

    @property
    def encoder(self) -> str:
        """The encoder by its name; where nothing is known of the source, auto is libx264."""
        return "libx264" if self.codec == "auto" else self.codec


@dataclass(frozen=True, kw_only=True)
class UpscaleSettings:
    """The network, the size and the part of the source."""

    model: str = option(
        "auto", "a network of `vidsr models`, an .npz file, or auto: by how the source is compressed", "NAME"
    )
    quality: str | None = option(
        None, "fast, normal or best: the network of --model auto (default: the best that this CPU affords)", "NAME"
    )
    scale: int | None = option(None, "2, 3 or 4 (default: that of the model or of --to, else 2)", "N")
    to: str | None = option(None, "exact size after the network: 1080p (height, shape kept) or 1920x1080", "SIZE")
    strength: float = option(1.0, "0 to 1.5 times what the network adds to the bicubic frame: softer or sharper", "N")
    start_s: float | None = option(None, "begin there: seconds, or H:MM:SS", "TIME")
    end_s: float | None = option(None, "end there", "TIME")
    keep_start: bool = option(False, "keep the time stamps of a source that begins hours ahead (default: from 0)")
    deinterlace: bool = option(False, "deinterlace first (bwdif)")
    input_format: str | None = option(
        None, "the container of the source by FFmpeg's name, such as mpegts (default: as it is recognised)", "NAME"
    )
    output_format: str | None = option(
        None, "what a target of - becomes, and no other: y4m, matroska, nut or mpegts (default: y4m)", "NAME"
    )
    max_megapixels: float = option(64.0, "refuse a source with larger frames", "N")
    overwrite: bool = option(False, "replace an existing target")
    segments: bool = option(
        False, "upscale parts of about 8 s apart from each other: after a crash or a stop the same command goes on"
    )
    verify: bool = option(False, "decode the target, and compare its frames and their times with those that were read")

    def __post_init__(self) -> None:
        check_choice(self, "quality", QUALITIES)
        check_choice(self, "output_format", OUTPUT_FORMATS)
        check_scale(self.scale)
        check_limits(self, "strength", least=0, most=MAX_STRENGTH)
        check_limits(self, "start_s", "end_s", least=0, most=_MAX_S)
        check_limits(self, "max_megapixels", least=0, most=MAX_MEGAPIXELS, above=True)
        if self.quality and self.model != "auto":
            raise ValueError("quality selects the network of --model auto; remove one of the two")
        if self.to is not None and not re.fullmatch(r"[1-9]\d{0,4}(p|x[1-9]\d{0,4})", self.to):
            raise ValueError(f"to must be a size like 1080p or 1920x1080, not {self.to!r}")
        if self.end_s is not None and not (self.start_s or 0) < self.end_s:
            raise ValueError(f"end_s must be later than the start, not {self.end_s:g}")


def _bits(rate: str | None) -> int | None:
    if rate is None:
        return None
    factor = {"k": 1e3, "M": 1e6}.get(rate[-1], 1)
    return round(float(rate.rstrip("kM")) * factor)
