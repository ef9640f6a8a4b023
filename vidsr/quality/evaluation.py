"""Every method on every picture and clip of what was named."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vidsr.errors import SourceError
from vidsr.media.containers import (
    IMAGE_SUFFIXES,
    READ_ONLY_IMAGE_SUFFIXES,
    READ_ONLY_VIDEO_SUFFIXES,
    VIDEO_SUFFIXES,
)
from vidsr.media.reader import Reader
from vidsr.quality.image_protocol import read_luma, score_picture
from vidsr.quality.results import SMALLEST, Measured, Score
from vidsr.quality.upscalers import BASELINE, Enlarge
from vidsr.quality.video_protocol import ClipProtocol, score_clip

_PICTURES = IMAGE_SUFFIXES | READ_ONLY_IMAGE_SUFFIXES
_CLIPS = VIDEO_SUFFIXES | READ_ONLY_VIDEO_SUFFIXES

Note = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Pictures and clips that are averaged together, each kind for itself."""

    name: str
    pictures: tuple[Path, ...]
    clips: tuple[Path, ...]


def collect(sources: list[Path], scale: int, note: Note) -> list[Collection]:
    """One collection for each folder, under its name, or its path where two have one name; one for all single files.

    Every file is opened here once. In a folder, what cannot be read, or is too small to be measured at that scale, is
    left out, and `note` is told why. Raises SourceError for such a file that was named itself, and for a folder in
    which nothing is left.
    """
    names = Counter(source.resolve().name for source in sources)
    folders = []
    for folder in filter(Path.is_dir, sources):
        name = folder.resolve().name
        folders.append(_of_folder(folder, scale, note, name=name if names[name] == 1 else str(folder)))
    files = [source for source in sources if not source.is_dir()]
    moving = {file: _is_clip(file, scale) for file in files}
    named = Collection(
        name="files",
        pictures=tuple(file for file in files if not moving[file]),
        clips=tuple(file for file in files if moving[file]),
    )
    return [*folders, named] if files else folders


def evaluate_picture(path: Path, collection: Collection, scale: int, methods: dict[str, Enlarge]) -> list[Measured]:
    """The scores of one of its pictures under P1 and P2."""
    scores = score_picture(read_luma(path), scale, methods)
    return [row for given, each in scores.items() for row in _measured(path, collection, scale, given, each)]


def evaluate_clip(
    path: Path, collection: Collection, scale: int, methods: dict[str, Enlarge], protocols: dict[str, ClipProtocol]
) -> list[Measured]:
    """The scores of one of its clips under every protocol."""
    scores = {given: score_clip(path, scale, methods, protocol) for given, protocol in protocols.items()}
    return [row for given, each in scores.items() for row in _measured(path, collection, scale, given, each)]


def _measured(
    path: Path, collection: Collection, scale: int, given: str, scores: dict[str, Score]
) -> Iterator[Measured]:
    for method, score in scores.items():
        gain = score.psnr - scores[BASELINE].psnr
        yield Measured(
            **vars(score),
            collection=collection.name,
            name=path.stem,
            scale=scale,
            input=given,
            method=method,
            gain=gain,
            worst=gain,
        )


def _of_folder(folder: Path, scale: int, note: Note, *, name: str) -> Collection:
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _PICTURES | _CLIPS)
    except OSError as error:
        raise SourceError(f"{folder}: {error.strerror}") from error
    if not files:
        raise SourceError(f"{folder}: no picture and no clip in this folder")
    pictures: list[Path] = []
    clips: list[Path] = []
    for file in files:
        try:
            (clips if _is_clip(file, scale) else pictures).append(file)
        except SourceError as error:
            note(f"{error}; left out")
    if not pictures and not clips:
        raise SourceError(f"{folder}: nothing in this folder can be measured")
    return Collection(name=name, pictures=tuple(pictures), clips=tuple(clips))


def _is_clip(path: Path, scale: int) -> bool:
    """Whether the file is a clip rather than a picture. Raises SourceError where it can be measured as neither."""
    with Reader(path) as reader:
        still, size = reader.info.still, (reader.info.width, reader.info.height)
    if still:
        height, width = read_luma(path).shape
        size = (width, height)
    if min(size) // scale * scale - 2 * scale < SMALLEST:
        raise SourceError(f"{path}: {size[0]}x{size[1]} is too small to be measured")
    return not still
