"""A training from files to a weight file, in a folder in which it goes on after an interruption.

The folder gets `log.json`, a checkpoint for each stretch and, when training is done, `curve.png` and `model.npz`.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from vidsr.errors import TrainingError
from vidsr.media.landing import whole_file
from vidsr.model.growing import with_mapping_layers, with_tail_kernel
from vidsr.model.weights import Facts, Weights, save_weights
from vidsr.model.zoo import load_model
from vidsr.plots import learning_curve
from vidsr.settings import NetworkSettings, TrainSettings
from vidsr.training.course import Course, Progress
from vidsr.training.folder import Described, checkpoint_of, curve_of, model_of, open_folder, write_log
from vidsr.training.lesson import Lesson, loader_speed, read_lesson
from vidsr.training.loop import train
from vidsr.training.network import Network
from vidsr.training.plan import architecture_of, rescaled, stretches
from vidsr.training.sources import Source


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is asked of a training."""

    sources: tuple[Source, ...]
    output: Path
    """The folder of the training; made where it is not there."""
    network: NetworkSettings
    settings: TrainSettings
    held_out: tuple[Source, ...] = ()
    """What to measure by; without any, a share of the files of `sources`, which then do not teach."""

    @property
    def asked(self) -> Described:
        """What decides the result, as JSON has it."""
        return {
            **asdict(self.network),
            **asdict(self.settings),
            "sources": [[str(source.path), *source.sizes] for source in self.sources],
            "held_out": [str(source.path) for source in self.held_out],
        }


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training came to."""

    model: Path
    network: str
    finished: bool
    """Whether it reached its end; if not, there is no model yet, and the same job goes on."""
    step: int
    steps: int
    seconds: float
    pictures: int
    """Pictures to learn from: of every file, at every size."""
    skipped: int
    """Those of them that are smaller than a patch."""
    held_out: int
    psnr: float | None
    """Of the network on the held-out pictures, in dB; None when none are held out or none was measured yet."""
    bicubic_psnr: float | None
    """Of bicubic enlargement on the same."""
    loader_patches_s: float
    """Patches a second that the loader delivers with nothing else to do."""
    patches_s: float
    """Patches a second with the network learning from them."""


def train_model(
    job: Job,
    *,
    note: Callable[[str], None] = lambda sentence: None,
    watch: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train a network on pictures and videos and write it to `job.output`/model.npz.

    `note` gets what should be said, `watch` hears of every step, and `stop` is asked before each. The same job goes
    on where one was stopped.
    Raises TrainingError, ModelError or TargetError; ValueError for settings that do not fit each other.
    """
    settings = job.settings
    _require(settings)
    torch.set_num_threads(settings.threads or len(os.sched_getaffinity(0)))
    torch.manual_seed(settings.seed)
    learner, fresh_tail = _network(job)
    open_folder(job.output, job.asked)
    lesson = read_lesson(job.sources, job.held_out, settings, note)
    plan = stretches(settings, fresh_tail=fresh_tail)
    course = Course(folder=job.output, asked=job.asked, plan=plan, watch=watch)
    for number, schedule in enumerate(plan):
        course.begin()
        state = train(
            learner,
            lesson.patches(learner.architecture, schedule),
            schedule,
            checkpoint=checkpoint_of(job.output, number),
            validate=lesson.psnr if lesson.judges else None,
            tell=course.tell,
            stop=stop,
        )
        learner = state.average
        if not course.end(state):
            break
    return _finished(job, learner, lesson, course)


def _require(settings: TrainSettings) -> None:
    """Raise TrainingError for what this machine lacks."""
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("there is no CUDA device here to train on; without --device, the CPU does it")
    if settings.fast and not shutil.which(os.environ.get("CXX", "g++")):
        raise TrainingError("there is no C++ compiler (g++) here to be fast with; without --fast, it is not needed")


def _network(job: Job) -> tuple[Network, bool]:
    """What learns, and whether its tail begins anew below a body that has learnt."""
    settings = job.settings
    if settings.start is None:
        if settings.train != "all":
            raise ValueError(f"train {settings.train} needs a start, or the rest would stay as random as it begins")
        if settings.mapping_layers is not None:
            raise ValueError("mapping_layers changes a start; without one, m is their number")
        if settings.tail_kernel is not None:
            raise ValueError("tail_kernel changes a start; without one, kernel is its size")
        return _placed(Network(architecture_of(job.network, settings.scale)), settings), False
    if job.network != NetworkSettings():
        raise ValueError("start brings its own network; the numbers of another cannot be given as well")
    start = load_model(settings.start, usual_scale=settings.scale)
    if settings.mapping_layers is not None:
        start = with_mapping_layers(start, settings.mapping_layers)
    if settings.tail_kernel is not None:
        start = with_tail_kernel(start, settings.tail_kernel)
    learner = Network(rescaled(start.architecture, settings.scale))
    fresh_tail = learner.architecture.tail != start.architecture.tail
    tail = f"{start.architecture.tail.name}."
    learner.load_tensors({n: t for n, t in start.tensors.items() if not (fresh_tail and n.startswith(tail))})
    return _placed(learner, settings), fresh_tail


def _placed(network: Network, settings: TrainSettings) -> Network:
    # Channels last is a third faster than the usual order.
    return network.to(settings.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _finished(job: Job, network: Network, lesson: Lesson, course: Course) -> Trained:
    """What it came to, written down; with the weights when it reached its end."""
    patches = lesson.patches(network.architecture, course.plan[-1])
    trained = Trained(
        model=model_of(job.output),
        network=str(network.architecture),
        finished=course.step == course.steps,
        step=course.step,
        steps=course.steps,
        seconds=course.seconds,
        pictures=len(lesson.pairs),
        skipped=patches.skipped,
        held_out=len(lesson.judges),
        psnr=course.psnr,
        bicubic_psnr=lesson.bicubic_psnr() if lesson.judges else None,
        loader_patches_s=loader_speed(patches),
        patches_s=course.measured_steps * job.settings.batch / course.seconds if course.seconds else 0.0,
    )
    write_log(job.output, job.asked, course.stretches, {"result": {**asdict(trained), "model": str(trained.model)}})
    _draw(course, curve_of(job.output))
    if trained.finished:
        weights = Weights(architecture=network.architecture, tensors=network.tensors(), facts=_facts(job, trained))
        with whole_file(trained.model) as file:
            save_weights(file, weights)
    return trained


def _facts(job: Job, trained: Trained) -> Facts:
    """What the header of the weight file says of how they came to be."""
    facts: Facts = {
        "start": job.settings.start or "random",
        "pictures": trained.pictures,
        "steps": trained.steps,
        "seed": job.settings.seed,
        "seconds": round(trained.seconds),
    }
    if trained.psnr is not None and trained.bicubic_psnr is not None:
        facts["scores"] = {"held out": round(trained.psnr, 3), "held out, bicubic": round(trained.bicubic_psnr, 3)}
    return facts


def _draw(course: Course, path: Path) -> None:
    known = {
        f"stretch {number}: {schedule.loss}, {schedule.part}": [(m.step, m.psnr, m.loss) for m in stretch]
        for number, (schedule, stretch) in enumerate(zip(course.plan, course.stretches, strict=False), 1)
        if stretch
    }
    if known:
        with whole_file(path, overwrite=True) as file:
            learning_curve(known, file)
