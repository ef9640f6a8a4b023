"""A training from files to a weight file, in a folder in which it goes on after an interruption.

The folder gets `log.json`, a checkpoint for each stretch and, when training is done, `curve.png` and `model.npz`.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from vidsr.errors import TrainingError
from vidsr.media.atomic_file import atomic_write
from vidsr.model.weights import Facts, Weights, save_weights
from vidsr.plots import learning_curve
from vidsr.settings import NetworkSettings, TrainSettings
from vidsr.training.build import learner_of
from vidsr.training.data.dataset import Lesson, loader_speed, read_lesson
from vidsr.training.data.sources import Source
from vidsr.training.loop import train
from vidsr.training.network import Network
from vidsr.training.progress import Course, Progress
from vidsr.training.run_dir import Described, checkpoint_of, curve_of, model_of, open_folder, result_of, write_log
from vidsr.training.stages import stretches


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
    corpora: tuple[Path, ...] = ()
    """Folders of degraded clips to learn from as well; what is held out is degraded, too, then."""

    @property
    def asked(self) -> Described:
        """What decides the result, as JSON has it."""
        return {
            **asdict(self.network),
            **asdict(self.settings),
            "sources": [[str(source.path), *source.sizes] for source in self.sources],
            "held_out": [str(source.path) for source in self.held_out],
            "corpora": [str(folder) for folder in self.corpora],
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
    degraded: int
    """Frames to learn from that a codec has seen."""
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
    losses: dict[str, float] = field(default_factory=dict)
    """What int8, int7 (int8 without VNNI) and bf16 lose on what is held out, in dB, where that is known."""


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
    read = partial(read_lesson, job.sources, job.held_out, job.settings, note, job.corpora)
    return train_on(job, read, watch=watch, stop=stop)


def train_on(
    job: Job, read: Callable[[], Lesson], *, watch: Callable[[Progress], None], stop: Callable[[], bool]
) -> Trained:
    """The same with a lesson that is read when all else has been found in order."""
    settings = job.settings
    _require(settings)
    torch.set_num_threads(threads_of(settings))
    torch.manual_seed(settings.seed)
    learner, fresh_tail = learner_of(job.network, settings)
    open_folder(job.output, job.asked)
    lesson = read()
    plan = stretches(settings, fresh_tail=fresh_tail)
    course = Course(folder=job.output, asked=job.asked, plan=plan, watch=watch)
    for number, schedule in enumerate(plan):
        course.begin()
        state = train(
            learner,
            lesson.batches(learner.architecture, schedule),
            schedule,
            checkpoint=checkpoint_of(job.output, number),
            validate=lesson.psnr if lesson.judges else None,
            tell=course.tell,
            stop=stop,
        )
        learner = state.result
        if not course.end(state):
            break
    return _finished(job, learner, lesson, course)


def trained_before(job: Job) -> Trained | None:
    """What the same job came to, if it is done. Raises TrainingError when another is, in its folder."""
    result = result_of(job.output, job.asked)
    return Trained(**{**result, "model": model_of(job.output)}) if result else None  # type: ignore[arg-type]


def threads_of(settings: TrainSettings) -> int:
    """How many threads PyTorch gets."""
    return settings.threads or len(os.sched_getaffinity(0))


def _require(settings: TrainSettings) -> None:
    """Raise TrainingError for what this machine lacks."""
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("there is no CUDA device here to train on; without --device, the CPU does it")
    if settings.fast and not shutil.which(os.environ.get("CXX", "g++")):
        raise TrainingError("there is no C++ compiler (g++) here to be fast with; without --fast, it is not needed")


def _finished(job: Job, network: Network, lesson: Lesson, course: Course) -> Trained:
    """What it came to, written down; with the weights when it reached its end."""
    batches = lesson.batches(network.architecture, course.plan[-1])
    weights = Weights(architecture=network.architecture, tensors=network.tensors())
    if course.finished:
        weights = lesson.calibrated(weights)
    trained = Trained(
        model=model_of(job.output),
        network=str(network.architecture),
        finished=course.finished,
        step=course.step,
        steps=course.steps,
        seconds=course.seconds,
        pictures=len(lesson.clean),
        degraded=len(lesson.degraded),
        skipped=batches.skipped,
        held_out=len(lesson.judges),
        psnr=course.psnr,
        bicubic_psnr=lesson.bicubic_psnr() if lesson.judges else None,
        loader_patches_s=loader_speed(batches, job.settings.batch),
        patches_s=course.measured_steps * job.settings.batch / course.seconds if course.seconds else 0.0,
        losses=weights.calibration.losses if weights.calibration else {},
    )
    write_log(job.output, job.asked, course.stretches, {**asdict(trained), "model": str(trained.model)})
    _draw(course, curve_of(job.output))
    if trained.finished:
        with atomic_write(trained.model) as file:
            save_weights(file, replace(weights, facts=_facts(job, trained)))
    return trained


def _facts(job: Job, trained: Trained) -> Facts:
    """What the header of the weight file says of how they came to be."""
    facts: Facts = {
        "start": job.settings.start or "random",
        "pictures": trained.pictures,
        "degraded": trained.degraded,
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
        with atomic_write(path, overwrite=True) as file:
            learning_curve(known, file)
