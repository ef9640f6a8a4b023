"""The report of a fine-tuning: the verdict, the gains, the learning curve and the crops with the largest gains."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from vidsr.engine import Engine
from vidsr.quality.crops import TUNED, crops_png, finetune_crops
from vidsr.quality.evaluation import ResultRow
from vidsr.quality.report_html import HtmlReport, rate, render_html
from vidsr.settings import FinetuneSettings
from vidsr.training.data.validation_set import ValidationSample
from vidsr.training.finetune.acceptance import Acceptance
from vidsr.training.finetune.finetune_data import FinetuneData
from vidsr.training.run import TrainResult
from vidsr.training.run_dir import CURVE

_SHEETS = 2  # crop sheets: the first and the last clip


def finetune_report(
    acceptance: Acceptance,
    rows: Sequence[ResultRow],
    engines: Mapping[str, Engine],
    *,
    data: FinetuneData,
    trained: TrainResult,
    settings: FinetuneSettings,
    notes: Sequence[str],
    title: str,
    verdict: str = "",
    accepted: bool | None = None,
) -> bytes:
    """The page. `engines` are the start and TUNED; the verdict and whether it is good are by default the acceptance's.

    Raises ValueError where a score is missing.
    """
    slight = " Nobody sees such a difference." if rate(acceptance.gain) == "slight" else ""
    good = acceptance.accepted if accepted is None else accepted
    page = HtmlReport(
        title=title,
        verdict=verdict or f"{acceptance}.{slight}",
        rating=rate(acceptance.gain) if good else "bad",
        facts=_facts(trained, data, settings),
        rows=rows,
        start=acceptance.start,
        tuned=TUNED,
        curve=(trained.model.parent / CURVE).read_bytes(),
        crops=list(_sheets(data.validation, engines)),
        notes=list(dict.fromkeys(notes)),
    )
    return render_html(page).encode("utf-8", "replace")


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
