"""How a folder is watched, and what becomes of its files."""

from dataclasses import dataclass

from vidsr.settings.options import DAY_S, check_limits, option


@dataclass(frozen=True, kw_only=True)
class WatchSettings:
    """How a folder is watched, and what becomes of the sources in it."""

    interval_s: float = option(5.0, "seconds between two looks at the folder", "S")
    settle_s: float = option(10.0, "seconds for which a file must keep its size and time before it is read", "S")
    done: str | None = option(None, "move sources that are upscaled into this folder (default: they stay)", "DIR")
    failed: str | None = option(
        None,
        "move sources that are unreadable or damaged into this folder, the reports of all failures, too (default: "
        "they stay; reports in TARGET)",
        "DIR",
    )

    def __post_init__(self) -> None:
        check_limits(self, "interval_s", "settle_s", least=0.1, most=DAY_S)
