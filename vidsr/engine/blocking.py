"""In which form the last layer is computed: the same function whichever it is, at speeds far apart.

A deconvolution of stride s is s² small convolutions, its phases (`model.subpixel`). Computed as one convolution they
are 4, 9 or 16 channels where vectors hold 8 or 16 floats. So a block of neighbouring places may be computed at once:
the stride becomes the block, the kernel grows by the block less 1, the channels times its places. More channels fill
more lanes, and larger kernels multiply more zeros.
"""

from dataclasses import dataclass

from vidsr.cpu_affinity import cpu_flags
from vidsr.model.architecture import Architecture

MOST_PLACES = 16
"""Down or across in a block: a tile of a plane is a multiple of that many pixels."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """A block of places, and what is computed in blocks."""

    rows: int = 1
    columns: int = 1
    apart: bool = False
    """Whether the last phase is a convolution of its own, and only that is computed in blocks: 9 phases as 8 and 1."""

    def __post_init__(self) -> None:
        """Raises ValueError for a block that divides no tile, and for one place apart, which would fill no lanes."""
        for name in ("rows", "columns"):
            size = getattr(self, name)
            if not 1 <= size <= MOST_PLACES or MOST_PLACES % size:
                raise ValueError(f"{name} must divide {MOST_PLACES}, not {size}")

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}{' apart' if self.apart else ''}"

    def shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """The (rows, columns) of a plane, made up to whole blocks."""
        rows, columns = shape
        return -(-rows // self.rows) * self.rows, -(-columns // self.columns) * self.columns


def _blocks(*sizes: tuple[int, int], apart: bool = False) -> tuple[Form, ...]:
    return tuple(Form(rows=rows, columns=columns, apart=apart) for rows, columns in sizes)


_FORMS = {
    1: _blocks((1, 8), (8, 1), (2, 4), (4, 2), (4, 4), (1, 16)),
    2: _blocks((1, 4), (4, 1), (2, 2), (1, 2), (2, 1), (2, 4)),
    3: _blocks((1, 2), (2, 1), (1, 1)) + _blocks((2, 4), (1, 8), (4, 4), apart=True),
    4: _blocks((1, 2), (1, 1), (2, 1)),
}
_AVX512 = {stride: forms[0] for stride, forms in _FORMS.items()}
_OTHERS = {**_AVX512, 2: Form(rows=2, columns=2), 3: Form(rows=2, columns=4, apart=True), 4: Form()}


def forms(architecture: Architecture) -> tuple[Form, ...]:
    """Those worth trying."""
    return _FORMS.get(architecture.tail.stride, (Form(),))


def default_form(architecture: Architecture) -> Form:
    """What is fastest on CPUs with vectors of this one's width.

    Of 16 floats, at 640x360, ms for 2, 4 and 8 places across: at x2 69, 62 and 72 (two threads), at x3 124, 134 and
    146, at x4 125, 145 and 187 (one thread). Of 8 floats, processor time of one thread on a busy machine, medians of
    pairs, fsrcnn: at x2 2x2 takes 0.89 to 0.96 of what 1x4 does, 4x1 0.89 to 0.94; at x3 8 phases and 1 in 2x4 take
    0.97 of what 1x2 does, 0.88 at their best; at x4 one place takes 0.87 of that.
    """
    known = _AVX512 if "avx512f" in cpu_flags() else _OTHERS
    return known.get(architecture.tail.stride, Form())
