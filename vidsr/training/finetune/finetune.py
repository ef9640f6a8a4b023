"""Fine-tuning of a network on a user's own footage; the result is kept only if it is better.

The output directory gets `dataset/`, `training/`, `report.html` and, if the tuned network is accepted, `model.npz`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vidsr.callbacks import OnProgress, OnWarning, ShouldStop
from vidsr.engine import Engine
from vidsr.errors import Stopped
from vidsr.media.atomic_file import atomic_write
from vidsr.model.weights import load_weights, save_weights
from vidsr.model.zoo import load_model
from vidsr.quality.crops import TUNED
from vidsr.quality.evaluation import ResultRow
from vidsr.quality.upscalers import make_upscalers
from vidsr.settings import FinetuneSettings, NetworkSettings
from vidsr.training.data.dataset import Dataset, read_degraded_pairs
from vidsr.training.data.pairs import read_pairs
from vidsr.training.data.sources import Source
from vidsr.training.data.validation_set import score_methods
from vidsr.training.finetune import check_ready
from vidsr.training.finetune.acceptance import Acceptance, assess
from vidsr.training.finetune.finetune_data import FinetuneData, collect_warnings
from vidsr.training.finetune.finetune_report import finetune_report
from vidsr.training.run import TrainProgress, TrainResult, TrainRun, finished_result, train_on_dataset
from vidsr.training.run_dir import MODEL

_CLEAN_FRAMES = 20  # clean frames per clip


@dataclass(frozen=True, kw_only=True)
class FinetuneResult:
    """The result of a fine-tuning."""

    acceptance: Acceptance
    rows: list[ResultRow]
    """Scores of every method on every validation clip and input."""
    trained: TrainResult
    report: Path
    model: Path | None
    """The weights, if accepted or forced."""


def finetune(
    data: FinetuneData,
    output: Path,
    settings: FinetuneSettings,
    *,
    force: bool = False,
    on_warning: OnWarning = lambda sentence: None,
    on_step: Callable[[TrainProgress], None] = lambda progress: None,
    on_progress: OnProgress = lambda done, of: None,
    should_stop: ShouldStop = lambda: False,
) -> FinetuneResult:
    """Fine-tune a network and write it to `output`/model.npz if it is accepted or `force` is set.

    `on_step` receives the progress of the training, `on_progress` the shards of the dataset. The same call resumes.
    Raises Stopped, SourceError, TrainingError, ModelError, TargetError, WorkerError, and ValueError for settings that
    exclude each other.
    """
    check_ready(output, settings)
    warnings, on_warning = collect_warnings(on_warning)
    trained = train_network(
        data,
        output,
        settings,
        on_warning=on_warning,
        on_step=on_step,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    return _write_result(trained, data, output, settings, notes=[*data.warnings, *warnings], force=force)


def train_network(
    data: FinetuneData,
    output: Path,
    settings: FinetuneSettings,
    *,
    on_warning: OnWarning = lambda sentence: None,
    on_step: Callable[[TrainProgress], None] = lambda progress: None,
    on_progress: OnProgress = lambda done, of: None,
    should_stop: ShouldStop = lambda: False,
) -> TrainResult:
    """The network trained on the data, in `output`/training, accepted or not. Callbacks, errors: as of `finetune`."""

    def read() -> Dataset:
        for name, build in data.builds.items():
            built = build(output / name, on_warning=on_warning, on_progress=on_progress, should_stop=should_stop)
            if not built.finished:
                raise Stopped(f"stopped at shard {built.shards} of {built.of} of the degraded clips")
        return _read_data(data, output, settings, on_warning)

    run = TrainRun(
        sources=tuple(Source(path=Path(name)) for name in data.names),
        output=output / "training",
        network=NetworkSettings(),
        settings=settings.training,
    )
    trained = finished_result(run) or train_on_dataset(run, read, on_step=on_step, should_stop=should_stop)
    if not trained.finished:
        raise Stopped(f"stopped at step {trained.step} of {trained.steps}")
    return trained


def _read_data(data: FinetuneData, output: Path, settings: FinetuneSettings, on_warning: OnWarning) -> Dataset:
    files = [replace(file, sizes=(1.0,)) for file in data.clean] if settings.clean_share else []
    return Dataset(
        clean=read_pairs(files, settings.scale, frames=_CLEAN_FRAMES, on_warning=on_warning),
        degraded=[pair for name in data.builds for pair in read_degraded_pairs(output / name, settings.scale)],
        validation=[sample.pair for sample in data.validation],
        clean_share=settings.clean_share,
    )


def _write_result(
    trained: TrainResult,
    data: FinetuneData,
    output: Path,
    settings: FinetuneSettings,
    *,
    notes: Sequence[str],
    force: bool,
) -> FinetuneResult:
    """Compare the network with its start; write the report, and the model if it is accepted or `force` is set."""
    start = Path(settings.initial_model).stem  # the name of a file
    weights = load_weights(trained.model)
    networks = {start: load_model(settings.initial_model, settings.scale), TUNED: weights}
    # In f32, because the losses of int8 are reported separately.
    engines = {name: Engine(network, precision="f32") for name, network in networks.items()}
    rows = score_methods(data.validation, make_upscalers(engines, settings.scale), settings.scale)
    acceptance = assess(rows, start=start, tuned=TUNED)
    page = finetune_report(
        acceptance,
        rows,
        engines,
        data=data,
        trained=trained,
        settings=settings,
        notes=notes,
        title=f"Fine-tuning of {start} for x{settings.scale}",
    )
    report, model = output / "report.html", output / MODEL if acceptance.accepted or force else None
    with atomic_write(report, overwrite=True) as file:
        file.write(page)
    if model:
        with atomic_write(model) as file:
            save_weights(file, replace(weights, facts={**weights.facts, "gains": acceptance.gains}))
    return FinetuneResult(acceptance=acceptance, rows=rows, trained=trained, report=report, model=model)
