"""What a network is computed in, by what its weights lose and what the CPU can do.

"int7" is int8 with weights of 7 bits, for CPUs without VNNI: their multiply-and-add of bytes (vpmaddubsw) keeps 16
bits of the sum of two products, which two weights of 8 bits overflow.
"""

from vidsr.cpu_affinity import computes_bfloat16, cpu_flags
from vidsr.errors import ModelError
from vidsr.model.weights import Weights

MOST_LOSS_DB = 0.05
TOPS = {"int8": 127, "int7": 63}
"""The largest weight, as an integer, of each precision that has one."""
_FASTEST_FIRST = ("int8", "bf16")
_VNNI = {"avx_vnni", "avx512_vnni"}


def settled(precision: str, weights: Weights, *, simulated: bool = False) -> str:
    """f32, bf16, int8 or int7, of one of those or "auto", which takes the fastest that loses at most 0.05 dB.

    bf16 is for CPUs that have it; the others compute f32 in its place. Without VNNI int8 becomes int7, unless it is to
    be `simulated`. Raises ModelError for integers without a calibration, and ValueError for another precision.
    """
    if precision == "auto":
        losses = weights.calibration.losses if weights.calibration else {}
        possible = [_here(each) for each in _FASTEST_FIRST]
        return next((each for each in possible if losses.get(each, 1.0) <= MOST_LOSS_DB), "f32")
    if precision not in ("f32", "bf16", *TOPS):
        raise ValueError(f"an engine computes in auto, f32, bf16 or int8, not {precision!r}")
    if precision in TOPS and not weights.calibration:
        raise ModelError(f"weights of {weights.architecture} have no ranges for int8; `vidsr calibrate` finds them")
    return precision if simulated else _here(precision)


def _here(precision: str) -> str:
    if precision == "int8" and not cpu_flags() & _VNNI:
        return "int7"
    return "f32" if precision == "bf16" and not computes_bfloat16() else precision
