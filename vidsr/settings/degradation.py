"""Settings of `vidsr degrade` and `vidsr dataset`."""

from dataclasses import dataclass, fields

from vidsr.settings.options import option
from vidsr.settings.range_syntax import check_range, check_shares


@dataclass(frozen=True, kw_only=True)
class DegradeSettings:
    """The random degradation of full-size footage, which a network learns to undo.

    Ranges are written "low-high" and drawn from uniformly, shares "name:weight,…"; each clip has its own draws. The
    default shares did best on film (`fsrcnn-narrow-video.md`): a network trained on much noise removes texture.
    """

    scale: int = option(2, "downscaling factor: 2, 3 or 4", "N", group="clip")
    frames: str = option("8-12", "frames per clip", "N-N", group="clip")
    still_share: float = option(0.5, "share of still clips among those made of images", "PART", group="clip")
    blur_share: float = option(0.05, "share of clips that are blurred", "PART", group="camera")
    blur: str = option("0.2-0.8", "sigma of the blur in full-size pixels", "S-S", group="camera")
    kernels: str = option(
        "bicubic:85,area:5,bilinear:2,lanczos:6,plain:2", "downscaling kernels", "NAME:N,...", group="camera"
    )
    noise_share: float = option(0.05, "share of clips with noise", "PART", group="camera")
    noise: str = option("0.5-2", "sigma of the noise in grey levels at white", "S-S", group="camera")
    denoise_share: float = option(0.05, "share of clips that are denoised", "PART", group="camera")
    denoise: str = option("3-12", "sigma of the denoising in grey levels", "S-S", group="camera")
    sharpen_share: float = option(0.05, "share of clips that are sharpened", "PART", group="camera")
    sharpen: str = option("0.2-0.5", "amount of the unsharp mask", "A-A", group="camera")
    codec_share: float = option(0.95, "share of clips that are encoded", "PART", group="codec")
    codecs: str = option("x264:80,x265:15,mjpeg:2,rate:3", "codecs", "NAME:N,...", group="codec")
    x264_crf: str = option("15-38", "CRF of x264", "N-N", group="codec")
    x265_crf: str = option("22-36", "CRF of x265", "N-N", group="codec")
    mjpeg_quality: str = option("40-90", "JPEG quality", "N-N", group="codec")
    rate_mbps: str = option(
        "0.3-3", "megabits per second at 640x360; proportional to the area at other sizes", "R-R", group="codec"
    )
    gop: str = option("25-100", "frames between key frames", "N-N", group="codec")
    second_share: float = option(0.03, "share of the encoded clips that are encoded twice", "PART", group="codec")
    first_share: float = option(
        0.1, "share of clips whose training frame is the first, a key frame", "PART", group="clip"
    )
    seed: int = option(0, "seed of every draw", "N", group="clip")

    def __post_init__(self) -> None:
        if self.scale not in (2, 3, 4):
            raise ValueError(f"scale must be 2, 3 or 4, not {self.scale}")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more, not {self.seed}")
        for name in (field.name for field in fields(self) if field.name.endswith("_share")):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, not {getattr(self, name):g}")
        for name, (low, high) in _RANGES.items():
            check_range(name, getattr(self, name), low, high, whole=name in _WHOLE)
        for name, known in (("kernels", REDUCTIONS), ("codecs", CODINGS)):
            check_shares(name, getattr(self, name), known)


REDUCTIONS = ("bicubic", "area", "bilinear", "lanczos", "plain")
CODINGS = ("x264", "x265", "mjpeg", "rate")
_RANGES = {
    "frames": (1, 1000),
    "blur": (0.05, 10),
    "noise": (0, 50),
    "denoise": (0.1, 50),
    "sharpen": (0, 5),
    "x264_crf": (0, 51),
    "x265_crf": (0, 51),
    "mjpeg_quality": (10, 95),
    "rate_mbps": (0.05, 1000),
    "gop": (1, 10_000),
}
"""The limits of each range."""
_WHOLE = {"frames", "x264_crf", "x265_crf", "mjpeg_quality", "gop"}


@dataclass(frozen=True, kw_only=True)
class DatasetSettings:
    """The size of a dataset of degraded clips."""

    clips: int = option(13_000, "degraded clips; each gives one training frame", "N")
    crop: int = option(96, "low-resolution pixels per side of a clip", "N")
    footage_share: float = option(0.5, "share of clips from videos when there are images as well", "PART")
    max_gb: float = option(2.0, "limit of the dataset on disk, in GB", "N")

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise ValueError(f"clips must be 1 or more, not {self.clips}")
        if not 32 <= self.crop <= 1024:
            raise ValueError(f"crop must be from 32 to 1024, not {self.crop}")
        if not 0 <= self.footage_share <= 1:
            raise ValueError(f"footage_share must be from 0 to 1, not {self.footage_share:g}")
        if not 0 < self.max_gb <= 1e6:
            raise ValueError(f"max_gb must be above 0, not {self.max_gb:g}")
