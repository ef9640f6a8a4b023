"""What every test of a stream starts from."""

from collections.abc import Callable
from pathlib import Path

import pytest
from kit.runs import Figure


@pytest.fixture
def quick(tiny_model: str) -> list[str]:
    """Options for small and fast: a network of no weight, no Ray, short segments, a short patience."""
    model = ["--model", tiny_model, "--workers", "0", "--preset", "ultrafast"]
    return [*model, "--segment", "2", "--timeout", "2", "--max-delay", "5", "--min-free-gb", "0"]


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Takes a figure that tools/faults prints: a name and a value; seconds and counts are rounded."""

    def take(name: str, value: object) -> None:
        record_property(name, f"{value:.1f}" if isinstance(value, float) else str(value))

    return take


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder to record into."""
    return tmp_path / "recordings"
