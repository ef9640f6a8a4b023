"""Rows of cells as text in columns."""


def aligned(rows: list[list[str]], *, text_columns: int) -> str:
    """The lines: the first columns are text and begin below each other, the others are numbers and end so."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        sides = ["<" if number < text_columns else ">" for number in range(len(row))]
        cells = zip(row, sides, widths, strict=True)
        lines.append("  ".join(f"{cell:{side}{width}}" for cell, side, width in cells).rstrip())
    return "\n".join(lines)
