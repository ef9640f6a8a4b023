"""Settings of `vidsr train` and `vidsr finetune`."""

import re
from dataclasses import dataclass

from vidsr.settings.degradation import DatasetSettings, DegradeSettings
from vidsr.settings.range_syntax import check_range

_MOST_HELD_OUT = 0.9
LARGEST_CROP = 144
"""Low-resolution pixels per side of a fine-tuning clip, if the footage is large enough."""


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """The network that is trained from random weights."""

    family: str = "fsrcnn"
    """The kind of network: "fsrcnn" or "srcnn"."""
    d: int | None = None
    """Channels of FSRCNN's feature layer; None: 56."""
    s: int | None = None
    """Channels of FSRCNN's mapping layers; None: 12. If equal to `d`, there are no shrinking and expanding layers."""
    m: int | None = None
    """Mapping layers of FSRCNN; None: 4."""
    kernel: int | None = None
    """Taps per side of FSRCNN's deconvolution; None: 9."""
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
                raise ValueError(f"{name} is not an option of {self.family}")
        for name, value, example in (("kernels", self.kernels, "9-1-5"), ("widths", self.widths, "64-32")):
            if value is not None and not re.fullmatch(re.sub(r"\d+", r"\\d{1,4}", example), value):
                raise ValueError(f"{name} must be written like {example}, not {value!r}")


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """The training of a network."""

    scale: int = 2
    """Upscaling factor."""
    start: str | None = None
    """Name of a zoo model, or weight file, to start from; None: random weights."""
    mapping_layers: int | None = None
    """Mapping layers to expand the start to; new ones begin as identity. None: unchanged."""
    tail_kernel: int | None = None
    """Taps per side to expand the start's deconvolution to; new ones begin at zero. None: unchanged."""
    train: str = "all"
    """Trainable part: "all", the "tail" (the deconvolution) or the "mapping" layers."""
    steps: int = 20_000
    """Steps with the main loss."""
    loss: str = "l1"
    """The main loss: "l1", the absolute difference, or "mse", the squared one."""
    rate: float = 7e-4
    """Peak learning rate of these steps."""
    finish_steps: int = 4_000
    """Final steps with the squared difference as the loss."""
    finish_rate: float = 2e-4
    """Peak learning rate of the final steps."""
    patch: int = 48
    """Low-resolution pixels per side of a patch; the halo is added."""
    batch: int = 16
    """Patches per step."""
    still_camera: bool = False
    """Use patches without rotation and flips."""
    held_out_share: float = 0.05
    """Share of the files held out for validation, unless a validation set is given."""
    frames: int = 50
    """Evenly spaced frames per video."""
    clean_share: float = 0.2
    """Share of clean patches when a dataset of degraded clips is given."""
    every: int = 1000
    """Steps between two measurements, each with a checkpoint."""
    patience: int | None = None
    """Measurements without improvement after which training ends with its best weights; None: never."""
    seed: int = 0
    """Seed of the initial weights, the patches and the validation split."""
    threads: int | None = None
    """Threads of PyTorch; None: one per allowed core."""
    device: str = "cpu"
    """Device of the training: "cpu" or "cuda"."""
    fast: bool = False
    """Compile the network, and use bfloat16 where it is fast and harmless; takes a C++ compiler."""

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
    """The fine-tuning of a network on a user's own footage."""

    scale: int = 2
    """Upscaling factor."""
    start: str = "fsrcnn-narrow-video"
    """The network to fine-tune: name of a zoo model, or weight file."""
    layers: str = "mapping"
    """Trainable part: the "mapping" layers, the "tail" (the deconvolution) or "all"."""
    mapping_layers: int | None = None
    """Mapping layers to expand the network to; new ones begin as identity. None: unchanged."""
    crf: str = "16-35"
    """Range of CRF of the low-resolution footage to expect."""
    clips: int = 2_000
    """Number of short degraded clips; each gives one training frame."""
    frames: int = 200
    """Frames selected from each long recording."""
    clean_share: float = 0.1
    """Share of clean patches."""
    held_out_share: float = 0.2
    """Share of the clips, or of a single clip, held out for validation."""
    steps: int = 4_000
    """Maximum number of steps."""
    rate: float = 2e-3
    """Peak learning rate."""
    every: int = 250
    """Steps between two measurements on the validation set."""
    patience: int = 6
    """Measurements without improvement after which training ends with its best weights."""
    max_gb: float = 1.0
    """Limit of the degraded clips on disk, in gigabytes of 1e9 bytes."""
    seed: int = 0
    """Seed of every draw, and of the validation split."""
    threads: int | None = None
    """Threads, and degradation processes; None: one per allowed core."""
    fast: bool = False
    """Compile the network, and use bfloat16 where it is fast and harmless; takes a C++ compiler."""

    def __post_init__(self) -> None:
        _choose("layers", self.layers, ("mapping", "tail", "all"))
        check_range("crf", self.crf, 0, 51, whole=True)
        if self.frames < 1:
            raise ValueError(f"frames must be 1 or more, not {self.frames}")
        for what in ("degradation", "dataset", "training"):  # each checks its own fields
            getattr(self, what)

    @property
    def degradation(self) -> DegradeSettings:
        """The degradation of the footage: downscaling and a codec; real footage has its noise and blur already."""
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
    def dataset(self) -> DatasetSettings:
        """The size of the dataset of degraded clips."""
        return DatasetSettings(clips=self.clips, crop=LARGEST_CROP, footage_share=0.8, max_gb=self.max_gb)

    @property
    def training(self) -> TrainSettings:
        """The training on that dataset."""
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
