"""Settings of `vidsr train`, `vidsr finetune`, and of the data that both learn from."""

import re
from dataclasses import dataclass, fields

from vidsr.settings.options import check_choice, check_limits, check_range, check_scale, check_shares, option
from vidsr.settings.upscale import MAX_WORKERS

_MOST_HELD_OUT = 0.9
LARGEST_CROP = 144
"""Low-resolution pixels per side of a fine-tuning clip, if the footage is large enough."""


@dataclass(frozen=True, kw_only=True)
class DegradeSettings:
    """The random degradation of full-size footage, which a network learns to undo.

    Ranges are written "low-high" and drawn from uniformly, shares "name:weight,…"; each clip has its own draws. The
    default shares did best on film (`fsrcnn-narrow-video.md`): a network trained on much noise removes texture.
    """

    scale: int = option(2, "downscaling factor: 2, 3 or 4", "N", group="clip")
    frames: str = option("8-12", "frames per clip", "N-N", group="clip")
    still_share: float = option(0.5, "share of still clips among those made of images", "SHARE", group="clip")
    blur_share: float = option(0.05, "share of clips that are blurred", "SHARE", group="camera")
    blur: str = option("0.2-0.8", "sigma of the blur in full-size pixels", "S-S", group="camera")
    kernels: str = option(
        "bicubic:85,area:5,bilinear:2,lanczos:6,plain:2", "downscaling kernels", "NAME:N,...", group="camera"
    )
    noise_share: float = option(0.05, "share of clips with noise", "SHARE", group="camera")
    noise: str = option("0.5-2", "sigma of the noise in grey levels at white", "S-S", group="camera")
    denoise_share: float = option(0.05, "share of clips that are denoised", "SHARE", group="camera")
    denoise: str = option("3-12", "sigma of the denoising in grey levels", "S-S", group="camera")
    sharpen_share: float = option(0.05, "share of clips that are sharpened", "SHARE", group="camera")
    sharpen: str = option("0.2-0.5", "amount of the unsharp mask", "A-A", group="camera")
    codec_share: float = option(0.95, "share of clips that are encoded", "SHARE", group="codec")
    codecs: str = option("x264:80,x265:15,mjpeg:2,rate:3", "codecs", "NAME:N,...", group="codec")
    x264_crf: str = option("15-38", "CRF of x264", "N-N", group="codec")
    x265_crf: str = option("22-36", "CRF of x265", "N-N", group="codec")
    mjpeg_quality: str = option("40-90", "JPEG quality", "N-N", group="codec")
    rate_mbps: str = option(
        "0.3-3", "megabits per second at 640x360; proportional to the area at other sizes", "R-R", group="codec"
    )
    gop: str = option("25-100", "frames between key frames", "N-N", group="codec")
    second_share: float = option(0.03, "share of the encoded clips that are encoded twice", "SHARE", group="codec")
    first_share: float = option(
        0.1, "share of clips whose training frame is the first, a key frame", "SHARE", group="clip"
    )
    seed: int = option(0, "seed of every draw", "N", group="clip")

    def __post_init__(self) -> None:
        check_scale(self.scale)
        check_limits(self, "seed", least=0)
        check_limits(self, *(field.name for field in fields(self) if field.name.endswith("_share")), least=0, most=1)
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

    clips: int = option(13_000, "degraded clips, rounded up to whole shards of 32; each gives one training frame", "N")
    crop: int = option(96, "low-resolution pixels per side of a clip", "N")
    footage_share: float = option(0.5, "share of clips from videos when there are images as well", "SHARE")
    max_gb: float = option(2.0, "limit of the dataset on disk, in GB", "N")

    def __post_init__(self) -> None:
        check_limits(self, "clips", least=1)
        check_limits(self, "crop", least=32, most=1024)
        check_limits(self, "footage_share", least=0, most=1)
        check_limits(self, "max_gb", least=0, most=1_000_000, above=True)


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """The network that is trained from random weights."""

    family: str = option("fsrcnn", "fsrcnn, or srcnn, which refines the bicubic upscaling", "NAME")
    d: int | None = option(None, "channels of FSRCNN's feature layer (default: 56)", "N")
    s: int | None = option(None, "channels of FSRCNN's mapping layers (default: 12)", "N")
    m: int | None = option(None, "mapping layers of FSRCNN (default: 4)", "N")
    kernel: int | None = option(None, "taps per side of FSRCNN's deconvolution (default: 9)", "N")
    kernels: str | None = option(None, "kernels of SRCNN (default: 9-1-5)", "K-K-K")
    widths: str | None = option(None, "channels of SRCNN (default: 64-32)", "N-N")
    long_skip: bool = option(False, "add FSRCNN's features to the input of its deconvolution")
    activation: str | None = option(
        None, "prelu, prelu-shared, leaky-relu or relu (default: prelu for fsrcnn, relu for srcnn)", "NAME"
    )

    def __post_init__(self) -> None:
        check_choice(self, "family", ("fsrcnn", "srcnn"))
        check_choice(self, "activation", ("prelu", "prelu-shared", "leaky-relu", "relu"))
        foreign = ("kernels", "widths") if self.family == "fsrcnn" else ("d", "s", "m", "kernel", "long_skip")
        for name in foreign:
            if getattr(self, name) not in (None, False):
                raise ValueError(f"{name} is not an option of {self.family}")
        for name, value, example in (("kernels", self.kernels, "9-1-5"), ("widths", self.widths, "64-32")):
            if value is not None and not re.fullmatch(re.sub(r"\d+", r"\\d{1,4}", example), value):
                raise ValueError(f"{name} must be written like {example}, not {value!r}")


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """The training of a network."""

    scale: int = option(2, "2, 3 or 4", "N")
    initial_model: str | None = option(None, "zoo model or .npz file to begin with, also of another scale", "MODEL")
    mapping_layers: int | None = option(
        None, "mapping layers to expand the initial model to; new ones begin as identity", "N"
    )
    tail_kernel: int | None = option(None, "taps per side to expand its deconvolution to; new ones begin at zero", "N")
    layers: str = option("all", "trainable part: all, tail (the deconvolution) or mapping (layers)", "PART")
    steps: int = option(20_000, "steps with the main loss", "N")
    loss: str = option("l1", "the main loss: l1, the absolute difference, or mse, the squared one", "NAME")
    rate: float = option(7e-4, "peak learning rate of these steps", "R")
    finish_steps: int = option(4_000, "final steps with the squared difference", "N")
    finish_rate: float = option(2e-4, "peak learning rate of the final steps", "R")
    patch: int = option(48, "low-resolution pixels per side of a patch", "N")
    batch: int = option(16, "patches per step", "N")
    still_camera: bool = option(False, "no rotation and flips of patches")
    held_out_share: float = option(0.05, "share of the files held out for validation, without --held-out", "SHARE")
    frames: int = option(50, "frames per video", "N")
    clean_share: float = option(0.2, "share of clean patches with --dataset", "SHARE")
    every: int = option(1000, "steps between measurements, each with a checkpoint", "N")
    patience: int | None = option(None, "end with the best weights after N measurements without improvement", "N")
    seed: int = option(0, "seed of initial weights, patches and validation split", "N")
    threads: int | None = option(None, "threads (default: one per core)", "N")
    device: str = option("cpu", "cpu or cuda", "NAME")
    fast: bool = option(False, "use torch.compile, and bfloat16 on CPUs that have it; needs a C++ compiler")

    def __post_init__(self) -> None:
        check_choice(self, "layers", ("all", "tail", "mapping"))
        check_choice(self, "loss", ("l1", "mse"))
        check_choice(self, "device", ("cpu", "cuda"))
        check_scale(self.scale)
        check_limits(self, "steps", "patch", "batch", "frames", "every", "patience", least=1)
        check_limits(self, "threads", least=1, most=MAX_WORKERS)
        check_limits(self, "finish_steps", "seed", least=0)
        for name in ("rate", "finish_rate"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name):g}")
        check_limits(self, "held_out_share", least=0, most=_MOST_HELD_OUT)
        check_limits(self, "clean_share", least=0, most=1)


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """The fine-tuning of a network on a user's own footage."""

    scale: int = option(2, "2, 3 or 4", "N", group="network")
    initial_model: str = option(
        "fsrcnn-narrow-video", "the network to fine-tune: zoo model or .npz file", "MODEL", group="network"
    )
    layers: str = option(
        "mapping", "trainable part: mapping (layers), tail (the deconvolution) or all", "PART", group="network"
    )
    mapping_layers: int | None = option(
        None, "total number of mapping layers; new ones begin as identity", "N", group="network"
    )
    crf: str = option("16-35", "expected CRF of the low-resolution footage", "N-N", group="footage")
    clips: int = option(2_000, "short degraded clips to train on", "N", group="footage")
    frames: int = option(200, "frames selected from each recording of --from", "N", group="footage")
    clean_share: float = option(0.1, "share of patches that were not encoded", "SHARE", group="footage")
    held_out_share: float = option(
        0.2, "share of the clips, or of a single clip, held out for validation", "SHARE", group="footage"
    )
    steps: int = option(4_000, "maximum number of steps", "N", group="training")
    rate: float = option(2e-3, "peak learning rate", "R", group="training")
    every: int = option(250, "steps between measurements", "N", group="training")
    patience: int | None = option(6, "end after N measurements without improvement", "N", group="training")
    max_gb: float = option(
        1.0, "limit of the degraded clips on disk, in GB; fewer clips if they would not fit", "N", group="footage"
    )
    seed: int = option(0, "seed of every draw, and of the validation split", "N", group="training")
    threads: int | None = option(None, "threads (default: one per core)", "N", group="training")
    fast: bool = option(
        False, "use torch.compile, and bfloat16 on CPUs that have it; needs a C++ compiler", group="training"
    )

    def __post_init__(self) -> None:
        check_choice(self, "layers", ("mapping", "tail", "all"))
        check_range("crf", self.crf, 0, 51, whole=True)
        check_limits(self, "frames", least=1)
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
            initial_model=self.initial_model,
            layers=self.layers,
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
