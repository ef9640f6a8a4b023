"""What a camera learns of its own scene, and when."""

import re
from dataclasses import dataclass

from vidsr.settings.hours import is_within, parse_hours
from vidsr.settings.options import DAY_S, check_limits, option

_LONGEST_MOMENT_S = 60.0
_AREA = re.compile(r"\d{1,5},\d{1,5},[1-9]\d{0,4},[1-9]\d{0,4}")
_RANGES = (
    ("cores", 1, 1024),
    ("memory_gb", 0.1, 1e4),
    ("every_s", 10.0, DAY_S),
    ("moment_s", 5.0, _LONGEST_MOMENT_S),
    ("day_s", 10.0, DAY_S),
    ("keep_days", 1e-6, 1e5),
    ("keep_gb", 1e-6, 1e6),
    ("keep_networks", 1, 1000),
    ("steps", 1, 1_000_000),
)


@dataclass(frozen=True, kw_only=True)
class LearnSettings:
    """How a camera collects moments of its scene, and learns a network from them."""

    folder: str | None = option(None, "folder of what is learned (default: learn, in the folder of segments)", "DIR")
    hours: str = option("1-5", "hours of the day at which a network may be learned, such as 22-6; or always", "HOURS")
    cores: int = option(1, "cores that learning may take", "N")
    memory_gb: float = option(3.0, "gigabytes of memory that learning may take; it is ended above", "N")
    every_s: float = option(900.0, "seconds from one collected moment to the next", "S")
    moment_s: float = option(10.0, "seconds of video per moment", "S")
    keep_days: float = option(14.0, "days after which a moment is deleted", "N")
    keep_gb: float = option(2.0, "gigabytes of moments that are kept; the most similar ones are deleted", "N")
    keep_networks: int = option(10, "learned networks that are kept, with their reports", "N")
    min_gain_db: float = option(
        0.3, "gain in dB, where the picture moves and on a day that was not trained on, for a network to be used", "N"
    )
    steps: int = option(4_000, "maximum number of training steps per network", "N")
    masks: tuple[str, ...] = option(
        (), "areas of the source that are never learned from, each as left,top,width,height in its pixels", "AREA"
    )
    day_s: float = option(float(DAY_S), "seconds of a day: shorter to rehearse weeks within hours", "S")

    def __post_init__(self) -> None:
        if self.hours != "always" and not parse_hours(self.hours):
            raise ValueError(f"hours must be like 22-6, or always, not {self.hours!r}")
        if self.folder is not None and (not self.folder or "://" in self.folder):
            raise ValueError("folder must be a path, not a URL or nothing")  # a URL may hold a password
        for name, least, most in _RANGES:
            check_limits(self, name, least=least, most=most)
        check_limits(self, "min_gain_db", least=0, most=10, above=True)
        if wrong := [area for area in self.masks if not _AREA.fullmatch(area)]:
            raise ValueError(f"masks must be areas like 0,0,320,40, not {wrong[0]!r}")

    def is_hour(self, now_s: float) -> bool:
        """Whether a network may be learned at this time of the clock, in local time."""
        return is_within(self.hours, now_s)
