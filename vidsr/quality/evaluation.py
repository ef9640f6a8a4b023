"""Scores of every method on the images and clips of folders and files, and their means."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vidsr.callbacks import OnWarning
from vidsr.errors import SourceError
from vidsr.media.containers import READABLE
from vidsr.media.reader import Reader
from vidsr.quality.metrics import MIN_SIDE, ClipProtocol, Score, read_luma, score_clip, score_image
from vidsr.quality.upscalers import BASELINE, Upscaler


@dataclass(frozen=True, kw_only=True)
class ResultRow(Score):
    """The score of one method on one image or clip, or the mean of several."""

    collection: str
    """The folder, or "files" for single files."""
    name: str
    scale: int
    input: str
    """How the input was reduced: "P1", "P2", "none" or "crf 23"."""
    method: str
    gain: float
    """PSNR over that of Lanczos, in dB."""
    worst: float
    """The lowest gain of the rows in the mean."""
    moving_gain: float | None = None
    """The gain in the moving areas alone, where they are known."""
    reused: float | None = None
    """With `--reuse`: the share of the clip whose output was copied; None for other methods."""


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Images and clips; each of the two kinds has its own mean."""

    name: str
    images: tuple[Path, ...]
    clips: tuple[Path, ...]


def collect(sources: list[Path], scale: int, on_warning: OnWarning) -> list[Collection]:
    """One collection per folder, and one, called "files", of all single files.

    A folder's collection has the name of the folder, or its path where two folders have the same name. Every file is
    opened once. Files of a folder that cannot be read, or are too small for the scale, are skipped with a warning.
    Raises SourceError for such a file among `sources`, and for a folder without usable files.
    """
    names = Counter(source.resolve().name for source in sources)
    folders = []
    for folder in filter(os.path.isdir, sources):
        name = folder.resolve().name
        folders.append(_collect_folder(folder, scale, on_warning, name=name if names[name] == 1 else str(folder)))
    files = [source for source in sources if not os.path.isdir(source)]
    is_clip = {file: _is_clip(file, scale) for file in files}
    single = Collection(
        name="files",
        images=tuple(file for file in files if not is_clip[file]),
        clips=tuple(file for file in files if is_clip[file]),
    )
    return [*folders, single] if files else folders


def evaluate_image(path: Path, collection: Collection, scale: int, upscalers: dict[str, Upscaler]) -> list[ResultRow]:
    """The scores of one image of the collection under P1 and P2."""
    return _rows(path, collection, scale, score_image(read_luma(path), scale, upscalers))


def evaluate_clip(
    path: Path, collection: Collection, scale: int, upscalers: dict[str, Upscaler], protocols: dict[str, ClipProtocol]
) -> list[ResultRow]:
    """The scores of one clip of the collection under every protocol; `protocols` is keyed by input name."""
    scores = {name: score_clip(path, scale, upscalers, protocol) for name, protocol in protocols.items()}
    return _rows(path, collection, scale, scores)


def _rows(path: Path, collection: Collection, scale: int, scores: dict[str, dict[str, Score]]) -> list[ResultRow]:
    return [
        row
        for name, by_method in scores.items()
        for row in result_rows(by_method, collection=collection.name, name=path.stem, scale=scale, input_name=name)
    ]


def result_rows(
    scores: dict[str, Score], *, collection: str, name: str, scale: int, input_name: str
) -> Iterator[ResultRow]:
    """Yields a row per method, Lanczos among them."""
    for method, score in scores.items():
        gain = score.psnr - scores[BASELINE].psnr
        moving, baseline = score.moving_psnr, scores[BASELINE].moving_psnr
        yield ResultRow(
            **vars(score),
            collection=collection,
            name=name,
            scale=scale,
            input=input_name,
            method=method,
            gain=gain,
            worst=gain,
            moving_gain=None if moving is None or baseline is None else moving - baseline,
        )


def _collect_folder(folder: Path, scale: int, on_warning: OnWarning, *, name: str) -> Collection:
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in READABLE)
    except OSError as error:
        raise SourceError(f"{folder}: {error.strerror}") from error
    if not files:
        raise SourceError(f"{folder}: the folder has no image and no clip")
    images: list[Path] = []
    clips: list[Path] = []
    for file in files:
        try:
            (clips if _is_clip(file, scale) else images).append(file)
        except SourceError as error:
            on_warning(f"{error}; skipped")
    if not images and not clips:
        raise SourceError(f"{folder}: the folder has no usable image or clip")
    return Collection(name=name, images=tuple(images), clips=tuple(clips))


def _is_clip(path: Path, scale: int) -> bool:
    """Whether the file is a clip rather than an image. Raises SourceError where it is neither, or too small."""
    with Reader(path) as reader:
        still, size = reader.info.still, (reader.info.width, reader.info.height)
    if still:
        height, width = read_luma(path).shape
        size = (width, height)
    if min(size) // scale * scale - 2 * scale < MIN_SIDE:
        raise SourceError(f"{path}: {size[0]}x{size[1]} is too small to be evaluated")
    return not still


def means(rows: Iterable[ResultRow]) -> list[ResultRow]:
    """One mean per collection, scale, input and method, in order of first appearance."""
    groups: dict[tuple[str, int, str, str], list[ResultRow]] = {}
    for row in rows:
        groups.setdefault((row.collection, row.scale, row.input, row.method), []).append(row)
    return [_mean(group) for group in groups.values()]


def _mean(rows: list[ResultRow]) -> ResultRow:
    return replace(
        rows[0],
        name=f"mean of {len(rows)}",
        psnr=float(np.mean([row.psnr for row in rows])),
        ssim=float(np.mean([row.ssim for row in rows])),
        gain=float(np.mean([row.gain for row in rows])),
        worst=min(row.worst for row in rows),
        flicker=_optional_mean([row.flicker for row in rows]),
        original_flicker=_optional_mean([row.original_flicker for row in rows]),
        moving_psnr=_optional_mean([row.moving_psnr for row in rows]),
        moving_gain=_optional_mean([row.moving_gain for row in rows]),
        reused=_optional_mean([row.reused for row in rows]),
        frames=sum(row.frames for row in rows),
    )


def _optional_mean(numbers: list[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return float(np.mean(known)) if known else None
