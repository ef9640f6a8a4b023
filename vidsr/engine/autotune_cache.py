"""What was measured and checked on this machine: a small JSON file in the user's cache.

It holds the blockings and the times that `vidsr tune` measured, and whether each compiled graph was found accurate
(`engine.accuracy`). Home folders are shared by machines, so each machine has an entry of its own, by its processor,
the limit of instruction sets and the versions that compute. A file that cannot be read or written costs time only.
"""

import errno
import json
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from operator import index
from pathlib import Path
from tempfile import NamedTemporaryFile

from vidsr.cpu import isa_limit, this_cpu
from vidsr.engine.blocking import OutputBlocking, blockings
from vidsr.file_lock import try_lock
from vidsr.model.architecture import Architecture
from vidsr.versions import package_version

log = logging.getLogger(__name__)

_FLAGS = {"avx2", "fma", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"}
_MAX_VERDICTS = 2000  # per machine; the oldest are dropped
_LOCK_S = 1.0
_MAX_BYTES = 4 << 20
_NO_HOME = "/dev/null"  # below which nothing can be read or written
_NONSENSE = (OSError, ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError)
"""JSON of another shape ends in one of them."""
_NO_JSON = tuple(kind for kind in _NONSENSE if kind is not OSError)
_Entry = dict[str, dict[str, object]]
"""Of a machine: "blockings", "times" and "verdicts", each by its key."""


def cache_path() -> Path:
    """The file: vidsr/autotune.json in $XDG_CACHE_HOME, by default in ~/.cache. It need not exist."""
    asked = os.environ.get("XDG_CACHE_HOME", "")
    base = asked if os.path.isabs(asked) else os.path.expanduser("~/.cache")
    return Path(base if os.path.isabs(base) else _NO_HOME) / "vidsr" / "autotune.json"


@dataclass(frozen=True, kw_only=True)
class TunedNetwork:
    """The results of `vidsr tune` for a network on a number of threads; empty where it did not run."""

    ms: Mapping[str, float]
    """Milliseconds per frame by precision; infinite where all graphs were wrong."""
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


def save_tuning(
    architecture: Architecture,
    *,
    threads: int,
    ms: Mapping[str, float],
    blocking: Mapping[str, OutputBlocking | None],
    size: tuple[int, int] = (640, 360),
) -> None:
    """Keep the times and the blockings by precision, None for the default one. Raises OSError.

    Times of frames of another (width, height) are replaced: they cannot be compared.
    """
    network = _network(architecture, threads)

    def change(entry: _Entry) -> None:
        times, kept = (_mapping(entry, part, network) for part in ("times", "blockings"))
        same = entry.get("sizes", {}).get(network) == list(size)
        entry.setdefault("times", {})[network] = {**(times if same else {}), **ms}
        entry.setdefault("sizes", {})[network] = list(size)
        chosen = {precision: asdict(each) for precision, each in blocking.items() if each}
        others = {precision: fields for precision, fields in kept.items() if precision not in blocking}
        entry.setdefault("blockings", {})[network] = {**others, **chosen}

    _update(change)


def load_verdict(key: str) -> str | None:
    """What was found about a graph: "" that it is accurate, a sentence why not, None that it was not checked."""
    with suppress(*_NONSENSE):
        found = _machines().get(_machine(), {}).get("verdicts", {}).get(key)
        return found if isinstance(found, str) and found.isprintable() else None
    return None


def save_verdict(key: str, found: str) -> None:
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
        log.info("%s is not written (%s): graphs are checked at each start", cache_path(), error.strerror)


def _update(change: Callable[[_Entry], None]) -> None:
    """Replace the file by one with this machine's entry changed; what is nonsense in it is dropped.

    Raises OSError where it cannot be read, locked or written; nothing is lost then.
    """
    path = cache_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.with_name(f".{path.name}.lock")):
        machines: dict[str, _Entry] = {}
        with suppress(FileNotFoundError, *_NO_JSON):
            machines = {name: entry for name, entry in _parsed().items() if _is_entry(entry)}
        try:
            change(machines.setdefault(_machine(), {}))
        except _NO_JSON:
            machines[_machine()] = {}
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
    """The lock of all writers. Raises OSError where another one holds it for a second: it may hang."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        until = time.monotonic() + _LOCK_S
        while not try_lock(file):
            if time.monotonic() > until:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            time.sleep(_LOCK_S / 50)
        yield
    finally:
        os.close(file)


def _machines() -> dict[str, _Entry]:
    """The file's content. Raises one of `_NONSENSE`, of which FileNotFoundError says that there is no file."""
    machines = _parsed()
    if not all(map(_is_entry, machines.values())):
        raise ValueError("it has another structure")
    return machines


def _parsed() -> dict[str, _Entry]:
    path = cache_path()
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
        raise OSError(errno.EINVAL, "it is no file, or too large")
    machines: dict[str, _Entry] = json.loads(path.read_text())
    if not isinstance(machines, dict):
        raise ValueError("it has another structure")
    return machines


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and all(isinstance(part, dict) for part in entry.values())


def _mapping(entry: _Entry, part: str, network: str) -> dict[str, object]:
    found = entry.get(part, {}).get(network, {})
    if not isinstance(found, dict):
        raise TypeError(f"{found!r} is no mapping")
    return found


def _number(ms: object) -> float:
    if not isinstance(ms, int | float) or isinstance(ms, bool) or not ms > 0:
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
    versions = [f"{name} {package_version(name)}" for name in ("vidsr", "openvino")]
    return ", ".join([str(cpu), f"{cpu.vendor}-{cpu.family}-{cpu.model}", *flags, *limit, *versions])


def _network(architecture: Architecture, threads: int) -> str:
    tail = architecture.tail
    parts = "".join(f" {part}" for part in ("residual", "long_skip") if getattr(architecture, part))
    kind = f"{architecture.activation} {tail.kernel}-{tail.padding}{parts}"
    return f"{architecture} {kind}, {threads} threads"
