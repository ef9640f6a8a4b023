"""What is done to footage before a network learns to undo it."""

from dataclasses import dataclass, fields

from vidsr.settings.range_syntax import check_shares, check_span


@dataclass(frozen=True, kw_only=True)
class DegradeSettings:
    """What is done to full-size footage before a network learns to undo it.

    Ranges are written "low-high" and drawn from evenly, shares "name:weight,…"; each clip draws anew. The shares are
    those that did best on film (`fsrcnn-narrow-video.md`): a network that sees much noise smooths what is none.
    """

    scale: int = 2
    """How many times smaller the clip becomes."""
    frames: str = "8-12"
    """Frames in a clip."""
    still_share: float = 0.5
    """The share of clips made of a picture in which nothing moves but the noise; in the others the view does."""
    blur_share: float = 0.05
    """The share of clips that are blurred first."""
    blur: str = "0.2-0.8"
    """Sigma of that, in full-size pixels."""
    kernels: str = "bicubic:85,area:5,bilinear:2,lanczos:6,plain:2"
    """How the clip is reduced; all are antialiased but "plain", which is bicubic."""
    noise_share: float = 0.05
    """The share of clips with noise of a sensor, fresh in each frame."""
    noise: str = "0.5-2"
    """Sigma of that in grey levels, at white; darker parts have less."""
    denoise_share: float = 0.05
    """The share of clips that are smoothed between edges, as cameras do against noise."""
    denoise: str = "3-12"
    """Grey levels that such smoothing takes for noise."""
    sharpen_share: float = 0.05
    """The share of clips that are sharpened."""
    sharpen: str = "0.2-0.5"
    """How many times the difference from its blur is added to the picture."""
    codec_share: float = 0.95
    """The share of clips that are encoded and decoded."""
    codecs: str = "x264:80,x265:15,mjpeg:2,rate:3"
    """With what; "rate" is x264 held to a rate of bits."""
    x264_crf: str = "15-38"
    """CRF of x264."""
    x265_crf: str = "22-36"
    """CRF of x265."""
    mjpeg_quality: str = "40-90"
    """Quality of the JPEG pictures, as libjpeg counts it."""
    rate_mbps: str = "0.3-3"
    """Megabits a second of a picture of 640x360; of others in proportion to their area."""
    gop: str = "25-100"
    """Frames from one key frame to the next."""
    second_share: float = 0.03
    """The share of the encoded clips that are encoded once more."""
    first_share: float = 0.1
    """How often the frame to learn from is the first, a key frame; all others are as likely as each other."""
    seed: int = 0
    """Decides every draw, together with the number of the clip."""

    def __post_init__(self) -> None:
        if self.scale not in (2, 3, 4):
            raise ValueError(f"scale must be 2, 3 or 4, not {self.scale}")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more, not {self.seed}")
        for name in (field.name for field in fields(self) if field.name.endswith("_share")):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, not {getattr(self, name):g}")
        for name, (low, high) in _SPANS.items():
            check_span(name, getattr(self, name), low, high, whole=name in _WHOLE)
        for name, known in (("kernels", REDUCTIONS), ("codecs", CODINGS)):
            check_shares(name, getattr(self, name), known)


REDUCTIONS = ("bicubic", "area", "bilinear", "lanczos", "plain")
CODINGS = ("x264", "x265", "mjpeg", "rate")
_SPANS = {
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
"""The least and the most that a range may hold."""
_WHOLE = {"frames", "x264_crf", "x265_crf", "mjpeg_quality", "gop"}


@dataclass(frozen=True, kw_only=True)
class CorpusSettings:
    """How much degraded footage is made to learn from."""

    clips: int = 13_000
    """How many clips are degraded; each gives one frame."""
    crop: int = 96
    """Low-resolution pixels a side of what is kept of a clip."""
    footage_share: float = 0.5
    """The share of clips from videos where there are pictures as well."""
    max_gb: float = 2.0
    """The most the corpus takes on the disk, in gigabytes of 1e9 bytes; fewer clips are made where it is less."""

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise ValueError(f"clips must be 1 or more, not {self.clips}")
        if not 32 <= self.crop <= 1024:
            raise ValueError(f"crop must be from 32 to 1024, not {self.crop}")
        if not 0 <= self.footage_share <= 1:
            raise ValueError(f"footage_share must be from 0 to 1, not {self.footage_share:g}")
        if not 0 < self.max_gb <= 1e6:
            raise ValueError(f"max_gb must be above 0, not {self.max_gb:g}")
