"""The report page of a fine-tuning."""

from collections.abc import Iterator, Mapping, Sequence

from vidsr.engine import Engine
from vidsr.quality.crops import TUNED, crops_png, finetune_crops
from vidsr.quality.evaluation import ResultRow
from vidsr.quality.report_html import HtmlReport
from vidsr.settings import FinetuneSettings
from vidsr.training.finetune.acceptance import Acceptance
from vidsr.training.finetune.finetune_data import FinetuneData
from vidsr.training.finetune.validation_set import ValidationSample
from vidsr.training.run import TrainResult
from vidsr.training.run_dir import curve_path

_SHEETS = 2  # crop sheets: the first and the last clip


def report_page(
    acceptance: Acceptance,
    rows: Sequence[ResultRow],
    trained: TrainResult,
    data: FinetuneData,
    engines: Mapping[str, Engine],
    settings: FinetuneSettings,
    notes: Sequence[str],
) -> HtmlReport:
    """The page; `engines` are the start and the tuned network, by name."""
    return HtmlReport(
        title=f"Fine-tuning of {acceptance.start} for x{settings.scale}",
        verdict=f"{acceptance}.",
        good=acceptance.accepted,
        facts=_facts(trained, data, settings),
        rows=rows,
        start=acceptance.start,
        tuned=TUNED,
        curve=curve_path(trained.model.parent).read_bytes(),
        crops=list(_sheets(data.validation, engines)),
        notes=list(dict.fromkeys(notes)),
    )


def _facts(trained: TrainResult, data: FinetuneData, settings: FinetuneSettings) -> dict[str, str]:
    layers = f"{settings.layers} layers" if settings.layers == "mapping" else settings.layers
    return {
        "network": trained.network,
        "trained layers": layers,
        "files": ", ".join(data.names),
        "degraded frames": f"{trained.degraded}, and {trained.pictures} clean",
        "validation set": f"{trained.held_out} frames",
        "training": f"{trained.step} of {trained.steps} steps in {trained.seconds:.0f} s",
        **({"lost in int8": _lost(trained.losses)} if trained.losses else {}),
        "seed": str(settings.seed),
    }


def _lost(losses: Mapping[str, float]) -> str:
    return f"{losses['int8']:.3f} dB on the validation set, and {losses['int7']:.3f} on CPUs without VNNI"


def _sheets(validation: Sequence[ValidationSample], engines: Mapping[str, Engine]) -> Iterator[tuple[str, bytes]]:
    """Crop sheets of a few clips, at the middle quality."""
    inputs = list(dict.fromkeys(sample.input for sample in validation))
    usual = {sample.name: sample for sample in validation if sample.input == inputs[(len(inputs) - 1) // 2]}
    for name, sample in list(usual.items())[:: max(1, len(usual) - 1)][:_SHEETS]:
        crops = finetune_crops(sample.pair.hr, sample.pair.lr_luma, engines)
        yield f"{name}, {sample.input}", crops_png(crops)
