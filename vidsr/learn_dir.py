"""The folder of what a camera learns: moments of its scene, networks learned from them, and which one is in use.

  moments/TIME/    source.mkv, main.mkv where there is a main stream, and moment.json
  networks/TIME/   model.npz, scene.npz, report.html and proof.json
  work/            the training under way
  current.json     the network in use
  events.jsonl     what happened, a line each
  gains.jsonl      the gain of the network in use over the general one, measured live

TIME is in UTC, so that names sort. Whoever writes replaces whole files; readers take what is whole.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vidsr.errors import TargetError
from vidsr.media.atomic_file import atomic_write

MOMENT_SOURCE, MOMENT_MAIN, MOMENT_FACTS = "source.mkv", "main.mkv", "moment.json"
NETWORK, SCENE, REPORT, PROOF = "model.npz", "scene.npz", "report.html", "proof.json"
_CURRENT, _EVENTS, _GAINS, _REQUEST = "current.json", "events.jsonl", "gains.jsonl", "learn-now"
_MAX_BYTES = 1 << 20
"""Of a file of lines; the older half is dropped above."""


def time_name(now_s: float) -> str:
    """The name of what is made at this time of the clock: 2026-11-30T03-00-00.000Z."""
    text = datetime.fromtimestamp(now_s, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00").replace(":", "-") + "Z"


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A few seconds of the streams of a camera."""

    folder: Path
    time_s: float
    """When it began, in seconds since 1970."""
    has_main: bool
    motion: float
    """Mean change of the moving areas from second to second, in grey levels."""
    detail: float
    """Of the picture, as `finetune --from` measures it; comparable within a camera."""
    size: int
    """Bytes."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What a learned network gains over the general one, on moments that taught nothing. Gains are in dB."""

    accepted: bool
    reason: str
    """Why it is accepted or not: one sentence."""
    moving_gain: float
    """Where the picture moves, without what never changes."""
    whole_gain: float
    """On the whole picture, with captions."""
    general_loss: float
    """What it loses on pictures that are of no camera."""
    share: float
    """Of the learned weights in their mean with the general ones, above 0 and at most 1."""
    moments: int
    """Those that it was measured on."""
    gains: dict[str, float] = field(default_factory=dict)
    """In the moving areas, by input: "crf 23", or "main stream"."""


@dataclass(frozen=True, kw_only=True)
class LearnedNetwork:
    """A network of the history of a camera."""

    name: str
    """That of its folder: when it was learned."""
    folder: Path
    proof: Proof


@dataclass(frozen=True, kw_only=True)
class LiveGain:
    """The gain of the network in use over the general one on a pair of frames, in dB in the moving areas."""

    time_s: float
    network: str
    gain: float


class LearnDir:
    """The folder of one camera. Reading methods take a folder that is not there for an empty one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.work = path / "work"

    def moments(self) -> list[Moment]:
        """The whole moments, oldest first."""
        found = []
        for folder in _children(self.path / "moments"):
            values = _read(folder / MOMENT_FACTS)
            with suppress(TypeError):
                found.append(Moment(folder=folder, **values))
        return found

    def moment_folder(self, now_s: float) -> Path:
        """The folder of a moment that begins now."""
        return self.path / "moments" / time_name(now_s)

    def write_moment(self, moment: Moment) -> None:
        """Complete the folder of a moment by its facts. Raises TargetError."""
        facts = {name: value for name, value in asdict(moment).items() if name != "folder"}
        _write(moment.folder / MOMENT_FACTS, facts)

    def networks(self) -> list[LearnedNetwork]:
        """The history, oldest first, with the networks that were not accepted."""
        found = []
        for folder in _children(self.path / "networks"):
            with suppress(TypeError):
                found.append(LearnedNetwork(name=folder.name, folder=folder, proof=Proof(**_read(folder / PROOF))))
        return found

    def network_folder(self, name: str) -> Path:
        """The folder of a network."""
        return self.path / "networks" / name

    def write_proof(self, name: str, proof: Proof) -> None:
        """Complete the folder of a network by its proof. Raises TargetError."""
        _write(self.network_folder(name) / PROOF, asdict(proof))

    def current(self) -> LearnedNetwork | None:
        """The network in use; None for the general one."""
        name = _read(self.path / _CURRENT).get("network")
        return next((each for each in self.networks() if each.name == name), None)

    def set_current(self, name: str | None, reason: str, *, now_s: float) -> None:
        """Have a network of the history used, or with None the general one, and log why. Raises TargetError."""
        _write(self.path / _CURRENT, {"network": name, "since_s": now_s, "reason": reason})
        self.add_event(f"{name or 'the general network'} is used: {reason}", now_s=now_s)

    def current_changed_ns(self) -> int:
        """A number that changes when another network is to be used."""
        try:
            return os.stat(self.path / _CURRENT).st_mtime_ns
        except OSError:
            return 0

    def events(self) -> list[dict[str, Any]]:
        """What happened: "time_s" and "event", a sentence; oldest first."""
        return list(_lines(self.path / _EVENTS))

    def add_event(self, event: str, *, now_s: float) -> None:
        """Log a sentence. Raises TargetError."""
        _append(self.path / _EVENTS, {"time_s": now_s, "event": event})

    def gains(self, since_s: float = 0.0) -> list[LiveGain]:
        """The gains measured live, oldest first."""
        gains = []
        for values in _lines(self.path / _GAINS):
            with suppress(TypeError):
                gains.append(LiveGain(**values))
        return [gain for gain in gains if gain.time_s >= since_s]

    def add_gain(self, gain: LiveGain) -> None:
        """Keep a gain measured live. Raises TargetError."""
        _append(self.path / _GAINS, asdict(gain))

    def request(self) -> None:
        """Ask for a network to be learned now, at any hour. Raises TargetError."""
        _write(self.path / _REQUEST, {})

    @property
    def is_requested(self) -> bool:
        """Whether a network is asked for."""
        return (self.path / _REQUEST).exists()

    def end_request(self) -> None:
        """The network that was asked for is learned, or cannot be."""
        with suppress(OSError):
            (self.path / _REQUEST).unlink(missing_ok=True)

    def remove(self, folder: Path) -> None:
        """Delete the folder of a moment or a network; its facts first, so that no half of it is believed."""
        for name in (MOMENT_FACTS, PROOF):
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def _children(path: Path) -> list[Path]:
    try:
        return sorted(child for child in path.iterdir() if child.is_dir())
    except OSError:
        return []


def _read(path: Path) -> dict[str, Any]:
    """The object in a file of JSON; an empty one for a file that is missing or none."""
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _write(path: Path, values: Mapping[str, object]) -> None:
    """Write a file of JSON. Raises TargetError."""
    with _locked(path), atomic_write(path, overwrite=True) as file:
        file.write(json.dumps(values).encode())


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects in a file of lines of JSON; a torn line is left out."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        with suppress(ValueError):
            values = json.loads(line)
            if isinstance(values, dict):
                yield values


def _append(path: Path, values: Mapping[str, object]) -> None:
    """Append a line; the older half of a large file is dropped. Raises TargetError."""
    with _locked(path):
        try:
            lines = path.read_bytes().splitlines(keepends=True)
        except OSError:
            lines = []
        if sum(map(len, lines)) > _MAX_BYTES:
            lines = lines[len(lines) // 2 :]
        if lines and not lines[-1].endswith(b"\n"):  # torn by a crash
            lines[-1] += b"\n"
        with atomic_write(path, overwrite=True) as file:
            file.writelines([*lines, json.dumps(values).encode() + b"\n"])


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The folder of a file, made if it is missing, locked against the other writers of it. Raises TargetError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise TargetError(f"{path}: {error.strerror}") from error
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
