"""The checks of camera configurations before any work."""

import os
from collections.abc import Iterable

from vidsr.errors import SourceError, TargetError
from vidsr.live.config import CameraConfig
from vidsr.media.containers import container_for
from vidsr.media.encoders import encoder_options
from vidsr.media.sink.sink_factory import is_playlist, is_video
from vidsr.model.zoo import load_model
from vidsr.model_selection import AUTO
from vidsr.stream_url import SOURCE_SCHEMES, TARGET_SCHEMES, StreamUrl


def check_cameras(configs: Iterable[CameraConfig]) -> None:
    """Raises ValueError for senseless configurations, and SourceError, TargetError or ModelError for missing files."""
    owner_of: dict[str, str] = {}
    for config in configs:
        _check_source(config)
        for target in config.targets:
            _check_target(target)
            resolved = os.path.realpath(target.text) if target.path else target.text
            if resolved in owner_of:
                raise ValueError(f"{target}: is already a target of {owner_of[resolved]}")
            owner_of[resolved] = config.name
        encoder_options(config.encode, {})
        if config.stream.model != AUTO:
            load_model(config.stream.model, config.stream.scale)


def _check_source(config: CameraConfig) -> None:
    source = config.source
    _check_url(source, SOURCE_SCHEMES)
    if not source.path:
        return
    if not config.stream.realtime:
        raise ValueError(f"{source}: is not the URL of a camera; --realtime plays a file as if it were one")
    if not source.path.is_file():
        raise SourceError(f"{source}: no such file")


def _check_target(target: StreamUrl) -> None:
    _check_url(target, TARGET_SCHEMES)
    if not (path := target.path):
        return
    one_file = is_video(path) or is_playlist(path)
    if is_video(path):
        container_for(path)
    if path.exists() and path.is_dir() == one_file:
        raise TargetError(f"{target}: is already a {'folder' if one_file else 'file'}")
    absolute = path.absolute()
    folder = next(above for above in (absolute.parent if one_file else absolute, *absolute.parents) if above.exists())
    if not folder.is_dir():
        raise TargetError(f"{target}: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise TargetError(f"{target}: {folder} is not writable")


def _check_url(url: StreamUrl, schemes: tuple[str, ...]) -> None:
    if not url.text:
        raise ValueError("a source or target is empty")
    if not url.scheme:
        return
    if url.scheme not in schemes:
        raise ValueError(f"{url}: must be a path or begin with one of {', '.join(f'{each}://' for each in schemes)}")
    if not url.is_wellformed:
        raise ValueError(
            f"{url}: is not a valid URL; in the user name, the password and after the host write / as %2F, "
            "? as %3F, # as %23 and @ as %40"
        )
