"""How networks are trained."""

import re
from dataclasses import dataclass

from vidsr.settings.degradation import CorpusSettings, DegradeSettings
from vidsr.settings.range_syntax import check_span

_MOST_HELD_OUT = 0.9
LARGEST_CROP = 144
"""Low-resolution pixels a side of what is kept of a clip to tune with, where the footage has as many."""


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
    """Steps with the main loss."""
    loss: str = "l1"
    """The main loss: "l1", the absolute difference, or "mse", the squared one."""
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
    still_camera: bool = False
    """Leave patches as they lie, neither turned nor mirrored."""
    held_out_share: float = 0.05
    """The share of the files that is held out to measure by, unless others are."""
    frames: int = 50
    """Frames that are taken from a video, evenly."""
    clean_share: float = 0.2
    """The share of patches that no codec has seen, where a corpus of degraded ones is learnt from."""
    every: int = 1000
    """Steps from one measurement and checkpoint to the next."""
    patience: int | None = None
    """After how many measurements no better than the best training ends, with the weights of that; None: never."""
    seed: int = 0
    """Decides the first weights, the patches and what is held out."""
    threads: int | None = None
    """Threads of PyTorch; None: one for each core allowed."""
    device: str = "cpu"
    """Where the network learns: "cpu" or "cuda"."""
    fast: bool = False
    """Compile the network, and compute in bfloat16 where it does no harm and is no slower; takes a C++ compiler."""

    def __post_init__(self) -> None:
        _choose("train", self.train, ("all", "tail", "mapping"))
        _choose("loss", self.loss, ("l1", "mse"))
        _choose("device", self.device, ("cpu", "cuda"))
        if self.scale not in (2, 3, 4):
            raise ValueError(f"scale must be 2, 3 or 4, not {self.scale}")
        for name in ("steps", "patch", "batch", "frames", "every", "patience", "threads"):
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
        if not 0 <= self.clean_share <= 1:
            raise ValueError(f"clean_share must be from 0 to 1, not {self.clean_share:g}")


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """How a network is tuned to somebody's own footage."""

    scale: int = 2
    """How many times the network enlarges."""
    start: str = "fsrcnn-narrow-video"
    """The network that is tuned: a name of the zoo or a weight file."""
    layers: str = "mapping"
    """What learns: the "mapping" layers, the "tail" (the deconvolution) or "all"."""
    mapping_layers: int | None = None
    """How many mapping layers the network gets; new ones begin by changing nothing. None: those it has."""
    crf: str = "16-35"
    """The range of CRF at which the small footage is expected."""
    clips: int = 2_000
    """How many short clips are degraded; each gives a frame to learn from."""
    frames: int = 200
    """How many moments are picked from each long recording."""
    clean_share: float = 0.1
    """The share of patches that no codec has seen."""
    held_out_share: float = 0.2
    """The share of the clips, or of the only one, that judges and does not teach."""
    steps: int = 4_000
    """Steps at the most."""
    rate: float = 2e-3
    """The highest learning rate."""
    every: int = 250
    """Steps from one measurement on what is held out to the next."""
    patience: int = 6
    """After how many measurements no better than the best it ends, with the weights of that."""
    max_gb: float = 1.0
    """The most the degraded clips take on the disk, in gigabytes of 1e9 bytes."""
    seed: int = 0
    """Decides every draw, and what is held out."""
    threads: int | None = None
    """Threads, and processes that degrade; None: one for each core allowed."""
    fast: bool = False
    """Compile the network, and compute in bfloat16 where it does no harm and is no slower; takes a C++ compiler."""

    def __post_init__(self) -> None:
        _choose("layers", self.layers, ("mapping", "tail", "all"))
        check_span("crf", self.crf, 0, 51, whole=True)
        if self.frames < 1:
            raise ValueError(f"frames must be 1 or more, not {self.frames}")
        for what in ("degradation", "amount", "training"):  # each refuses what it cannot do
            getattr(self, what)

    @property
    def degradation(self) -> DegradeSettings:
        """What is done to the footage: the codec is the camera's, and all else is there already."""
        return DegradeSettings(
            scale=self.scale,
            kernels="bicubic:70,area:15,bilinear:15",
            blur_share=0,
            noise_share=0,
            denoise_share=0,
            sharpen_share=0,
            codec_share=1,
            codecs="x264:85,x265:15",
            x264_crf=self.crf,
            x265_crf=self.crf,
            frames="8-40",
            second_share=0,
            seed=self.seed,
        )

    @property
    def amount(self) -> CorpusSettings:
        """How much of it is made."""
        return CorpusSettings(clips=self.clips, crop=LARGEST_CROP, footage_share=0.8, max_gb=self.max_gb)

    @property
    def training(self) -> TrainSettings:
        """How the network learns from it."""
        return TrainSettings(
            scale=self.scale,
            start=self.start,
            train=self.layers,
            mapping_layers=self.mapping_layers,
            steps=self.steps,
            rate=self.rate,
            loss="mse",
            finish_steps=0,
            still_camera=True,
            clean_share=self.clean_share,
            held_out_share=self.held_out_share,
            every=self.every,
            patience=self.patience,
            seed=self.seed,
            threads=self.threads,
            fast=self.fast,
        )


def _choose(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
