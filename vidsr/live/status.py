"""The status that the process of a camera reports to its supervisor, once per second, as one line of JSON."""

import dataclasses
import json
from bisect import bisect_left
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

DELAYS_S = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Upper bounds of the delay histogram; one more count holds the delays above the last bound."""

NO_NETWORK = "swscale"
"""The rung without a network."""
ORIGINAL_ONLY = "original only"
"""The rung of frames of which only the original is recorded."""
_CURRENT = ("state", "reason", "source", "rung", "best_rung", "learned", "shows_scene", "targets", "disk_free")
"""The fields that are no counts."""


class State(StrEnum):
    """The state of the process of a camera."""

    STARTING = "starting"
    CONNECTING = "connecting"
    RUNNING = "running"
    """Connected: from the first decoded frame to the loss of the connection."""
    WAITING = "waiting"
    """In the pause before the next attempt to connect."""
    STOPPING = "stopping"


@dataclass(kw_only=True)
class Status:
    """The state of a process, and its counts since it began. No field holds a secret."""

    state: State = State.STARTING
    reason: str = ""
    """Why it waits."""
    source: str = ""
    """Codec, size and rate of the source."""
    rung: str = ""
    """The current rung: the name of a network, "swscale", or "dropping"."""
    best_rung: str = ""
    """The rung that is used while the load allows it."""
    learned: str = ""
    """The learned network; "" without one."""
    shows_scene: bool = True
    """Whether the camera shows the scene that it was learned from, so that it is used."""
    frames_in: int = 0
    """Decoded frames."""
    corrupt: int = 0
    """Frames or packets that the decoder concealed or rejected."""
    upscaled: dict[str, int] = field(default_factory=dict)
    """Frames by the rung that upscaled them."""
    written: int = 0
    """Upscaled frames that at least one target took."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Dropped packets by reason."""
    missed: int = 0
    """Frames that never came, by the frame rate and the times of the source."""
    repaired: dict[str, int] = field(default_factory=dict)
    """Repaired timestamps by fault."""
    connects: int = 0
    """Connections that brought a frame."""
    worker_restarts: int = 0
    bytes_written: int = 0
    segments: int = 0
    targets: dict[str, str] = field(default_factory=dict)
    """Each target by its label: "ok", or an error."""
    disk_free: dict[str, int] = field(default_factory=dict)
    """Free bytes by target that is a directory of segments."""
    delays: list[int] = field(default_factory=lambda: [0] * (len(DELAYS_S) + 1))
    """Frames by delay from arrival to writing, not cumulative."""
    delay_sum_s: float = 0.0

    def add_frame(self, rung: str, seconds: float) -> None:
        """Count a frame that was upscaled by this rung, and written `seconds` after its arrival.

        Another thread may call `to_json` meanwhile.
        """
        self.upscaled = {**self.upscaled, rung: self.upscaled.get(rung, 0) + 1}
        self.delays[bisect_left(DELAYS_S, seconds)] += 1
        self.delay_sum_s += seconds

    def __add__(self, newest: "Status") -> "Status":
        """`newest` with the counts of this one, an earlier process, added: no count goes back at a restart.

        Raises ValueError for histograms of different lengths.
        """
        counts = (field.name for field in dataclasses.fields(self) if field.name not in _CURRENT)
        return dataclasses.replace(
            newest, **{name: _sum(getattr(self, name), getattr(newest, name)) for name in counts}
        )

    def to_json(self) -> str:
        """One line of JSON, without a line end."""
        return json.dumps(dataclasses.asdict(self))


def parse_status(line: str) -> Status:
    """The status of a line that `Status.to_json` made. Raises ValueError for any other line."""
    try:
        values = json.loads(line)
        return Status(**{**values, "state": State(values["state"])})
    except (TypeError, KeyError) as error:
        raise ValueError(f"not a status: {line[:80]!r}") from error


def _sum(earlier: Any, newest: Any) -> Any:
    if isinstance(newest, dict):
        return {name: earlier.get(name, 0) + newest.get(name, 0) for name in {**earlier, **newest}}
    if isinstance(newest, list):
        return [old + new for old, new in zip(earlier, newest, strict=True)]
    return earlier + newest
