"""A training run: from source files to a weight file, in a run directory from which it resumes.

The run directory gets `log.json`, `curve.png`, a checkpoint per stage and, at the end, `model.npz`.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from vidsr.callbacks import OnWarning, ShouldStop
from vidsr.cpu import describe_machine, usable_cores
from vidsr.errors import TrainingError
from vidsr.media.atomic_file import atomic_write
from vidsr.model.weights import Facts, Weights, save_weights
from vidsr.plots import learning_curve
from vidsr.settings import NetworkSettings, TrainSettings
from vidsr.training.data.dataset import Dataset, loader_speed, read_dataset
from vidsr.training.data.dataset_builder import Config
from vidsr.training.data.patches import BatchSource
from vidsr.training.data.sources import Source
from vidsr.training.loop import LogEntry, TrainState, train
from vidsr.training.malloc import keep_freed_memory
from vidsr.training.network import Network, initial_network
from vidsr.training.run_dir import CURVE, LOG, MODEL, checkpoint_path, open_run_dir, read_result, write_log
from vidsr.training.schedule import Schedule, stages


@dataclass(frozen=True, kw_only=True)
class TrainProgress:
    """The progress of a training after a step."""

    step: int
    steps: int
    loss: float
    psnr: float | None
    """The last measurement on the validation set, in dB."""


@dataclass(kw_only=True)
class RunState:
    """The completed stages of a training run, and the current one."""

    run_dir: Path
    config: Config
    schedules: list[Schedule]
    on_step: Callable[[TrainProgress], None]
    stages: list[list[LogEntry]] = field(default_factory=list)
    step: int = 0
    """Steps of the completed stages."""
    finished: bool = False
    """Whether the last stage is complete."""
    start_psnr: float | None = None
    """Of the initial model on the validation set, in dB; None for random weights."""

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return sum(schedule.steps for schedule in self.schedules)

    @property
    def psnr(self) -> float | None:
        """The last measurement, in dB."""
        entries = [entry for stage in self.stages for entry in stage]
        return entries[-1].psnr if entries else None

    @property
    def seconds(self) -> float:
        """Seconds of training, interruptions excluded."""
        return sum(stage[-1].seconds for stage in self.stages if stage)

    @property
    def logged_steps(self) -> int:
        """Steps up to the last log entry of each stage: the steps that `seconds` covers."""
        return sum(stage[-1].step for stage in self.stages if stage)

    def record_step(self, state: TrainState, loss: float) -> None:
        """Report a step, and log a new measurement."""
        if len(state.history) > len(self.stages[-1]):
            self.stages[-1] = list(state.history)
            write_log(self.run_dir, self.config, self.stages)
        self.on_step(TrainProgress(step=self.step + state.step, steps=self.steps, loss=loss, psnr=self.psnr))

    def end_stage(self, state: TrainState) -> bool:
        """End the stage, complete or stopped; returns whether it is complete."""
        self.stages[-1] = list(state.history)
        self.step += state.step
        complete = self.schedules[len(self.stages) - 1].is_over(state.step, state.scores)
        self.finished = complete and len(self.stages) == len(self.schedules)
        return complete


@dataclass(frozen=True, kw_only=True)
class TrainRun:
    """The sources, the network and the settings of a training run."""

    sources: tuple[Source, ...]
    output: Path
    """The run directory; created if missing."""
    network: NetworkSettings
    settings: TrainSettings
    held_out: tuple[Source, ...] = ()
    """The validation set; if empty, a share of the files of `sources` is held out."""
    datasets: tuple[Path, ...] = ()
    """Directories of degraded clips, added to the training set; the validation set is then degraded, too."""

    @property
    def config(self) -> Config:
        """Everything that decides the result, as JSON values."""
        return {
            **asdict(self.network),
            **asdict(self.settings),
            "sources": [[str(source.path), *source.sizes] for source in self.sources],
            "held_out": [str(source.path) for source in self.held_out],
            "datasets": [str(folder) for folder in self.datasets],
        }


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """The result of a training run."""

    model: Path
    network: str
    finished: bool
    """Whether training is complete; if not, there is no model yet, and the same run resumes."""
    step: int
    steps: int
    seconds: float
    pictures: int
    """Clean frames and images of the training set, over all sizes."""
    degraded: int
    """Degraded frames of the training set."""
    skipped: int
    """Frames of the training set that are smaller than a patch."""
    held_out: int
    """Pairs of the validation set."""
    psnr: float | None
    """Of the network on the validation set, in dB; None without a validation set or measurement."""
    bicubic_psnr: float | None
    """Of bicubic upscaling on the validation set, in dB."""
    loader_patches_s: float
    """Patches per second of the loader alone."""
    patches_s: float
    """Patches per second of the training."""
    losses: dict[str, float] = field(default_factory=dict)
    """Losses of int8, int7 (int8 without VNNI) and bf16 on the validation set, in dB, where known."""


def train_model(
    run: TrainRun,
    *,
    on_warning: OnWarning = lambda sentence: None,
    on_step: Callable[[TrainProgress], None] = lambda progress: None,
    should_stop: ShouldStop = lambda: False,
) -> TrainResult:
    """Train a network on images and videos and write it to `run.output`/model.npz.

    `on_step` receives the progress after each step; `should_stop` is called before each. The same run resumes.
    Raises SourceError, TrainingError, ModelError or TargetError; ValueError for settings that exclude each other.
    """
    read = partial(read_dataset, run.sources, run.held_out, run.settings, on_warning, run.datasets)
    return train_on_dataset(run, read, on_step=on_step, should_stop=should_stop)


def train_on_dataset(
    run: TrainRun, read: Callable[[], Dataset], *, on_step: Callable[[TrainProgress], None], should_stop: ShouldStop
) -> TrainResult:
    """`train_model` with a dataset that is read after all other checks have passed."""
    settings = run.settings
    _check_machine(settings)
    keep_freed_memory()
    torch.set_num_threads(settings.threads or usable_cores(describe_machine()))
    torch.manual_seed(settings.seed)
    network, fresh_tail = initial_network(run.network, settings)
    schedules = stages(settings, fresh_tail=fresh_tail)
    with open_run_dir(run.output, run.config):
        dataset = read()
        batches = dataset.batches(network.architecture, schedules[0])  # of all: patches are as large in each
    run_state = RunState(run_dir=run.output, config=run.config, schedules=schedules, on_step=on_step)
    if dataset.validation and settings.initial_model and not fresh_tail:
        run_state.start_psnr = dataset.psnr(network)
    for number, schedule in enumerate(schedules):
        run_state.stages.append([])
        state = train(
            network,
            batches,
            schedule,
            checkpoint=checkpoint_path(run.output, number),
            validate=dataset.psnr if dataset.validation else None,
            on_step=run_state.record_step,
            should_stop=should_stop,
        )
        network = state.result
        if not run_state.end_stage(state):
            break
    return _finish(run, network, dataset, batches, run_state)


def finished_result(run: TrainRun) -> TrainResult | None:
    """The result of the run if it is finished. Raises TrainingError when its directory holds another run."""
    result = read_result(run.output, run.config)
    try:
        return TrainResult(**{**result, "model": run.output / MODEL}) if result else None  # type: ignore[arg-type]
    except TypeError as error:
        raise TrainingError(
            f"{run.output / LOG}: is of another version of vidsr ({error}); choose another directory"
        ) from error


def _check_machine(settings: TrainSettings) -> None:
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("no CUDA device; remove --device to train on the CPU")
    if settings.fast and not shutil.which(os.environ.get("CXX", "g++")):
        raise TrainingError("--fast needs a C++ compiler (g++); install one, or remove --fast")


def _finish(run: TrainRun, network: Network, dataset: Dataset, batches: BatchSource, state: RunState) -> TrainResult:
    """The result, written to the log; with the weights when training is complete."""
    weights = Weights(architecture=network.architecture, tensors=network.tensors())
    if state.finished:
        weights = dataset.calibrate(weights)
    result = TrainResult(
        model=run.output / MODEL,
        network=str(network.architecture),
        finished=state.finished,
        step=state.step,
        steps=state.steps,
        seconds=state.seconds,
        pictures=len(dataset.clean),
        degraded=len(dataset.degraded),
        skipped=batches.skipped,
        held_out=len(dataset.validation),
        psnr=state.psnr,
        bicubic_psnr=dataset.bicubic_psnr() if dataset.validation else None,
        loader_patches_s=loader_speed(batches, run.settings.batch),
        patches_s=state.logged_steps * run.settings.batch / state.seconds if state.seconds else 0.0,
        losses=weights.calibration.losses if weights.calibration else {},
    )
    write_log(run.output, run.config, state.stages, {**asdict(result), "model": str(result.model)})
    _draw(state, run.output / CURVE)
    if result.finished:
        with atomic_write(result.model) as file:
            save_weights(file, replace(weights, facts=_facts(run, result)))
    return result


def _facts(run: TrainRun, result: TrainResult) -> Facts:
    facts: Facts = {
        "start": run.settings.initial_model or "random",
        "pictures": result.pictures,
        "degraded": result.degraded,
        "steps": result.steps,
        "seed": run.settings.seed,
        "seconds": round(result.seconds),
    }
    if result.psnr is not None and result.bicubic_psnr is not None:
        facts["scores"] = {"held out": round(result.psnr, 3), "held out, bicubic": round(result.bicubic_psnr, 3)}
    return facts


def _draw(state: RunState, path: Path) -> None:
    curves = {
        f"stage {number}: {schedule.loss}, {schedule.part}": [(m.step, m.psnr, m.loss) for m in stage]
        for number, (schedule, stage) in enumerate(zip(state.schedules, state.stages, strict=False), 1)
        if stage
    }
    if curves:
        with atomic_write(path, overwrite=True) as file:
            learning_curve(curves, file, start_db=state.start_psnr)
