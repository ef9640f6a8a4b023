"""The processor: its kind, and the instruction sets that may be used."""

import os
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

_AMX = frozenset({"amx_tile", "amx_int8", "amx_bf16", "amx_fp16"})
_ABOVE_BF16 = _AMX | {"avx512_fp16"}
_ABOVE_VNNI = _ABOVE_BF16 | {"avx512_bf16"}
_ABOVE_AVX2 = _ABOVE_VNNI | {"avx512_vnni", "avx512f"}
_HIDDEN = {
    "AVX512_CORE_FP16": _AMX,
    "AVX512_CORE_BF16": _ABOVE_BF16,
    "AVX512_CORE_VNNI": _ABOVE_VNNI,
    "AVX512_CORE": _ABOVE_VNNI | {"avx512_vnni", "avx_vnni"},
    "AVX2_VNNI_2": _ABOVE_AVX2,
    "AVX2_VNNI": _ABOVE_AVX2,
    "AVX2": _ABOVE_AVX2 | {"avx_vnni"},
    "AVX": _ABOVE_AVX2 | {"avx_vnni", "avx2", "fma"},
    "SSE41": _ABOVE_AVX2 | {"avx_vnni", "avx2", "fma", "avx"},
}
"""The flags that have no effect below each limit of oneDNN."""


@dataclass(frozen=True, kw_only=True)
class Cpu:
    """A processor, as the Linux kernel describes it."""

    model_name: str = "unknown"
    vendor: str = ""
    family: int = 0
    model: int = 0
    flags: frozenset[str] = frozenset()
    """The instruction sets that OpenVINO and PyTorch may use, by the kernel's names."""

    def __str__(self) -> str:
        """The model name and the widest vectors."""
        widest = [flag for flag in ("avx512f", "avx2", "sse4_2") if flag in self.flags][:1]
        return " ".join([self.model_name, *widest])

    @property
    def has_vnni(self) -> bool:
        """Whether it multiplies and adds bytes without overflow."""
        return not self.flags.isdisjoint(("avx_vnni", "avx512_vnni"))

    @property
    def has_bfloat16(self) -> bool:
        """Whether it multiplies bfloat16 itself; others do it many times slower than float32."""
        return not self.flags.isdisjoint(("avx512_bf16", "amx_bf16"))

    def common(self, other: "Cpu") -> "Cpu":
        """A processor that can do what both can: this one, where it is no more than the other."""
        return replace(self if self.flags <= other.flags else other, flags=self.flags & other.flags)


def this_cpu() -> Cpu:
    """The processor of this process, within the limit in ONEDNN_MAX_CPU_ISA; nothing where /proc is hidden."""
    cpu = _described_cpu()
    return replace(cpu, flags=cpu.flags - _HIDDEN.get(isa_limit(), frozenset()))


def isa_limit() -> str:
    """The highest instruction set that oneDNN may use, by its own name; "" without a limit."""
    return (os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA", "")).upper()


@cache
def _described_cpu() -> Cpu:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return Cpu()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Cpu(
        model_name=facts.get("model name", "unknown"),
        vendor=facts.get("vendor_id", ""),
        family=int(facts.get("cpu family", "0")),
        model=int(facts.get("model", "0")),
        flags=frozenset(facts.get("flags", "").split()),
    )
