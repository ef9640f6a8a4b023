"""Fine-tuning of a network on a user's own footage; the result is kept only if it is better."""

import os
from pathlib import Path

from vidsr.errors import TargetError
from vidsr.model.zoo import load_model
from vidsr.settings import FinetuneSettings
from vidsr.training.run_dir import MODEL


def check_ready(output: Path, settings: FinetuneSettings) -> None:
    """Raise ModelError for a start that is missing or of another scale, TargetError for an existing model."""
    load_model(settings.initial_model, settings.scale)
    if os.path.exists(output / MODEL):
        raise TargetError(f"{output / MODEL}: exists already; choose another directory, or remove it")
