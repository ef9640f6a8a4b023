"""Fine-tuning: a network that ships learns somebody's own footage, and is kept only if that paid.

The folder gets `corpus/`, `training/`, `report.html` and, when the tuned network is better, `model.npz`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vidsr.engine import Engine
from vidsr.errors import Stopped, TargetError
from vidsr.media.atomic_file import atomic_write
from vidsr.model.weights import load_weights, save_weights
from vidsr.model.zoo import load_model
from vidsr.quality.report_html import html_of
from vidsr.quality.results import Measured
from vidsr.quality.tuned_crops import TUNED
from vidsr.quality.upscalers import methods
from vidsr.settings import FinetuneSettings, NetworkSettings
from vidsr.training.data.dataset import Lesson
from vidsr.training.data.patches import read_pairs
from vidsr.training.data.replay import read_corpus
from vidsr.training.data.sources import Source
from vidsr.training.finetune.acceptance import Verdict, verdict_on
from vidsr.training.finetune.finetune_data import Gathered, kept
from vidsr.training.finetune.finetune_report import page_of
from vidsr.training.finetune.validation_set import scored
from vidsr.training.progress import Progress
from vidsr.training.run import Job, Trained, train_on, trained_before
from vidsr.training.run_dir import model_of

_FRAMES = 20  # of each clip, that no codec has seen


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What a fine-tuning came to."""

    verdict: Verdict
    rows: list[Measured]
    """Every method on every held-out clip and input."""
    trained: Trained
    report: Path
    model: Path | None
    """The weights, where they are worth it or were wanted in any case."""


def tune(
    gathered: Gathered,
    output: Path,
    settings: FinetuneSettings,
    *,
    force: bool = False,
    note: Callable[[str], None] = lambda sentence: None,
    watch: Callable[[Progress], None] = lambda progress: None,
    degrading: Callable[[int, int], None] = lambda done, of: None,
    stop: Callable[[], bool] = lambda: False,
) -> Tuned:
    """Tune a network to footage and write it to `output`/model.npz, if it is better than its start or `force` is set.

    The same call goes on where one was stopped. Raises Stopped, TrainingError, ModelError, TargetError, WorkerError,
    and ValueError for settings that do not fit each other.
    """
    require_ready(output, settings)
    notes, note = kept(note)
    trained = _trained(gathered, output, settings, note=note, watch=watch, tell=degrading, stop=stop)
    start = Path(settings.start).stem  # of a file, its name
    engines = _engines(start, settings, trained.model)
    rows = scored(gathered.trials, methods(engines, settings.scale), settings.scale)
    verdict = verdict_on(rows, start=start, tuned=TUNED)
    report, model = output / "report.html", model_of(output) if verdict.pays or force else None
    page = page_of(verdict, rows, trained, gathered, engines, settings, [*gathered.notes, *notes])
    with atomic_write(report, overwrite=True) as file:
        file.write(html_of(page).encode("utf-8", "replace"))
    if model:
        _keep(trained, verdict, model)
    return Tuned(verdict=verdict, rows=rows, trained=trained, report=report, model=model)


def require_ready(output: Path, settings: FinetuneSettings) -> None:
    """Raise ModelError for a start that is not there or of another scale, TargetError for a network in the way."""
    load_model(settings.start, settings.scale)
    if model_of(output).exists():
        raise TargetError(f"{model_of(output)}: exists already; take another folder, or remove it")


def _engines(start: str, settings: FinetuneSettings, tuned: Path) -> dict[str, Engine]:
    """What is compared, by name; in f32, which says what was learnt; what integers lose is in the losses."""
    networks = {start: load_model(settings.start, settings.scale), TUNED: load_weights(tuned)}
    return {name: Engine(weights, precision="f32") for name, weights in networks.items()}


def _trained(
    gathered: Gathered,
    output: Path,
    settings: FinetuneSettings,
    *,
    note: Callable[[str], None],
    watch: Callable[[Progress], None],
    tell: Callable[[int, int], None],
    stop: Callable[[], bool],
) -> Trained:
    """The training in its folder, to its end. Raises Stopped."""
    job = Job(
        sources=tuple(Source(path=Path(name)) for name in gathered.names),
        output=output / "training",
        network=NetworkSettings(),
        settings=settings.training,
    )
    read = partial(_lesson, gathered, output / "corpus", settings, note=note, tell=tell, stop=stop)
    trained = trained_before(job) or train_on(job, read, watch=watch, stop=stop)
    if not trained.finished:
        raise Stopped(f"stopped at step {trained.step} of {trained.steps}")
    return trained


def _lesson(
    gathered: Gathered,
    corpus: Path,
    settings: FinetuneSettings,
    *,
    note: Callable[[str], None],
    tell: Callable[[int, int], None],
    stop: Callable[[], bool],
) -> Lesson:
    """What teaches and what judges, when all of it is there. Raises Stopped."""
    made = gathered.degraded(corpus, note=note, tell=tell, stop=stop)
    if not made.finished:
        raise Stopped(f"stopped at shard {made.shards} of {made.of} of the degraded clips")
    files = [replace(file, sizes=(1.0,)) for file in gathered.clean]
    return Lesson(
        clean=read_pairs(files, settings.scale, frames=_FRAMES, note=note) if settings.clean_share else [],
        degraded=read_corpus(corpus, settings.scale),
        judges=[trial.pair for trial in gathered.trials],
        clean_share=settings.clean_share,
    )


def _keep(trained: Trained, verdict: Verdict, model: Path) -> None:
    weights = load_weights(trained.model)
    gains = {f"over {verdict.start}, {name}": round(gain, 2) for name, gain in verdict.over_start.items()}
    with atomic_write(model) as file:
        save_weights(file, replace(weights, facts={**weights.facts, "gains": gains}))
