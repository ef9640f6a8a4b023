"""Plots as PNG files, drawn with matplotlib, an optional dependency."""

from vidsr.plots.charts import NetworkPoint, label_points, learning_curve, quality_against_time
from vidsr.plots.image_grid import GridCell, draw_image_grid
from vidsr.plots.timeline import timeline

__all__ = [
    "GridCell",
    "NetworkPoint",
    "draw_image_grid",
    "label_points",
    "learning_curve",
    "quality_against_time",
    "timeline",
]
