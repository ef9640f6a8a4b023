"""The arithmetic that a network is computed in: f32, bf16, int8 or int7, and which of them is the fastest here.

"int7" is int8 with weights of 7 bits, for CPUs without VNNI: their multiply-and-add of bytes (vpmaddubsw) keeps 16
bits of the sum of two products, which two weights of 8 bits overflow.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from vidsr.cpu import Cpu, this_cpu
from vidsr.errors import ModelError
from vidsr.model.weights import Weights
from vidsr.settings import PRECISIONS

MAX_LOSS_DB = 0.05
"""PSNR that "auto" may give away, as the weight file records it."""
MAX_WEIGHT = {"int8": 127, "int7": 63}
"""The largest weight, as an integer, of each precision that has one."""
_SUBSTITUTES = {"int7": "int8 without VNNI: its weights have 7 bits", "f32": "this CPU has no bf16"}


@dataclass(frozen=True, kw_only=True)
class PrecisionChoice:
    """A precision, and why it."""

    precision: str
    why: str

    def __str__(self) -> str:
        return f"{self.precision} ({self.why})"


@dataclass(frozen=True, kw_only=True)
class _CpuKind:
    """What was measured on CPUs of a kind: x2, 640x360, milliseconds per frame."""

    name: str
    ms: Mapping[int, Mapping[str, float]]
    """By the channels of the narrowest layer, then by precision: int8 is int7 where there is no VNNI."""


# Without AMX the times of fsrcnn-wide, the 32, are those of the 16 by ratios that were measured on a Zen 4 (int8 2.66,
# bf16 2.96, f32 3.04), and on the same CPU limited to AVX2 (int7 3.09, f32 3.33).
# With AMX its f32 is by its multiplications, its int8 by the ratio to bf16 on another such CPU, 0.88.
_AMX = _CpuKind(  # two threads; fsrcnn-fast, fsrcnn, fsrcnn-narrow, fsrcnn-wide
    name="with AMX",
    ms={
        8: {"int8": 7.2, "bf16": 8.9, "f32": 14.8},
        12: {"int8": 20.1, "bf16": 21.7, "f32": 45.5},
        16: {"int8": 16.9, "bf16": 13.2, "f32": 45.6},
        32: {"int8": 19.5, "bf16": 22.1, "f32": 130.0},
    },
)
_VNNI = _CpuKind(  # AVX-512 with VNNI and bf16, one thread; fsrcnn-s, fsrcnn-fast (on a Zen 5), fsrcnn, fsrcnn-narrow
    name="with VNNI",
    ms={
        5: {"int8": 12.9, "bf16": 14.4, "f32": 25.3},
        8: {"int8": 10.9, "bf16": 12.6, "f32": 19.1},
        12: {"int8": 29.1, "bf16": 32.6, "f32": 61.7},
        16: {"int8": 23.3, "bf16": 35.0, "f32": 56.8},
        32: {"int8": 62.0, "bf16": 103.6, "f32": 172.7},
    },
)
_ZEN2 = _CpuKind(  # one thread; fsrcnn-s, fsrcnn-fast, fsrcnn, fsrcnn-narrow: one vpmaddubsw per cycle, two FMA
    name="of AMD's family 17h",
    ms={
        5: {"int8": 42.8, "f32": 45.6},
        8: {"int8": 23.0, "f32": 25.0},
        12: {"int8": 105.1, "f32": 125.1},
        16: {"int8": 117.7, "f32": 111.7},
        32: {"int8": 363.7, "f32": 372.0},
    },
)
_AVX2 = _CpuKind(  # two threads; fsrcnn-s, fsrcnn, FSRCNN(16, 16, 5)
    name="without VNNI",
    ms={
        5: {"int8": 14.0, "f32": 23.0},
        12: {"int8": 33.0, "f32": 61.0},
        16: {"int8": 21.0, "f32": 36.0},
        32: {"int8": 64.9, "f32": 119.9},
    },
)


def check_precision(precision: str, weights: Weights) -> None:
    """Raises ModelError for integers without a calibration, and ValueError for a precision that does not exist."""
    if precision not in PRECISIONS and precision not in MAX_WEIGHT:
        raise ValueError(f"an engine computes in auto, f32, bf16 or int8, not {precision!r}")
    if precision in MAX_WEIGHT and not weights.calibration:
        raise ModelError(f"weights of {weights.architecture} have no ranges for int8; `vidsr calibrate` finds them")


def precision_on(precision: str, cpu: Cpu) -> str:
    """What a CPU computes for a precision: int7 for int8 without VNNI, f32 for bf16 where it has none."""
    if precision == "int8" and not cpu.has_vnni:
        return "int7"
    return "f32" if precision == "bf16" and not cpu.has_bfloat16 else precision


def precision_order(
    precision: str, weights: Weights, *, cpu: Cpu | None = None, tuned_ms: Mapping[str, float] | None = None
) -> list[PrecisionChoice]:
    """The precisions to try on a CPU, by default this one, in their order; f32 is always among them.

    "auto" has those that lose at most 0.05 dB, the fastest first: by `tuned_ms`, milliseconds per frame that `vidsr
    tune` measured, else by what is known of CPUs of the kind. Another precision comes before these. Raises as
    `check_precision`.
    """
    check_precision(precision, weights)
    cpu = cpu or this_cpu()
    order = _fastest_first(weights, cpu, tuned_ms or {})
    if precision == "auto":
        return order
    here = precision_on(precision, cpu)
    why = "as asked" if here == precision else _SUBSTITUTES[here]
    return [PrecisionChoice(precision=here, why=why), *(choice for choice in order if choice.precision != here)]


def _fastest_first(weights: Weights, cpu: Cpu, tuned_ms: Mapping[str, float]) -> list[PrecisionChoice]:
    """Those that lose little, by time."""
    ms, accurate = _kind_ms(weights, cpu), accurate_precisions(weights, cpu)
    tuned = tuned_ms.keys() >= {*accurate}  # else there is nothing to compare with
    ms = {**ms, **tuned_ms} if tuned else ms
    where = "here, as `vidsr tune` measured," if tuned else f"on CPUs {_kind_of(cpu).name}"
    why = f"the fastest {where} that loses at most {MAX_LOSS_DB:g} dB"
    if len(accurate) == 1:
        why = f"no other is known to lose at most {MAX_LOSS_DB:g} dB"
    return [PrecisionChoice(precision=name, why=why) for name in sorted(accurate, key=ms.__getitem__)]


def accurate_precisions(weights: Weights, cpu: Cpu | None = None) -> list[str]:
    """Those of a CPU, by default this one, that lose at most 0.05 dB; f32 is always among them."""
    losses = weights.calibration.losses if weights.calibration else {}
    known = _kind_ms(weights, cpu or this_cpu())
    return [name for name in known if name == "f32" or losses.get(name, 1.0) <= MAX_LOSS_DB]


def _kind_ms(weights: Weights, cpu: Cpu) -> dict[str, float]:
    return known_ms(min(layer.outputs for layer in weights.architecture.body), cpu)


def known_ms(channels: int, cpu: Cpu) -> dict[str, float]:
    """Milliseconds per frame of 640x360 at x2 by precision, as measured on CPUs of the kind.

    The network is the one of the zoo whose narrowest layer has the nearest number of `channels`.
    """
    kind = _kind_of(cpu)
    known = kind.ms[min(kind.ms, key=lambda width: abs(width - channels))]
    here = {name: precision_on(name, cpu) for name in known}
    return {here[name]: time for name, time in known.items() if name == "f32" or here[name] != "f32"}


def _kind_of(cpu: Cpu) -> _CpuKind:
    if "amx_int8" in cpu.flags:
        return _AMX
    if cpu.has_vnni:
        return _VNNI
    return _ZEN2 if (cpu.vendor, cpu.family) == ("AuthenticAMD", 0x17) else _AVX2
