"""Plots, checked in the figure or in the pixels."""

from collections.abc import Callable
from io import BytesIO
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure
from matplotlib.text import Text

from vidsr.plots import GridCell, draw_image_grid, learning_curve, quality_against_time


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were saved."""
    figures: list[Figure] = []
    save: Callable[..., None] = Figure.savefig

    def kept(figure: Figure, *arguments: object, **options: object) -> None:
        figures.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", kept)
    return figures


def test_labels_of_close_points_do_not_overlap(drawn: list[Figure]) -> None:
    points = {f"network-{n}": (30 + n / 3, 1 + n / 100) for n in range(12)} | {"far": (180.0, -0.4)}
    quality_against_time(points, BytesIO(), title="t", ms_label="ms", gain_label="dB")
    (axes,) = drawn[0].axes
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert sorted(text.get_text() for text in axes.texts) == sorted(points)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 for box in boxes)


def test_training_stages_follow_each_other(drawn: list[Figure], tmp_path: Path) -> None:
    stages = {"l1": [(100, 30.0, 0.1), (200, 31.0, 0.05)], "mse": [(100, None, 0.02), (200, 32.0, 0.01)]}
    learning_curve(stages, tmp_path / "curve.png")
    above, below = drawn[0].axes
    assert [line.get_xdata().tolist() for line in below.lines] == [[100, 200], [300, 400]]
    assert [line.get_xydata().tolist() for line in above.lines] == [[[100, 30.0], [200, 31.0]], [[400, 32.0]]]
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.format == "PNG"


def test_the_curve_shows_the_start_and_levels_without_an_offset(drawn: list[Figure], tmp_path: Path) -> None:
    stages = {"l1": [(100, 31.0001, 0.1), (200, 31.0002, 0.05)]}
    learning_curve(stages, tmp_path / "curve.png", start_db=31.0)
    above, _ = drawn[0].axes
    assert above.lines[1].get_ydata() == [31.0, 31.0]
    assert [text.get_text() for text in above.get_legend().get_texts()] == ["l1", "start, 31.00 dB"]
    assert above.yaxis.get_major_formatter().get_offset() == ""
    learning_curve(stages, tmp_path / "curve.png")
    assert len(drawn[1].axes[0].lines) == 1


def test_grid_cells_are_magnified_exactly_under_their_titles(drawn: list[Figure]) -> None:
    random = np.random.default_rng(0)
    cells = [
        GridCell(image=random.integers(0, 256, (20, 40, 3), np.uint8), title=str(n), caption="c") for n in range(3)
    ]
    file = BytesIO()
    draw_image_grid([cells, cells[:2]], file)
    shown = np.asarray(Image.open(file).convert("RGB"))
    for cell in cells:
        large = cell.image.repeat(8, axis=0).repeat(8, axis=1)
        rows, columns = np.nonzero((shown == large[0, 0]).all(axis=2))
        places = zip(rows.tolist(), columns.tolist(), strict=True)
        assert any(np.array_equal(shown[y : y + 160, x : x + 320], large) for y, x in places)
    assert [text.get_text() for text in drawn[0].texts] == ["0", "c", "1", "c", "2", "c", "0", "c", "1", "c"]
