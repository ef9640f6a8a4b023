"""Fine-tuning of a network on a user's own footage; the result is kept only if it is better.

The output directory gets `dataset/`, `training/`, `report.html` and, if the tuned network is accepted, `model.npz`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vidsr.callbacks import OnProgress, OnWarning, ShouldStop
from vidsr.engine import Engine
from vidsr.errors import Stopped
from vidsr.media.atomic_file import atomic_write
from vidsr.model.weights import load_weights, save_weights
from vidsr.model.zoo import load_model
from vidsr.quality.crops import TUNED, crops_png, finetune_crops
from vidsr.quality.evaluation import ResultRow
from vidsr.quality.report_html import HtmlReport, rate, render_html
from vidsr.quality.upscalers import make_upscalers
from vidsr.settings import FinetuneSettings, NetworkSettings
from vidsr.training.data.dataset import Dataset, read_degraded_pairs
from vidsr.training.data.pairs import read_pairs
from vidsr.training.data.sources import Source
from vidsr.training.data.validation_set import ValidationSample, score_methods
from vidsr.training.finetune import check_ready
from vidsr.training.finetune.acceptance import Acceptance, assess
from vidsr.training.finetune.finetune_data import FinetuneData, collect_warnings
from vidsr.training.run import TrainProgress, TrainResult, TrainRun, finished_result, train_on_dataset
from vidsr.training.run_dir import CURVE, MODEL

_CLEAN_FRAMES = 20  # clean frames per clip
_SHEETS = 2  # crop sheets: the first and the last clip


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

    def read() -> Dataset:
        built = data.build(output / "dataset", on_warning=on_warning, on_progress=on_progress, should_stop=should_stop)
        if not built.finished:
            raise Stopped(f"stopped at shard {built.shards} of {built.of} of the degraded clips")
        return _read_data(data, built.folder, settings, on_warning)

    run = TrainRun(
        sources=tuple(Source(path=Path(name)) for name in data.names),
        output=output / "training",
        network=NetworkSettings(),
        settings=settings.training,
    )
    trained = finished_result(run) or train_on_dataset(run, read, on_step=on_step, should_stop=should_stop)
    if not trained.finished:
        raise Stopped(f"stopped at step {trained.step} of {trained.steps}")
    return _write_result(trained, data, output, settings, notes=[*data.warnings, *warnings], force=force)


def _read_data(data: FinetuneData, folder: Path, settings: FinetuneSettings, on_warning: OnWarning) -> Dataset:
    files = [replace(file, sizes=(1.0,)) for file in data.clean] if settings.clean_share else []
    return Dataset(
        clean=read_pairs(files, settings.scale, frames=_CLEAN_FRAMES, on_warning=on_warning),
        degraded=read_degraded_pairs(folder, settings.scale),
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
    page = HtmlReport(
        title=f"Fine-tuning of {start} for x{settings.scale}",
        verdict=f"{acceptance}.{' Nobody sees such a difference.' if rate(acceptance.gain) == 'slight' else ''}",
        rating=rate(acceptance.gain) if acceptance.accepted else "bad",
        facts=_facts(trained, data, settings),
        rows=rows,
        start=start,
        tuned=TUNED,
        curve=(trained.model.parent / CURVE).read_bytes(),
        crops=list(_sheets(data.validation, engines)),
        notes=list(dict.fromkeys(notes)),
    )
    report, model = output / "report.html", output / MODEL if acceptance.accepted or force else None
    with atomic_write(report, overwrite=True) as file:
        file.write(render_html(page).encode("utf-8", "replace"))
    if model:
        with atomic_write(model) as file:
            save_weights(file, replace(weights, facts={**weights.facts, "gains": acceptance.gains}))
    return FinetuneResult(acceptance=acceptance, rows=rows, trained=trained, report=report, model=model)


def _facts(trained: TrainResult, data: FinetuneData, settings: FinetuneSettings) -> dict[str, str]:
    layers = f"{settings.layers} layers" if settings.layers == "mapping" else settings.layers
    lost = [f"{trained.losses[name]:.3f}" for name in ("int8", "int7") if trained.losses]
    return {
        "network": trained.network,
        "trained layers": layers,
        "files": ", ".join(data.names),
        **({"trained part": f"{data.window} of the picture; captions or logos lie outside"} if data.window else {}),
        "degraded frames": f"{trained.degraded}, and {trained.pictures} clean",
        "validation set": f"{trained.held_out} frames",
        "training": f"{trained.step} of {trained.steps} steps in {trained.seconds:.0f} s",
        **({"lost in int8": "{} dB on the validation set, and {} on CPUs without VNNI".format(*lost)} if lost else {}),
        "seed": str(settings.seed),
    }


def _sheets(validation: Sequence[ValidationSample], engines: Mapping[str, Engine]) -> Iterator[tuple[str, bytes]]:
    inputs = list(dict.fromkeys(sample.input for sample in validation))
    usual = {sample.name: sample for sample in validation if sample.input == inputs[(len(inputs) - 1) // 2]}
    for name, sample in list(usual.items())[:: max(1, len(usual) - 1)][:_SHEETS]:
        pair = sample.pair
        moving = np.ones(pair.hr.shape, np.bool_) if pair.moving is None else pair.moving
        crops = finetune_crops(pair.hr, pair.lr_luma, engines, moving=moving)
        yield f"{name}, {sample.input}", crops_png(crops)
