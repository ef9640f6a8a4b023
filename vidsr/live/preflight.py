"""The checks of cameras before any work."""

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vidsr.errors import SourceError, TargetError, VidsrError
from vidsr.learn_dir import IN_TARGET
from vidsr.live.camera_file import line_of_key
from vidsr.live.config import CameraConfig
from vidsr.media.containers import container_for, is_playlist, is_video
from vidsr.media.encoders import check_settings
from vidsr.model.weights import with_strength
from vidsr.model.zoo import load_model
from vidsr.model_selection import AUTO
from vidsr.stream_url import SOURCE_SCHEMES, STDOUT, TARGET_SCHEMES, StreamUrl

_MAX_PORT = 65_535
POOL_TIMEOUT_S = 3.0
"""Seconds per megapixel before a worker counts as hung: shorter than for files, as a camera does not wait."""


def check_cameras(
    configs: Iterable[CameraConfig], *, file: Path | None = None
) -> tuple[tuple[CameraConfig, ...], list[VidsrError]]:
    """The cameras that can be started, complete with paths and digests, and what is missing for others.

    Raises ValueError for a senseless configuration. With `file`, each message names it, the line, the camera and the
    key.
    """
    owner_of: dict[str, str] = {}
    good, errors = list[CameraConfig](), list[VidsrError]()
    for config in configs:
        try:
            _check_camera(config, owner_of, file)
            config = _completed(config)
            _check_learning(config, owner_of, file)
            good.append(config)
        except VidsrError as error:
            errors.append(error)
    neighbours = _segment_dirs(good)
    return tuple(replace(config, neighbours=neighbours) for config in good), errors


def _completed(config: CameraConfig) -> CameraConfig:
    paths = [target.path.absolute() for target in config.targets if target.path and target.text != STDOUT]
    segment_dir = next(filter(_is_segment_dir, paths), None)
    learn_dir = segment_dir / IN_TARGET if segment_dir else None
    if config.learn and config.learn.folder:
        learn_dir = Path(config.learn.folder).absolute()
    return replace(
        config,
        pool=replace(config.pool, timeout_s=POOL_TIMEOUT_S),
        model_digest=_digest(config.stream.model),
        segment_dir=segment_dir,
        playlist=next(filter(is_playlist, paths), None),
        learn_dir=learn_dir if config.learn else None,
    )


def _is_segment_dir(path: Path) -> bool:
    return not is_video(path) and not is_playlist(path)


def _digest(model: str) -> str:
    """The SHA-256 of a model file; "" for a model of the zoo."""
    path = Path(model)
    return hashlib.sha256(path.read_bytes()).hexdigest() if os.path.isfile(path) else ""


def _check_camera(config: CameraConfig, owner_of: dict[str, str], file: Path | None) -> None:
    with _prefixed(file, config.name, "source"):
        _check_source(config.source, realtime=config.stream.realtime)
    for target in config.targets:
        with _prefixed(file, config.name, "targets"):
            _check_target(target)
            if target.text == STDOUT and file:
                raise ValueError("- is the standard output, which `vidsr stream SOURCE -` writes to, for one camera")
            resolved = os.path.realpath(target.text) if target.path else target.text
            if resolved in owner_of:
                raise ValueError(f"{target}: is already a target of {owner_of[resolved]}")
            owner_of[resolved] = config.name
    with _prefixed(file, config.name, "codec"):
        check_settings(replace(config.encode, codec=config.encode.encoder))
    with _prefixed(file, config.name, "model"):
        if config.stream.model != AUTO:
            with_strength(load_model(config.stream.model, config.stream.scale), config.stream.strength)


@contextmanager
def _prefixed(file: Path | None, camera: str, key: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, VidsrError) as error:
        kind = ValueError if isinstance(error, ValueError) else type(error)
        text = f"{file}: {camera}: {key}: {error}{line_of_key(file, camera, key)}" if file else str(error)
        raise kind(text) from error


def _check_learning(config: CameraConfig, owner_of: dict[str, str], file: Path | None) -> None:
    if not config.learn:
        return
    table = f"{config.name}.learn"
    with _prefixed(file, table, "main"):
        if config.main:
            _check_source(config.main, realtime=config.stream.realtime)
            if config.main.text == config.source.text:
                raise ValueError(f"{config.main}: is the source itself, from which nothing can be learned")
        elif not config.record.keeps_original or not config.segment_dir:
            main, original = ("", "original = true") if file else ("--main ", "--original")
            raise ValueError(
                f"{main}missing: without the camera's main stream it learns from its own originals, which needs "
                f"{original} and a folder of segments among the targets"
            )
    with _prefixed(file, table, "folder"):
        if not config.learn_dir:
            raise ValueError("missing: it is needed where no target is a folder of segments")
        _check_folder(config.learn_dir, config.learn_dir)
        resolved = os.path.realpath(config.learn_dir)
        if resolved in owner_of:
            raise ValueError(f"{config.learn_dir}: is already used by {owner_of[resolved]}")
        owner_of[resolved] = config.name


def _segment_dirs(configs: Iterable[CameraConfig]) -> dict[Path, float]:
    """The targets that are directories of segments, and the GB that each keeps."""
    paths = ((target.path, config.record.keep_at_least_gb) for config in configs for target in config.targets)
    return {path: floor_gb for path, floor_gb in paths if path and path != Path(STDOUT) and _is_segment_dir(path)}


def _check_source(source: StreamUrl, *, realtime: bool) -> None:
    _check_url(source, SOURCE_SCHEMES)
    if not source.path or source.is_device:
        return
    if not realtime:
        raise ValueError(f"{source}: is not the URL of a camera; --realtime plays a file as if it were one")
    try:
        mode = source.path.stat().st_mode
    except OSError as error:
        raise SourceError(f"{source}: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise SourceError(f"{source}: is no file")


def _check_target(target: StreamUrl) -> None:
    _check_url(target, TARGET_SCHEMES)
    if not (path := target.path) or target.text == STDOUT:
        return
    if not is_video(path) and not is_playlist(path):
        _check_folder(path, target)
        return
    if is_video(path):
        container_for(path)
    if os.path.isdir(path):
        raise TargetError(f"{target}: is already a folder")
    _check_writable(path.absolute().parent, target)


def _check_folder(path: Path, target: StreamUrl | Path) -> None:
    if os.path.exists(path) and not os.path.isdir(path):
        raise TargetError(f"{target}: is already a file")
    _check_writable(path.absolute(), target)


def _check_writable(path: Path, target: StreamUrl | Path) -> None:
    """Raises TargetError, for `target`, unless the folder can be made and written into."""
    folder = next(above for above in (path, *path.parents) if os.path.exists(above))
    if not os.path.isdir(folder):
        raise TargetError(f"{target}: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        raise TargetError(f"{target}: {folder} is not writable")


def _check_url(url: StreamUrl, schemes: tuple[str, ...]) -> None:
    if not url.text:
        raise ValueError("a source or target is empty")
    if not url.scheme:
        return
    if url.scheme not in schemes:
        raise ValueError(f"{url}: must be a path or begin with one of {', '.join(f'{each}://' for each in schemes)}")
    if (port := re.search(r":(\d+)$", str(url))) and int(port[1]) > _MAX_PORT:
        raise ValueError(f"{url}: the port must be at most {_MAX_PORT}")
    if not url.is_wellformed:
        raise ValueError(
            f"{url}: is not a valid URL; in the user name, the password and after the host write / as %2F, "
            "? as %3F, # as %23 and @ as %40"
        )
