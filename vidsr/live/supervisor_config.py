"""What the supervisor is told: its cameras, and where it may be asked how they are."""

import json
from dataclasses import dataclass

from vidsr.live.camera_config import Order, parse


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything a supervisor does. The folders of the orders are still to be made."""

    cameras: tuple[Order, ...]
    http: tuple[str, int] | None = None
    """Host and port that answer."""
    level: str = "WARNING"
    """The least level of what is logged, by its name."""

    def line(self) -> str:
        """JSON, with the secrets of the addresses."""
        cameras = [order.line() for order in self.cameras]
        return json.dumps({"cameras": cameras, "http": self.http, "level": self.level})


def parse_plan(line: str) -> Plan:
    """The plan of a line that `Plan.line` made."""
    told = json.loads(line)
    host_port = told["http"]
    return Plan(
        cameras=tuple(map(parse, told["cameras"])),
        http=(host_port[0], host_port[1]) if host_port else None,
        level=told["level"],
    )
