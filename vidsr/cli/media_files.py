"""Which files are videos and images, and what their targets are called."""

import logging
import os
from collections import Counter
from pathlib import Path

from vidsr.cli.output import UsageError
from vidsr.errors import SourceError
from vidsr.media.containers import (
    IMAGE_SUFFIXES,
    READ_ONLY_IMAGE_SUFFIXES,
    READ_ONLY_VIDEO_SUFFIXES,
    VIDEO_SUFFIXES,
)
from vidsr.media.pipes import STDOUT

log = logging.getLogger(__name__)

_WRITTEN = VIDEO_SUFFIXES | IMAGE_SUFFIXES
_MAX_SUFFIXES = 8
_SHARED_SUFFIXES = (".ts", ".mod", ".avs")
_BECOMES = dict.fromkeys(READ_ONLY_VIDEO_SUFFIXES, ".mkv") | dict.fromkeys(READ_ONLY_IMAGE_SUFFIXES, ".png")
_KNOWN = _WRITTEN | _BECOMES.keys()


def is_media(file: Path) -> bool:
    """Whether the name is that of a video or an image, unless it is hidden: a Mac keeps its own notes in those."""
    return not file.name.startswith(".") and file.suffix.lower() in _KNOWN and not _is_text(file)


def target_name(source: Path, *, whole: bool = False) -> str:
    """The name of the target; for another suffix that of the source is left out, unless its `whole` name is kept."""
    suffix = source.suffix.lower()
    if suffix in _WRITTEN:
        return source.name
    return (source.name if whole else source.stem) + _BECOMES.get(suffix, ".mkv")


def source_files(
    sources: list[Path], target: Path, *, recursive: bool = False, into_folder: bool = False
) -> list[tuple[Path, Path]]:
    """(source, target) of each file: one into one, or all under their own names into a folder, there or not.

    With `into_folder` the target of one file is a folder, too, even where there is none yet. `recursive` takes the
    folders in a folder, too, but for the target. Raises UsageError or SourceError.
    """
    if len(sources) == 1 and not os.path.isdir(sources[0]) and not os.path.isdir(target) and not into_folder:
        return [(sources[0], target)]
    if target == STDOUT:
        raise UsageError("several sources, or a folder, cannot go to standard output; name a folder as target")
    if not os.path.isdir(target) and (os.path.lexists(target) or is_media(target)):
        raise UsageError(f"{target}: is no folder; several sources, or a folder, need a folder as target")
    files: list[tuple[Path, Path]] = []
    for source in sources:
        if not os.path.isdir(source):
            files.append((source, target))
        elif recursive:
            files += _media_below(source, target)
        else:
            files += [(file, target) for file in _media_in(source)]
    names = Counter(folder / target_name(file) for file, folder in files)
    pairs = [(file, folder / target_name(file, whole=names[folder / target_name(file)] > 1)) for file, folder in files]
    if twice := [file for file, count in Counter(file for _, file in pairs).items() if count > 1]:
        raise UsageError(f"{twice[0]}: two sources have this target")
    return pairs


def _media_in(folder: Path) -> list[Path]:
    """The media files in a folder by their names, without hidden ones."""
    try:
        inside = [*folder.iterdir()]
    except OSError as error:
        raise SourceError(f"{folder}: {error.strerror}") from error
    folders = [each for each in inside if os.path.isdir(each)]
    if shown := sorted(each.name for each in folders if not each.name.startswith(".")):
        log.warning("%s: the folders in it are passed over, without --recursive: %s", folder, ", ".join(shown))
    passed = _PassedOver()
    files = passed.media_of([each for each in inside if each not in folders])
    passed.report(folder)
    if not files:
        raise UsageError(f"{folder}: no video and no image in this folder")
    return files


def _media_below(source: Path, target: Path) -> list[tuple[Path, Path]]:
    """The media files in a folder and those in it, each with the folder that it goes into; links are not followed."""
    found: list[tuple[Path, Path]] = []
    own, passed = target.resolve(), _PassedOver()
    for name, folders, files in os.walk(source, onerror=_warn_of_folder):
        folder = Path(name)
        passed.counts[_LINKED] += sum(os.path.islink(folder / each) for each in folders)
        folders[:] = sorted(each for each in folders if not each.startswith(".") and (folder / each).resolve() != own)
        into = target / folder.relative_to(source)
        found += [(file, into) for file in passed.media_of([folder / each for each in files])]
    passed.report(source)
    if not found:
        raise UsageError(f"{source}: no video and no image in this folder or below")
    return found


_HIDDEN, _OTHER, _SPECIAL, _LINKED = "hidden files", "files of other kinds", "pipes and devices", "linked folders"


class _PassedOver:
    """Counts what is no source though it lies in a folder of sources, by the reason."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._suffixes: set[str] = set()

    def media_of(self, files: list[Path]) -> list[Path]:
        """The media files among these, by their names; a link to nothing is one, which cannot be read."""
        found = []
        for file in sorted(files):
            if file.name.startswith("."):
                self.counts[_HIDDEN] += file.suffix.lower() in _KNOWN
            elif not is_media(file):
                self.counts[_OTHER] += 1
                self._suffixes.add(file.suffix.lower() or file.name)
            elif os.path.exists(file) and not os.path.isfile(file):
                self.counts[_SPECIAL] += 1
            else:
                found.append(file)
        return found

    def report(self, folder: Path) -> None:
        """Say in one line what was passed over, if anything was."""
        kinds = " ".join(sorted(self._suffixes)[:_MAX_SUFFIXES])
        more = {_OTHER: f": {kinds}"}
        parts = [f"{name} ({count}{more.get(name, '')})" for name, count in self.counts.items() if count]
        if parts:
            log.warning("%s: passed over: %s", folder, ", ".join(parts))


def _warn_of_folder(error: OSError) -> None:
    log.warning("%s: %s; what is in it is left out", error.filename, error.strerror)


def _is_text(file: Path) -> bool:
    """Whether the file is a text of a kind that shares its suffix with videos: TypeScript, go.mod, AviSynth."""
    if file.suffix.lower() not in _SHARED_SUFFIXES or not os.path.isfile(file):
        return False
    try:
        with file.open("rb") as opened:
            return b"\0" not in opened.read(4096)
    except OSError:
        return False
