"""Upscale each new file of a folder into another folder, until stopped.

  vidsr watch incoming/ upscaled/
  vidsr watch --done archive/ --failed failed/ --codec libx265 /mnt/nas/in /mnt/nas/out

A file is read when it has stopped growing; folders in the folder are watched, too. The log `.vidsr-watch.jsonl` in the
folder of the targets records the finished files: after a restart no file is upscaled twice. A file that was
interrupted, or that failed for a reason outside itself, is upscaled again. It waits for a missing share and for a full
disk. SIGTERM and Ctrl-C end it with exit code 0.
"""

import argparse
import logging
import stat
import time
from functools import partial
from pathlib import Path

from vidsr.cli.folder_watcher import IDLE, FolderWatcher
from vidsr.cli.options import Parser, add_options, settings
from vidsr.cli.output import UsageError
from vidsr.cli.signals import GracefulStop
from vidsr.cli.upscale import add_progress, add_settings
from vidsr.engine.precision import check_precision
from vidsr.media.encoders import check_settings
from vidsr.media.open_input import FORMATS
from vidsr.model.weights import with_strength
from vidsr.model.zoo import load_model
from vidsr.model_selection import AUTO
from vidsr.pipeline import upscale
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings, WatchSettings
from vidsr.watch import WatchLog

log = logging.getLogger(__name__)

_NAP_S = 0.2  # until a signal is seen


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    parser.usage = "vidsr watch [options] SOURCE TARGET"
    parser.add_argument("source", metavar="SOURCE", type=Path, help="the folder to watch")
    parser.add_argument("target", metavar="TARGET", type=Path, help="the folder to write into")
    add_options(parser.add_argument_group("watching"), WatchSettings)
    add_settings(parser)
    add_progress(parser)


def run(args: argparse.Namespace) -> int:
    """Watch until a signal arrives."""
    watch = settings(WatchSettings, args)
    _check_folders(args.source, (args.target, *map(Path, filter(None, (watch.done, watch.failed)))))
    encode, pool = settings(EncodeSettings, args), settings(PoolSettings, args)
    _check_options(settings(UpscaleSettings, args), encode, pool)
    work = partial(upscale, encode=encode, pool=pool, on_warning=log.warning)
    with WatchLog(args.target) as record, GracefulStop(IDLE) as stop:
        watcher = FolderWatcher(args, watch, record, stop, work)
        watcher.note_crashes()
        while not stop():
            watcher.look()
            until_s = time.monotonic() + watch.interval_s
            while not stop() and time.monotonic() < until_s:
                time.sleep(min(_NAP_S, watch.interval_s))
    return 0


def _check_folders(source: Path, written: tuple[Path, ...]) -> None:
    """Raises UsageError for what is no folder, and where what is written could lie in the watched folder as if new."""
    for folder in (source, *written):
        try:
            is_folder = stat.S_ISDIR(folder.stat().st_mode)
        except OSError as error:
            missing = "there is no such folder; make it, or mount the share that it is on"
            what = missing if isinstance(error, FileNotFoundError) else error.strerror
            raise UsageError(f"{folder}: {what}") from error
        if not is_folder:
            raise UsageError(f"{folder}: is no folder")
    for folder in written:
        if source.resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"{folder}: is the watched folder itself, or holds it; choose a folder apart from it")


def _check_options(chosen: UpscaleSettings, encode: EncodeSettings, pool: PoolSettings) -> None:
    """Raises UsageError, TargetError or ModelError for options with which every file would fail."""
    if chosen.output_format:
        raise UsageError("--output-format is for a target of -, not for files")
    if chosen.input_format not in (None, *FORMATS):
        raise UsageError(f"--input-format: no format is named {chosen.input_format!r}")
    check_settings(encode)
    if chosen.model != AUTO:
        weights = with_strength(load_model(chosen.model, chosen.scale), chosen.strength)
        check_precision(pool.precision, weights)
