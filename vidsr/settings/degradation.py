"""Settings of `vidsr degrade` and `vidsr dataset`."""

from dataclasses import dataclass, fields

from vidsr.settings.range_syntax import check_range, check_shares


@dataclass(frozen=True, kw_only=True)
class DegradeSettings:
    """The random degradation of full-size footage, which a network learns to undo.

    Ranges are written "low-high" and drawn from uniformly, shares "name:weight,…"; each clip has its own draws. The
    default shares did best on film (`fsrcnn-narrow-video.md`): a network trained on much noise removes texture.
    """

    scale: int = 2
    """Downscaling factor."""
    frames: str = "8-12"
    """Frames per clip."""
    still_share: float = 0.5
    """Share of still clips among the clips made of images; the others have a moving view."""
    blur_share: float = 0.05
    """Share of clips that are blurred first."""
    blur: str = "0.2-0.8"
    """Sigma of the blur, in full-size pixels."""
    kernels: str = "bicubic:85,area:5,bilinear:2,lanczos:6,plain:2"
    """Downscaling kernels; all are antialiased, except "plain", a bicubic without."""
    noise_share: float = 0.05
    """Share of clips with sensor noise, new in each frame."""
    noise: str = "0.5-2"
    """Sigma of the noise in grey levels at white; less in darker parts."""
    denoise_share: float = 0.05
    """Share of clips that are denoised by an edge-preserving filter, as in cameras."""
    denoise: str = "3-12"
    """Sigma of the filter in grey levels."""
    sharpen_share: float = 0.05
    """Share of clips that are sharpened."""
    sharpen: str = "0.2-0.5"
    """Amount of the unsharp mask."""
    codec_share: float = 0.95
    """Share of clips that are encoded and decoded."""
    codecs: str = "x264:80,x265:15,mjpeg:2,rate:3"
    """Codecs; "rate" is x264 at a fixed bit rate."""
    x264_crf: str = "15-38"
    """CRF of x264."""
    x265_crf: str = "22-36"
    """CRF of x265."""
    mjpeg_quality: str = "40-90"
    """JPEG quality on the scale of libjpeg."""
    rate_mbps: str = "0.3-3"
    """Megabits per second at 640x360; proportional to the area at other sizes."""
    gop: str = "25-100"
    """Frames between key frames."""
    second_share: float = 0.03
    """Share of the encoded clips that are encoded twice."""
    first_share: float = 0.1
    """Share of clips whose training frame is the first, a key frame; otherwise a random other frame."""
    seed: int = 0
    """Seed of every draw, together with the clip number."""

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

    clips: int = 13_000
    """Number of degraded clips; each gives one training frame."""
    crop: int = 96
    """Low-resolution pixels per side of a clip."""
    footage_share: float = 0.5
    """Share of clips from videos when there are images as well."""
    max_gb: float = 2.0
    """Limit of the dataset on disk, in gigabytes of 1e9 bytes; it may reduce the number of clips."""

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise ValueError(f"clips must be 1 or more, not {self.clips}")
        if not 32 <= self.crop <= 1024:
            raise ValueError(f"crop must be from 32 to 1024, not {self.crop}")
        if not 0 <= self.footage_share <= 1:
            raise ValueError(f"footage_share must be from 0 to 1, not {self.footage_share:g}")
        if not 0 < self.max_gb <= 1e6:
            raise ValueError(f"max_gb must be above 0, not {self.max_gb:g}")
