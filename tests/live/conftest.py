"""Fixtures of the tests of live streams."""

from collections.abc import Callable
from pathlib import Path

import pytest
from kit.runs import RecordFigure


@pytest.fixture
def quick(tiny_model: str) -> list[str]:
    """Options for a small and fast stream: a tiny network, no Ray, short segments and timeouts."""
    model = ["--model", tiny_model, "--workers", "0", "--preset", "ultrafast"]
    return [*model, "--segment", "2", "--timeout", "2", "--max-delay", "5", "--min-free-gb", "0"]


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> RecordFigure:
    """Records a named value for the table of tools/faults; numbers are rounded."""

    def take(name: str, value: object) -> None:
        record_property(name, f"{value:.1f}" if isinstance(value, float) else str(value))

    return take


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder to record into."""
    return tmp_path / "recordings"
