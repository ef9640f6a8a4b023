"""The plan of a training: the architecture and the schedule of each stage."""

from dataclasses import replace

from vidsr.cpu import this_cpu
from vidsr.model.architecture import PAPER_KERNEL, Architecture, fsrcnn, srcnn
from vidsr.model.subpixel import centred_padding
from vidsr.settings import NetworkSettings, TrainSettings
from vidsr.training.schedule import Schedule

TAIL_STEPS, TAIL_RATE = 1_000, 1e-3
"""Steps and learning rate of a fresh tail, trained alone behind a body of another scale."""


def build_architecture(network: NetworkSettings, scale: int) -> Architecture:
    """The architecture that the settings describe. Raises ValueError for impossible numbers."""
    if network.family == "srcnn":
        kernels, widths = network.kernels or "9-1-5", network.widths or "64-32"
        k1, k2, k3 = map(int, kernels.split("-"))
        n1, n2 = map(int, widths.split("-"))
        return srcnn(k1, k2, k3, n1, n2, scale, activation=network.activation or "relu")
    d, s, m, kernel = (
        default if number is None else number
        for number, default in ((network.d, 56), (network.s, 12), (network.m, 4), (network.kernel, PAPER_KERNEL))
    )
    return fsrcnn(d, s, m, scale, activation=network.activation or "prelu", kernel=kernel)


def rescale(architecture: Architecture, scale: int) -> Architecture:
    """The same layers for another scale; a deconvolution kernel other than PAPER_KERNEL keeps its LR extent."""
    if architecture.upscales_first or architecture.scale == scale:
        return replace(architecture, scale=scale)
    kernel = architecture.tail.kernel
    if kernel != PAPER_KERNEL:
        kernel = -(-kernel // architecture.scale) * scale
    tail = replace(architecture.tail, stride=scale, kernel=kernel, padding=centred_padding(scale, kernel))
    return replace(architecture, scale=scale, tail=tail)


def stages(settings: TrainSettings, *, fresh_tail: bool) -> list[Schedule]:
    """The schedules of a training, in order; a fresh tail is first trained alone."""
    main = Schedule(
        steps=settings.steps,
        rate=settings.rate,
        loss=settings.loss,
        patch=settings.patch,
        batch=settings.batch,
        still_camera=settings.still_camera,
        part=settings.train,
        every=settings.every,
        patience=settings.patience,
        compiled=settings.fast,
        mixed=settings.fast and (settings.device != "cpu" or this_cpu().has_bfloat16),
    )
    schedules = [main]
    if fresh_tail and settings.train == "all":
        schedules.insert(0, replace(main, steps=TAIL_STEPS, rate=TAIL_RATE, part="tail"))
    if settings.finish_steps:  # in float32: bfloat16 rounds its gains away
        finish = replace(main, steps=settings.finish_steps, rate=settings.finish_rate, loss="mse", ema_decay=0.9995)
        schedules.append(replace(finish, mixed=False))
    return [replace(schedule, seed=settings.seed + number) for number, schedule in enumerate(schedules)]
