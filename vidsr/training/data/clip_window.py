"""Where clips of a film may begin, and where they must have ended."""

from collections.abc import Sequence
from itertools import accumulate

from vidsr.training.data.scenes import Span


def clip_at(
    place: float, *, spans: Sequence[Span], moments: Sequence[float], seconds: float, clip_s: float
) -> tuple[float, float | None]:
    """When a clip of `clip_s` begins in a film of so many seconds, and what it must not reach, None: the film's end.

    `seconds` is 0 when nothing says how many. `place` is from 0 to 1: through the moments when there are some, else
    through all of the spans, or of the film, where the clip fits. A moment too late for the clip is brought forward
    as far as its span allows.
    """
    known = spans or (Span(0.0, max(seconds, clip_s)),)
    if moments:
        moment = moments[min(int(place * len(moments)), len(moments) - 1)]
        span = next((span for span in known if span.holds(moment)), known[-1])
        latest_s = span.end_s - clip_s if spans or seconds else moment
        start_s = max(span.start_s, min(moment, latest_s))
    else:
        span, beyond = _walked(known, place, clip_s)
        start_s = span.start_s + beyond
    return start_s, span.end_s if spans else None


def _walked(spans: Sequence[Span], place: float, clip_s: float) -> tuple[Span, float]:
    """The span, and how far into it, that a share of all the room for beginnings leads to."""
    rooms = [max(0.0, span.seconds - clip_s) for span in spans]
    ends = list(accumulate(rooms))
    if not ends[-1]:
        return max(spans, key=lambda span: span.seconds), 0.0
    way = place * ends[-1]
    number = next(number for number, end in enumerate(ends) if way < end or end == ends[-1])
    return spans[number], way - (ends[number] - rooms[number])
