"""The functions that a caller may hand to a long job, each under one name."""

from collections.abc import Callable
from typing import TypeAlias

OnWarning: TypeAlias = Callable[[str], None]
"""Called with one sentence that the user should read, while there is time to act on it."""
OnProgress: TypeAlias = Callable[[int, int | None], None]
"""Called with how many are done and how many there are in all, None where that is not known."""
ShouldStop: TypeAlias = Callable[[], bool]
"""Asked now and then; where it is True the job ends in order."""
