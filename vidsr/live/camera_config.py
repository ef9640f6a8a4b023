"""What one camera's process is told to do, by its supervisor, as one line of JSON on its stdin."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from vidsr.settings import EncodeSettings, PoolSettings, RecordSettings, StreamSettings
from vidsr.stream_url import Address


@dataclass(frozen=True, kw_only=True)
class Order:
    """One camera: where its pictures come from, where they go, and how."""

    name: str
    source: Address
    targets: tuple[Address, ...]
    folder: Path | None = None
    """A private folder of the supervisor, for the newest picture before (before.jpg) and after (after.jpg); None where
    nobody can look at them."""
    stream: StreamSettings = field(default_factory=StreamSettings)
    record: RecordSettings = field(default_factory=RecordSettings)
    encode: EncodeSettings = field(default_factory=EncodeSettings)
    pool: PoolSettings = field(default_factory=PoolSettings)
    level: str = "WARNING"
    """The least level of what is logged, by its name."""
    restarted: bool = False
    """A process before this one was at the same targets."""

    def line(self) -> str:
        """One line of JSON, with the secrets of the addresses."""
        return json.dumps(
            {
                "name": self.name,
                "source": self.source.text,
                "targets": [target.text for target in self.targets],
                "folder": str(self.folder) if self.folder else None,
                "stream": dataclasses.asdict(self.stream),
                "record": dataclasses.asdict(self.record),
                "encode": dataclasses.asdict(self.encode),
                "pool": dataclasses.asdict(self.pool),
                "level": self.level,
                "restarted": self.restarted,
            }
        )


def parse(line: str) -> Order:
    """The order of a line that `Order.line` made."""
    told = json.loads(line)
    return Order(
        name=told["name"],
        source=Address(told["source"]),
        targets=tuple(map(Address, told["targets"])),
        folder=Path(told["folder"]) if told["folder"] else None,
        stream=StreamSettings(**told["stream"]),
        record=RecordSettings(**told["record"]),
        encode=EncodeSettings(**told["encode"]),
        pool=PoolSettings(**told["pool"]),
        level=told["level"],
        restarted=told["restarted"],
    )
