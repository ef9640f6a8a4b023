"""Why a moment is not collected."""

from enum import StrEnum


class Reason(StrEnum):
    """The reasons, as they are counted."""

    SOURCE = "source lost"
    MAIN = "main stream lost"
    DISK = "disk full"
    ORIGINALS = "originals unreadable"
    MASK = "mask beyond the picture"
    DARK = "nothing to see"
    PAIRING = "main stream does not match"
    BLACK_MAIN = "main stream black"
    FROZEN_MAIN = "main stream frozen"
    STILL = "nothing moves"
    NO_ORIGINAL = "no new original"


USUAL = (Reason.STILL, Reason.NO_ORIGINAL)
"""The reasons that are no faults."""
DOUBTFUL = (Reason.DARK, Reason.PAIRING, Reason.BLACK_MAIN, Reason.FROZEN_MAIN)
"""The faults that are believed when they come twice: a van may stop before the lens."""


class Refused(Exception):
    """A moment is not collected: `str()` is a sentence without its full stop."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
