"""How much memory may be used, and how many segments fit into it."""

from pathlib import Path

import pytest

from vidsr import pool
from vidsr.memory import usable_bytes
from vidsr.pool import segments_in_memory


def machine(root: Path, files: dict[str, str]) -> Path:
    """A root with such kernel files."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


FREE = {"proc/meminfo": "MemTotal: 4000 kB\nMemAvailable:    2000 kB\n"}
GROUP = {"proc/self/cgroup": "0::/batch/job\n"}


@pytest.mark.parametrize(
    ("files", "size"),
    [
        ({}, None),
        (FREE, 0.8 * 2000 * 1024),
        (FREE | GROUP | {"sys/fs/cgroup/batch/memory.max": "max\n"}, 0.8 * 2000 * 1024),
        (
            FREE | GROUP | {"sys/fs/cgroup/batch/memory.max": "1000\n", "sys/fs/cgroup/batch/memory.current": "400\n"},
            0.8 * 600,
        ),
        (
            FREE
            | {
                "proc/self/cgroup": "7:memory:/job\n4:cpu:/job\n",
                "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "500",
                "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "600",
            },
            0,
        ),
    ],
    ids=["unknown", "machine", "no limit", "group", "full group"],
)
def test_the_least_that_is_left_of_the_machine_and_its_groups_counts(
    tmp_path: Path, files: dict[str, str], size: float | None
) -> None:
    assert usable_bytes(machine(tmp_path, files)) == size


@pytest.mark.parametrize(
    ("free", "size", "segments"),
    [
        (None, (1280, 720), pool.MAX_SEGMENTS),
        (0, (1280, 720), 1),
        (10**10, (1280, 720), 40),
        (10**10, (3840, 2160), 17),
    ],
)
def test_segments_side_by_side_fit_into_memory(
    monkeypatch: pytest.MonkeyPatch, free: int | None, size: tuple[int, int], segments: int
) -> None:
    monkeypatch.setattr(pool, "usable_bytes", lambda: free)
    assert segments_in_memory(size) == segments
