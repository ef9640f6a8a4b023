"""The folder of what a camera learns: moments of its scene, networks learned from them, and which one is in use.

  moments/TIME/    source.mkv, main.mkv where there is a main stream, and moment.json
  networks/TIME/   model.npz, scene.npz, report.html and proof.json
  work/            the training under way
  current.json     the network in use
  events.jsonl     what happened, a line each
  attempt.json     when a network was last learned, or not
  collect.json     how collecting goes: a CollectState
  waiting.json     since when learning has had no CPU time; only while it has none
  gains.jsonl      the gain of the network in use over the general one, measured live

TIME is in UTC, so that names sort. Whoever writes replaces whole files; readers take what is whole.
"""

import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vidsr.json_files import append_line, read_json, read_lines, read_record, update_json, write_json

IN_TARGET = "learn"
"""The name of the folder in a folder of segments."""
MOMENT_SOURCE, MOMENT_MAIN, MOMENT_FACTS = "source.mkv", "main.mkv", "moment.json"
NETWORK, SCENE, REPORT, PROOF = "model.npz", "scene.npz", "report.html", "proof.json"
_CURRENT, _EVENTS, _GAINS = "current.json", "events.jsonl", "gains.jsonl"
_ATTEMPT, _COLLECT, _REQUEST = "attempt.json", "collect.json", "learn-now"
_WAITING = "waiting.json"


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
    """What a learned network gains over the general one, on moments that it was not trained on. Gains are in dB."""

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


@dataclass(frozen=True, kw_only=True)
class CollectState:
    """How collecting goes."""

    tried_s: float = 0.0
    """When a moment was last to be collected, in seconds since 1970; 0 for never."""
    original_s: float = 0.0
    """When the original that the last moment was cut from began; 0 for none."""
    collected: int = 0
    """Moments, since the folder was made."""
    refused: dict[str, int] = field(default_factory=dict)
    """Moments that were not kept, by the reason: a word or two."""
    doubt: str = ""
    """The reason of the last refusal; "" after a moment that was kept."""
    fault: str = ""
    """The reason for which nothing is collected, as the last event says; "" while all is well."""


@dataclass(frozen=True, kw_only=True)
class _Event:
    time_s: float
    event: str


@dataclass(frozen=True, kw_only=True)
class _TimeMark:
    time_s: float


class LearnDir:
    """The folder of one camera. Reading methods take a folder that is not there for an empty one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.work = path / "work"

    def moments(self) -> list[Moment]:
        """The whole moments, oldest first."""
        found = []
        for folder in _children(self.path / "moments"):
            if moment := read_record(Moment, {**read_json(folder / MOMENT_FACTS), "folder": folder}):
                found.append(moment)
        return found

    def half_moments(self) -> list[Path]:
        """The folders of moments that are not whole: one that is being collected, and those of killed collectors."""
        return [folder for folder in _children(self.path / "moments") if not (folder / MOMENT_FACTS).exists()]

    def moment_folder(self, now_s: float) -> Path:
        """The folder of a moment that begins now."""
        return self.path / "moments" / time_name(now_s)

    def write_moment(self, moment: Moment) -> None:
        """Complete the folder of a moment by its facts. Raises TargetError."""
        facts = {name: value for name, value in asdict(moment).items() if name != "folder"}
        write_json(moment.folder / MOMENT_FACTS, facts)

    def networks(self) -> list[LearnedNetwork]:
        """The history, oldest first, with the networks that were not accepted."""
        proofs = [(folder, read_proof(folder)) for folder in _children(self.path / "networks")]
        return [LearnedNetwork(name=folder.name, folder=folder, proof=proof) for folder, proof in proofs if proof]

    def network_folder(self, name: str) -> Path:
        """The folder of a network."""
        return self.path / "networks" / name

    def write_proof(self, name: str, proof: Proof) -> None:
        """Complete the folder of a network by its proof. Raises TargetError."""
        write_json(self.network_folder(name) / PROOF, asdict(proof))

    def current(self) -> LearnedNetwork | None:
        """The network in use; None for the general one."""
        name = read_json(self.path / _CURRENT).get("network")
        return next((each for each in self.networks() if each.name == name), None)

    def set_current(self, name: str | None, reason: str, *, now_s: float) -> None:
        """Have a network of the history used, or with None the general one, and log why. Raises TargetError."""
        write_json(self.path / _CURRENT, {"network": name})
        self.add_event(f"{name or 'the general network'} is used: {reason}", now_s=now_s)

    def give_up(self, name: str, reason: str, *, now_s: float) -> bool:
        """Have the general network used and log why, if this network is still in use. Raises TargetError."""
        is_done = update_json(
            self.path / _CURRENT, lambda before: {"network": None} if before.get("network") == name else None
        )
        if is_done:
            self.add_event(f"the general network is used: {reason}", now_s=now_s)
        return bool(is_done)

    def undo(self, name: str, *, now_s: float) -> bool:
        """Have the accepted network before this one used, else the general one, if this one is still in use.

        So of several that undo a network at once, one does. Raises TargetError.
        """

        def earlier(before: dict[str, Any]) -> dict[str, str | None] | None:
            if before.get("network") != name:
                return None
            accepted = [each.name for each in self.networks() if each.proof.accepted and each.name < name]
            return {"network": accepted[-1] if accepted else None}

        done = update_json(self.path / _CURRENT, earlier)
        if done is None:
            return False
        self.add_event(f"{done[1]['network'] or 'the general network'} is used: undone by hand", now_s=now_s)
        return True

    def current_changed_ns(self) -> int:
        """A number that changes when another network is to be used."""
        try:
            return os.stat(self.path / _CURRENT).st_mtime_ns
        except OSError:
            return 0

    def events(self) -> list[dict[str, Any]]:
        """What happened: "time_s" and "event", a sentence; oldest first."""
        records = (read_record(_Event, values) for values in read_lines(self.path / _EVENTS))
        return [asdict(record) for record in records if record]

    def add_event(self, event: str, *, now_s: float) -> None:
        """Log a sentence. Raises TargetError."""
        append_line(self.path / _EVENTS, {"time_s": now_s, "event": event})

    def gains(self, since_s: float = 0.0) -> list[LiveGain]:
        """The gains measured live, oldest first."""
        gains = (read_record(LiveGain, values) for values in read_lines(self.path / _GAINS))
        return [gain for gain in gains if gain and gain.time_s >= since_s]

    def add_gain(self, gain: LiveGain) -> None:
        """Keep a gain measured live. Raises TargetError."""
        append_line(self.path / _GAINS, asdict(gain))

    def collect_state(self) -> CollectState:
        """How collecting goes."""
        return read_record(CollectState, read_json(self.path / _COLLECT)) or CollectState()

    def set_collect_state(self, state: CollectState) -> None:
        """Keep how collecting goes. Raises TargetError."""
        write_json(self.path / _COLLECT, asdict(state))

    def request(self) -> None:
        """Ask for a network to be learned now, at any hour. Raises TargetError."""
        write_json(self.path / _REQUEST, {})

    @property
    def is_requested(self) -> bool:
        """Whether a network is asked for."""
        return os.path.exists(self.path / _REQUEST)

    @property
    def attempt_s(self) -> float:
        """When learning last came to an end, in seconds since 1970; 0 for never."""
        return _read_time(self.path / _ATTEMPT)

    @property
    def waiting_since_s(self) -> float:
        """Since when learning waits for CPU time, in seconds since 1970; 0 while it does not."""
        return _read_time(self.path / _WAITING)

    def set_waiting(self, since_s: float) -> None:
        """Learning waits for CPU time since then; 0: no more. Raises TargetError."""
        if since_s:
            write_json(self.path / _WAITING, {"time_s": since_s})
        else:
            with suppress(OSError):
                (self.path / _WAITING).unlink(missing_ok=True)

    def end_attempt(self, now_s: float) -> None:
        """Learning has come to an end, with a network or without; so has the request for it. Raises TargetError."""
        write_json(self.path / _ATTEMPT, {"time_s": now_s})
        with suppress(OSError):
            (self.path / _REQUEST).unlink(missing_ok=True)

    def remove(self, folder: Path) -> None:
        """Delete the folder of a moment or a network; its facts first, so that no half of it is believed."""
        for name in (MOMENT_FACTS, PROOF):
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def read_proof(folder: Path) -> Proof | None:
    """The proof in the folder of a network; None if it is missing or damaged."""
    return read_record(Proof, read_json(folder / PROOF))


def _read_time(file: Path) -> float:
    mark = read_record(_TimeMark, read_json(file))
    return mark.time_s if mark else 0.0


def _children(path: Path) -> list[Path]:
    """The folders in a folder; not those whose names are not vidsr's, and may not be printed."""
    try:
        return sorted(
            child for child in path.iterdir() if child.name.isascii() and child.name.isprintable() and child.is_dir()
        )
    except OSError:
        return []
