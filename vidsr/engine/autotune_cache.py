"""What was measured and checked on this machine: a small JSON file in the user's cache.

It holds the blockings and the times that `vidsr tune` measured, and whether each compiled graph was found accurate
(`engine.accuracy`). Home folders are shared by machines, so each machine has an entry of its own, by its processor,
the limit of instruction sets and the versions that compute. A file that cannot be read or written costs time only.
"""

import fcntl
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from operator import index
from pathlib import Path
from tempfile import NamedTemporaryFile

from vidsr.cpu import isa_limit, this_cpu
from vidsr.engine.blocking import OutputBlocking, blockings
from vidsr.model.architecture import Architecture

log = logging.getLogger(__name__)

_FLAGS = {"avx2", "fma", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"}
_MAX_VERDICTS = 2000  # per machine; the oldest are dropped
_LOCK_S = 1.0
_NONSENSE = (OSError, ValueError, TypeError, AttributeError, KeyError)  # JSON of another shape ends in one of them
_Entry = dict[str, dict[str, object]]
"""Of a machine: "blockings", "times" and "verdicts", each by its key."""


def cache_path() -> Path:
    """The file: vidsr/autotune.json in $XDG_CACHE_HOME, by default in ~/.cache. It need not exist."""
    asked = os.environ.get("XDG_CACHE_HOME", "")
    base = asked if os.path.isabs(asked) else os.path.expanduser("~/.cache")
    return Path(base) / "vidsr" / "autotune.json"


@dataclass(frozen=True, kw_only=True)
class TunedNetwork:
    """The results of `vidsr tune` for a network on a number of threads; empty where it did not run."""

    ms: Mapping[str, float]
    """Milliseconds per frame by precision."""
    blockings: Mapping[str, OutputBlocking]
    """By precision, where it is not the default one."""


def tuned_network(architecture: Architecture, *, threads: int) -> TunedNetwork:
    """The results that this machine's entry has. Nonsense in the file is ignored with a warning."""
    network = _network(architecture, threads)
    try:
        entry = _machines().get(_machine(), {})
        times = {str(precision): _number(ms) for precision, ms in _mapping(entry, "times", network).items()}
        blockings = {
            precision: _blocking(fields, architecture)
            for precision, fields in _mapping(entry, "blockings", network).items()
        }
        return TunedNetwork(ms=times, blockings=blockings)
    except FileNotFoundError:
        pass
    except _NONSENSE as error:
        log.warning("%s is ignored: %s", cache_path(), error)
    return TunedNetwork(ms={}, blockings={})


def keep_tuning(
    architecture: Architecture,
    *,
    threads: int,
    ms: Mapping[str, float],
    blocking: Mapping[str, OutputBlocking | None],
) -> None:
    """Keep the times and the blockings by precision, None for the default one. Raises OSError."""
    network = _network(architecture, threads)

    def change(entry: _Entry) -> None:
        times, kept = (_mapping(entry, part, network) for part in ("times", "blockings"))
        entry.setdefault("times", {})[network] = {**times, **ms}
        chosen = {precision: asdict(each) for precision, each in blocking.items() if each}
        others = {precision: fields for precision, fields in kept.items() if precision not in blocking}
        entry.setdefault("blockings", {})[network] = {**others, **chosen}

    _update(change)


def verdict(key: str) -> str | None:
    """What was found about a graph: "" that it is accurate, a sentence why not, None that it was not checked."""
    with suppress(*_NONSENSE):
        found = _machines().get(_machine(), {}).get("verdicts", {}).get(key)
        return found if isinstance(found, str) else None
    return None


def keep_verdict(key: str, found: str) -> None:
    """Keep it, if the file can be written."""

    def change(entry: _Entry) -> None:
        verdicts = entry.setdefault("verdicts", {})
        verdicts.pop(key, None)
        verdicts[key] = found
        for oldest in list(verdicts)[:-_MAX_VERDICTS]:
            del verdicts[oldest]

    try:
        _update(change)
    except OSError as error:
        log.info("%s cannot be written (%s): graphs are checked at each start", cache_path(), error.strerror)


def _update(change: Callable[[_Entry], None]) -> None:
    """Replace the file by one with this machine's entry changed; nonsense in it is dropped."""
    path = cache_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.with_name(f".{path.name}.lock")):
        try:
            machines = _machines()
            change(machines.setdefault(_machine(), {}))
        except _NONSENSE:
            machines = {_machine(): {}}
            change(machines[_machine()])
        _replace(path, json.dumps(machines, indent=1))


def _replace(path: Path, text: str) -> None:
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}", delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The lock of other writers, or after a second nothing: one of them may hang."""
    with path.open("w") as file:
        until = time.monotonic() + _LOCK_S
        while time.monotonic() < until:
            with suppress(OSError):  # held by another one, or a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(_LOCK_S / 50)
        yield


def _machines() -> dict[str, _Entry]:
    """The file's content. Raises one of `_NONSENSE`, of which FileNotFoundError says that there is no file."""
    machines: dict[str, _Entry] = json.loads(cache_path().read_text())
    if not all(isinstance(part, dict) for entry in machines.values() for part in entry.values()):
        raise ValueError("it has another structure")
    return machines


def _mapping(entry: _Entry, part: str, network: str) -> dict[str, object]:
    found = entry.get(part, {}).get(network, {})
    if not isinstance(found, dict):
        raise TypeError(f"{found!r} is no mapping")
    return found


def _number(ms: object) -> float:
    if not isinstance(ms, int | float) or not ms > 0:
        raise ValueError(f"{ms!r} is no time")
    return float(ms)


def _blocking(fields: object, architecture: Architecture) -> OutputBlocking:
    if not isinstance(fields, dict):
        raise TypeError(f"{fields!r} is no blocking")
    rows, columns, split = fields["rows"], fields["columns"], fields["split_last_phase"]
    found = OutputBlocking(rows=index(rows), columns=index(columns), split_last_phase=bool(split))
    if found not in blockings(architecture):
        raise ValueError(f"{found} is no blocking of {architecture}")
    return found


def _machine() -> str:
    cpu = this_cpu()
    flags = sorted(cpu.flags & _FLAGS)
    limit = [f"limited to {isa_limit()}"] if isa_limit() else []
    versions = [f"{name} {_version(name)}" for name in ("vidsr", "openvino")]
    return ", ".join([str(cpu), f"{cpu.vendor}-{cpu.family}-{cpu.model}", *flags, *limit, *versions])


def _network(architecture: Architecture, threads: int) -> str:
    tail = architecture.tail
    kind = f"{architecture.activation} {tail.kernel}-{tail.padding}{' residual' if architecture.residual else ''}"
    return f"{architecture} {kind}, {threads} threads"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a tree that was never installed
        return "of no number"
