"""The memory that this process may use."""

from pathlib import Path

from vidsr.cpu import group_folders, kernel_text

_FREE_SHARE = 0.8
"""Of the memory that is available: some is for what else runs."""


def usable_bytes(root: Path = Path("/")) -> int | None:
    """The bytes that this process may still take: of the machine's memory, and of what its cgroups allow.

    A part stays free. None where the kernel reports neither.
    """
    found = [_available(root), *(_group_left(folder) for folder in group_folders(root, "memory"))]
    known = [size for size in found if size is not None]
    return int(_FREE_SHARE * min(known)) if known else None


def _available(root: Path) -> int | None:
    for line in kernel_text(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return None


def _group_left(folder: Path) -> int | None:
    """The bytes that one cgroup has left, version 2 or 1; None without a limit."""
    for limit_name, used_name in (
        ("memory.max", "memory.current"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        limit, used = kernel_text(folder / limit_name), kernel_text(folder / used_name)
        if limit.isdecimal() and used.isdecimal():
            return max(0, int(limit) - int(used))
    return None
