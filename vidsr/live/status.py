"""What a camera's process tells its supervisor, once a second, as one line of JSON."""

import dataclasses
import json
from bisect import bisect_left
from dataclasses import dataclass, field
from enum import StrEnum

DELAYS_S = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""The upper bounds of the histogram of delays; one more count holds what is above the last."""


class State(StrEnum):
    """What a camera's process is about."""

    STARTING = "starting"
    CONNECTING = "connecting"
    RUNNING = "running"
    """Frames are expected: from the first decoded one to the loss of the connection."""
    WAITING = "waiting"
    """Before the next attempt to connect."""
    STOPPING = "stopping"


@dataclass(kw_only=True)
class Status:
    """The state, and what was counted since the process began. No field ever holds a secret."""

    state: State = State.STARTING
    reason: str = ""
    """Why it waits, in words."""
    source: str = ""
    """Codec, size and rate of the source, in words."""
    rung: str = ""
    """What enlarges now: the name of a network, "swscale", or "dropping"."""
    frames_in: int = 0
    """Pictures that were decoded."""
    corrupt: int = 0
    """Pictures or packets that the decoder had to guess or refuse."""
    enlarged: dict[str, int] = field(default_factory=dict)
    """Pictures by the rung that enlarged them."""
    written: int = 0
    """Enlarged pictures that reached the targets."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Packets and pictures that were left out, by reason."""
    missed: int = 0
    """Pictures that never came, by the rate and the times of the source."""
    repaired: dict[str, int] = field(default_factory=dict)
    """Time stamps that were repaired, by fault."""
    connects: int = 0
    """Connections that brought a picture."""
    worker_restarts: int = 0
    bytes_written: int = 0
    segments: int = 0
    targets: dict[str, str] = field(default_factory=dict)
    """Each target by its shown name: "ok", or what is wrong, in words."""
    disk_free: dict[str, int] = field(default_factory=dict)
    """Free bytes at each target that is on a disk."""
    delays: list[int] = field(default_factory=lambda: [0] * (len(DELAYS_S) + 1))
    """Pictures by their delay from arrival to writing, not cumulated."""
    delay_sum_s: float = 0.0

    def delayed(self, seconds: float) -> None:
        """Count a picture that was written so long after it arrived."""
        self.delays[bisect_left(DELAYS_S, seconds)] += 1
        self.delay_sum_s += seconds

    def line(self) -> str:
        """One line of JSON, without its end."""
        return json.dumps(dataclasses.asdict(self))


def parse(line: str) -> Status:
    """The status of a line. Raises ValueError when it is none."""
    try:
        values = json.loads(line)
        return Status(**{**values, "state": State(values["state"])})
    except (TypeError, KeyError) as error:
        raise ValueError(f"not a status: {line[:80]!r}") from error
