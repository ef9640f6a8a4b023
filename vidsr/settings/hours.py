"""Hours of the day, such as 22-6 or 21:30-5:45, in local time; or always, or never."""

import re
from datetime import datetime

_HOURS = re.compile(r"(\d{1,2})(?::(\d{2}))?-(\d{1,2})(?::(\d{2}))?")


def parse_hours(text: str) -> tuple[int, int] | None:
    """The minutes of the day at which the hours begin and end; None for anything else, and for no time at all."""
    found = _HOURS.fullmatch(text)
    numbers = [int(number or 0) for number in found.groups()] if found else [24]
    if not found or max(numbers[::2]) > 23 or max(numbers[1::2]) > 59 or numbers[:2] == numbers[2:]:
        return None
    return 60 * numbers[0] + numbers[1], 60 * numbers[2] + numbers[3]


def is_within(text: str, now_s: float) -> bool:
    """Whether a time of the clock is within hours that `parse_hours` knows, always or never.

    Hours may go over midnight.
    """
    if text in ("always", "never"):
        return text == "always"
    hours = parse_hours(text)
    assert hours
    (begin, end), now = hours, datetime.fromtimestamp(now_s)
    minute = 60 * now.hour + now.minute
    return begin <= minute < end if begin < end else not end <= minute < begin
