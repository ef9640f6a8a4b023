"""Which files are videos and images, and what their targets are called."""

from pathlib import Path

from vidsr.media.containers import (
    IMAGE_SUFFIXES,
    READ_ONLY_IMAGE_SUFFIXES,
    READ_ONLY_VIDEO_SUFFIXES,
    VIDEO_SUFFIXES,
)

_WRITTEN = VIDEO_SUFFIXES | IMAGE_SUFFIXES
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


def _is_text(file: Path) -> bool:
    """Whether the file is a text of a kind that shares its suffix with videos: TypeScript, go.mod, AviSynth."""
    if file.suffix.lower() not in _SHARED_SUFFIXES or not file.is_file():
        return False
    try:
        with file.open("rb") as opened:
            return b"\0" not in opened.read(4096)
    except OSError:
        return False
