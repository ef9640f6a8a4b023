"""What a recording is held against: plain PyAV decodes all of it, and every picture tells which one it is."""

import itertools
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from kit.counter import Mark, read_mark
from vidsr.media.containers import VIDEO_SUFFIXES


@dataclass(frozen=True, kw_only=True)
class Film:
    """A file that was decoded from its beginning to its end."""

    path: Path
    size: tuple[int, int]
    times: list[Fraction]
    """Of every picture, in seconds, strictly increasing."""
    marks: list[Mark | None]
    sounds: int
    """Packets of sound."""

    @property
    def numbers(self) -> list[int]:
        """Of the pictures whose mark can be read."""
        return [mark.number for mark in self.marks if mark]


def whole(path: Path) -> Film:
    """The film of a file that is whole: every picture decodes, none is damaged, all have one size, time goes forward.

    Fails the test that calls it for a file that is not.
    """
    pictures, times, sounds = [], [], 0
    with av.open(f"file:{path}") as source:
        for packet in source.demux():
            if packet.stream.type != "video":
                sounds += bool(packet.size)
                continue
            for picture in packet.decode():
                assert not picture.is_corrupt, f"{path.name}: a damaged picture"
                times.append(picture.pts * picture.time_base)
                pictures.append(((picture.width, picture.height), mark_of(picture)))
    assert pictures, f"{path.name}: no picture"
    back = [pair for pair in itertools.pairwise(times) if pair[0] >= pair[1]]
    assert not back, f"{path.name}: time goes back: {back[:3]}"
    (size,) = {size for size, _ in pictures}
    return Film(path=path, size=size, times=times, marks=[mark for _, mark in pictures], sounds=sounds)


def mark_of(picture: av.VideoFrame) -> Mark | None:
    """What a decoded picture says of itself."""
    return read_mark(picture.reformat(format="gray").to_ndarray())


def recorded(folder: Path) -> list[Path]:
    """The videos in and below a folder, oldest first; what is still being written has another suffix."""
    return sorted(path for path in folder.rglob("*") if path.suffix in VIDEO_SUFFIXES)


def all_whole(folder: Path) -> list[Film]:
    """Every recording below a folder, whole; there is one at least."""
    films = [whole(path) for path in recorded(folder)]
    assert films, f"nothing was recorded: {sorted(folder.rglob('*'))}"
    return films


def in_order(films: list[Film], *, camera: int = 0, unread: int = 0) -> list[int]:
    """The numbers of the pictures of all films: of one camera, none twice, none before an earlier one.

    At most `unread` pictures may be without a mark that can be read.
    """
    marks = [mark for film in films for mark in film.marks]
    numbers = [mark.number for mark in marks if mark]
    assert len(marks) - len(numbers) <= unread, f"{len(marks) - len(numbers)} of {len(marks)} pictures bear no mark"
    assert {mark.camera for mark in marks if mark} == {camera}, "pictures of two cameras are mixed"
    late = [pair for pair in itertools.pairwise(numbers) if pair[0] >= pair[1]]
    assert not late, f"pictures repeat or go back: {late[:5]}"
    return numbers
