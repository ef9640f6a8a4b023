"""Pictures from numbers, as PNG; whoever imports this needs matplotlib, which is an extra."""

from vidsr.plots.charts import Dot, learning_curve, name_dots, quality_against_time
from vidsr.plots.image_grid import Tile, before_after
from vidsr.plots.timeline import timeline

__all__ = ["Dot", "Tile", "before_after", "learning_curve", "name_dots", "quality_against_time", "timeline"]
