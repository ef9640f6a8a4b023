"""Every knob, checked when it is set; each default is written here and nowhere else."""

import re
from dataclasses import dataclass

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

    model: str = "fsrcnn-narrow"
    """A name of the zoo, with or without its scale, or the path of a weight file."""
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


def _choose(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
