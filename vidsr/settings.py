"""Every knob, checked when it is set; each default is written here and nowhere else."""

import re
from dataclasses import dataclass, fields

from vidsr.ranges import check_shares, check_span

_MOST_HELD_OUT = 0.9
_LONGEST_S = 1e9  # no film is longer, and FFmpeg's clock, which counts microseconds, holds no more than 9e12
_MOST_MEGAPIXELS = 268  # FFmpeg holds no larger picture
_WORST_CRF = 63  # of AV1 and VP9; H.264 and HEVC end at 51


@dataclass(frozen=True, kw_only=True)
class PoolSettings:
    """How the network is spread over the machine."""

    workers: int | None = None
    """Processes that enlarge; None plans them from the cores, 0 enlarges in this process without Ray."""
    threads: int | None = None
    """Threads of each worker; None shares the cores evenly."""
    ray_address: str | None = None
    """The running Ray cluster to join; None starts a private one on this machine."""
    timeout_s: float = 20.0
    """Seconds a megapixel after which a worker that does not answer counts as hung, 20 at the least."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 0:
            raise ValueError(f"workers must be 0 or more, not {self.workers}")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads must be 1 or more, not {self.threads}")
        if not 0 < self.timeout_s <= _LONGEST_S:
            raise ValueError(f"timeout_s must be above 0, not {self.timeout_s:g}")


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


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Which network is trained from random weights."""

    family: str = "fsrcnn"
    """The kind of network: "fsrcnn" or "srcnn"."""
    d: int | None = None
    """Channels of FSRCNN's feature layer; None: 56."""
    s: int | None = None
    """Channels of FSRCNN's mapping layers; None: 12. Equal to `d`, there is nothing to shrink or expand."""
    m: int | None = None
    """Mapping layers of FSRCNN; None: 4."""
    kernel: int | None = None
    """Taps a side of FSRCNN's deconvolution; None: 9."""
    kernels: str | None = None
    """Kernels of SRCNN's three layers; None: 9-1-5."""
    widths: str | None = None
    """Channels of SRCNN's first two layers; None: 64-32."""
    activation: str | None = None
    """"prelu", "prelu-shared", "leaky-relu" or "relu"; None: the family's own, PReLU or ReLU."""

    def __post_init__(self) -> None:
        _choose("family", self.family, ("fsrcnn", "srcnn"))
        if self.activation is not None:
            _choose("activation", self.activation, ("prelu", "prelu-shared", "leaky-relu", "relu"))
        foreign = ("kernels", "widths") if self.family == "fsrcnn" else ("d", "s", "m", "kernel")
        for name in foreign:
            if getattr(self, name) is not None:
                raise ValueError(f"{name} is no number of {self.family}")
        for name, value, example in (("kernels", self.kernels, "9-1-5"), ("widths", self.widths, "64-32")):
            if value is not None and not re.fullmatch(re.sub(r"\d+", r"\\d{1,4}", example), value):
                raise ValueError(f"{name} must be written like {example}, not {value!r}")


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How a network is trained."""

    scale: int = 2
    """How many times the network enlarges."""
    start: str | None = None
    """A name of the zoo or a weight file to go on from; None: random weights."""
    mapping_layers: int | None = None
    """How many mapping layers the start is given; new ones begin by changing nothing. None: those it has."""
    tail_kernel: int | None = None
    """Taps a side that the start's deconvolution is given; new ones begin at zero. None: those it has."""
    train: str = "all"
    """What learns: "all", the "tail" (the deconvolution) or the "mapping" layers."""
    steps: int = 20_000
    """Steps with the absolute difference as the loss."""
    rate: float = 7e-4
    """The highest learning rate of these steps."""
    finish_steps: int = 4_000
    """Steps after them with the squared difference as the loss."""
    finish_rate: float = 2e-4
    """The highest learning rate of the finish."""
    patch: int = 48
    """Low-resolution pixels a side of a patch; the halo comes on top."""
    batch: int = 16
    """Patches in a step."""
    held_out_share: float = 0.05
    """The share of the files that is held out to measure by, unless others are."""
    frames: int = 50
    """Frames that are taken from a video, evenly."""
    every: int = 1000
    """Steps from one measurement and checkpoint to the next."""
    seed: int = 0
    """Decides the first weights, the patches and what is held out."""
    threads: int | None = None
    """Threads of PyTorch; None: one for each core allowed."""
    device: str = "cpu"
    """Where the network learns: "cpu" or "cuda"."""
    fast: bool = False
    """Compile the network and compute in bfloat16 where it does no harm; takes a C++ compiler."""

    def __post_init__(self) -> None:
        _choose("train", self.train, ("all", "tail", "mapping"))
        _choose("device", self.device, ("cpu", "cuda"))
        if self.scale not in (2, 3, 4):
            raise ValueError(f"scale must be 2, 3 or 4, not {self.scale}")
        for name in ("steps", "patch", "batch", "frames", "every", "threads"):
            if (number := getattr(self, name)) is not None and number < 1:
                raise ValueError(f"{name} must be 1 or more, not {number}")
        for name in ("finish_steps", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name in ("rate", "finish_rate"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name):g}")
        if not 0 <= self.held_out_share <= _MOST_HELD_OUT:
            raise ValueError(f"held_out_share must be from 0 to {_MOST_HELD_OUT}, not {self.held_out_share:g}")


@dataclass(frozen=True, kw_only=True)
class DegradeSettings:
    """What is done to full-size footage before a network learns to undo it.

    Ranges are written "low-high" and drawn from evenly, shares "name:weight,…"; each clip draws anew.
    """

    scale: int = 2
    """How many times smaller the clip becomes."""
    frames: str = "8-12"
    """Frames in a clip."""
    still_share: float = 0.5
    """The share of clips made of a picture in which nothing moves but the noise; in the others the view does."""
    blur_share: float = 0.5
    """The share of clips that are blurred first."""
    blur: str = "0.2-1.4"
    """Sigma of that, in full-size pixels."""
    kernels: str = "bicubic:45,area:20,bilinear:15,lanczos:15,plain:5"
    """How the clip is reduced; all are antialiased but "plain", which is bicubic."""
    noise_share: float = 0.6
    """The share of clips with noise of a sensor, fresh in each frame."""
    noise: str = "0.5-5"
    """Sigma of that in grey levels, at white; darker parts have less."""
    denoise_share: float = 0.2
    """The share of clips that are smoothed between edges, as cameras do against noise."""
    denoise: str = "3-12"
    """Grey levels that such smoothing takes for noise."""
    sharpen_share: float = 0.3
    """The share of clips that are sharpened."""
    sharpen: str = "0.2-1.0"
    """How many times the difference from its blur is added to the picture."""
    codec_share: float = 0.85
    """The share of clips that are encoded and decoded."""
    codecs: str = "x264:55,x265:20,mjpeg:10,rate:15"
    """With what; "rate" is x264 held to a rate of bits."""
    x264_crf: str = "18-35"
    """CRF of x264."""
    x265_crf: str = "22-36"
    """CRF of x265."""
    mjpeg_quality: str = "40-90"
    """Quality of the JPEG pictures, as libjpeg counts it."""
    rate_mbps: str = "0.3-3"
    """Megabits a second of a picture of 640x360; of others in proportion to their area."""
    gop: str = "25-100"
    """Frames from one key frame to the next."""
    second_share: float = 0.15
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


def _choose(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
