"""What can be known to be wrong before any work."""

import os
from collections.abc import Iterable

from vidsr.errors import SourceError, TargetError
from vidsr.live.camera_config import Order
from vidsr.media.containers import container_for
from vidsr.media.encoders import encoder_options
from vidsr.media.sink.sink_factory import is_playlist, is_video
from vidsr.model.zoo import load_model
from vidsr.model_selection import AUTO
from vidsr.stream_url import SOURCES, TARGETS, Address


def check_orders(orders: Iterable[Order]) -> None:
    """Raises ValueError for what makes no sense, and SourceError, TargetError or ModelError for what is not there."""
    taken: dict[str, str] = {}
    for order in orders:
        _check_source(order)
        for target in order.targets:
            _check_target(target)
            place = os.path.realpath(target.text) if target.path else target.text
            if place in taken:
                raise ValueError(f"{target}: is a target of {taken[place]} already")
            taken[place] = order.name
        encoder_options(order.encode, {})
        if order.stream.model != AUTO:
            load_model(order.stream.model, order.stream.scale)


def _check_source(order: Order) -> None:
    source = order.source
    _check_spelling(source, SOURCES)
    if not source.path:
        return
    if not order.stream.realtime:
        raise ValueError(f"{source}: is no address of a camera; a file is played as one with --realtime")
    if not source.path.is_file():
        raise SourceError(f"{source}: is no file that is there")


def _check_target(target: Address) -> None:
    _check_spelling(target, TARGETS)
    if not (path := target.path):
        return
    one_file = is_video(path) or is_playlist(path)
    if is_video(path):
        container_for(path)
    if path.exists() and path.is_dir() == one_file:
        raise TargetError(f"{target}: is a {'folder' if one_file else 'file'} already")
    whole = path.absolute()
    folder = next(above for above in (whole.parent if one_file else whole, *whole.parents) if above.exists())
    if not folder.is_dir():
        raise TargetError(f"{target}: {folder} is no folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise TargetError(f"{target}: nothing may be written in {folder}")


def _check_spelling(address: Address, schemes: tuple[str, ...]) -> None:
    if not address.text:
        raise ValueError("an address is empty")
    if not address.scheme:
        return
    if address.scheme not in schemes:
        raise ValueError(f"{address}: is none of {', '.join(f'{scheme}://' for scheme in schemes)} and no path")
    if not address.sound:
        raise ValueError(
            f"{address}: cannot be read; write / as %2F, ? as %3F, # as %23 and @ as %40 in a user's name, a password "
            "and behind the host"
        )
