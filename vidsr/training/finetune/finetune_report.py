"""The report page of a fine-tuning."""

from collections.abc import Iterator, Mapping, Sequence

from vidsr.engine import Engine
from vidsr.quality.report_html import Page
from vidsr.quality.results import Measured
from vidsr.quality.sheet import sheet_of
from vidsr.quality.tuned_crops import TUNED, tuned_crops
from vidsr.settings import FinetuneSettings
from vidsr.training.finetune.acceptance import Verdict
from vidsr.training.finetune.finetune_data import Gathered
from vidsr.training.finetune.validation_set import Trial
from vidsr.training.run import Trained
from vidsr.training.run_dir import curve_of

_SHEETS = 2  # of crops: of the first clip and of the last


def page_of(
    verdict: Verdict,
    rows: Sequence[Measured],
    trained: Trained,
    gathered: Gathered,
    engines: Mapping[str, Engine],
    settings: FinetuneSettings,
    notes: Sequence[str],
) -> Page:
    """What there is to say of it; `engines` are the start and the tuned network under their names."""
    return Page(
        title=f"Fine-tuning of {verdict.start} for x{settings.scale}",
        verdict=f"{verdict}.",
        good=verdict.pays,
        facts=_facts(trained, gathered, settings),
        rows=rows,
        start=verdict.start,
        tuned=TUNED,
        curve=curve_of(trained.model.parent).read_bytes(),
        crops=list(_sheets(gathered.trials, engines)),
        notes=list(dict.fromkeys(notes)),
    )


def _facts(trained: Trained, gathered: Gathered, settings: FinetuneSettings) -> dict[str, str]:
    layers = f"{settings.layers} layers" if settings.layers == "mapping" else settings.layers
    return {
        "network": trained.network,
        "what learnt": layers,
        "files": ", ".join(gathered.names),
        "degraded frames": f"{trained.degraded}, and {trained.pictures} that no codec has seen",
        "held out": f"{trained.held_out} frames",
        "training": f"{trained.step} of {trained.steps} steps in {trained.seconds:.0f} s",
        **({"lost in int8": _lost(trained.losses)} if trained.losses else {}),
        "seed": str(settings.seed),
    }


def _lost(losses: Mapping[str, float]) -> str:
    return f"{losses['int8']:.3f} dB on what is held out, and {losses['int7']:.3f} on CPUs without VNNI"


def _sheets(trials: Sequence[Trial], engines: Mapping[str, Engine]) -> Iterator[tuple[str, bytes]]:
    """Crops of a few clips, as the middle one of the inputs left them."""
    inputs = list(dict.fromkeys(trial.input for trial in trials))
    usual = {trial.name: trial for trial in trials if trial.input == inputs[(len(inputs) - 1) // 2]}
    for name, trial in list(usual.items())[:: max(1, len(usual) - 1)][:_SHEETS]:
        crops = tuned_crops(trial.pair.large, trial.pair.small_luma, engines)
        yield f"{name}, {trial.input}", sheet_of(crops)
