"""Look at what cameras learn of their scenes, ask for it now, or undo it.

  vidsr learn status recordings/
  vidsr learn now recordings/ --camera front-door
  vidsr learn undo recordings/ --camera front-door

A FOLDER is the target of a camera that learns, or holds those of several; or a folder that a camera was given to learn
in. `vidsr stream` does the work: `now` has it learn at any hour, `undo` has it use the network before the present one.
With --json, all three print what `status` does, after what they have done.
"""

import argparse
import dataclasses
import json
import os
import time
from datetime import datetime
from pathlib import Path

from vidsr.cli.options import Parser
from vidsr.cli.output import UsageError, aligned, print_message
from vidsr.errors import SourceError
from vidsr.learn_dir import IN_TARGET, LearnDir, LearnedNetwork

_EVENTS = 5


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    parser.intermixed = True
    parser.add_argument("action", choices=("status", "now", "undo"), metavar="ACTION", help="status, now or undo")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the target of a camera, or of several")
    parser.add_argument("--camera", metavar="NAME", help="the camera, where FOLDER holds several")


def run(args: argparse.Namespace) -> int:
    """Print, request or undo."""
    found = _learn_dirs(args.folder)
    if args.camera:
        if args.camera not in found:
            raise UsageError(f"{args.folder}: no camera {args.camera!r} learns; there are {', '.join(sorted(found))}")
        found = {args.camera: found[args.camera]}
    if args.action == "status":
        _print_status(found, as_json=args.json)
        return 0
    if len(found) > 1:
        raise UsageError(f"{args.folder} holds several cameras: choose one by --camera ({', '.join(sorted(found))})")
    ((name, learn_dir),) = found.items()
    if args.action == "now":
        learn_dir.request()
        print_message(f"{name}: `vidsr stream` learns a network as soon as no camera needs the CPU")
    else:
        print_message(f"{name}: {_undo(learn_dir)}")
    if args.json:
        _print_status(found, as_json=True)
    return 0


def _learn_dirs(folder: Path) -> dict[str, LearnDir]:
    """What each camera learns in, by its name. Raises SourceError if none does."""
    places = {folder.resolve().name: folder}
    if not _is_learn_dir(folder):
        places = {folder.resolve().name: folder / IN_TARGET}
        try:
            places |= {child.name: child / IN_TARGET for child in sorted(folder.iterdir()) if os.path.isdir(child)}
        except OSError as error:
            raise SourceError(f"{folder}: {error.strerror}") from error
    if not (found := {name: LearnDir(path) for name, path in places.items() if _is_learn_dir(path)}):
        raise SourceError(
            f"{folder}: no camera has collected or learned anything here yet; one that learns begins when its `vidsr "
            "stream` leaves CPU time free"
        )
    return found


def _is_learn_dir(folder: Path) -> bool:
    return any(os.path.exists(folder / name) for name in ("moments", "networks", "events.jsonl"))


def _undo(learn_dir: LearnDir) -> str:
    """Have the accepted network before the present one used, else the general one; returns a sentence."""
    if not (gone := learn_dir.current()):
        return "the general network is in use already"
    is_own = learn_dir.undo(gone.name, now_s=time.time())
    used = current.name if (current := learn_dir.current()) else "the general network"
    return f"{used} is used instead of {gone.name}" + ("" if is_own else ": another command was faster")


def _print_status(found: dict[str, LearnDir], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({name: _facts(learn_dir) for name, learn_dir in found.items()}, default=str))
        return
    for name, learn_dir in found.items():
        current, moments = learn_dir.current(), learn_dir.moments()
        print(f"{name}: {current.name if current else 'the general network'} is in use")
        size = f"{len(moments)} moments, {sum(moment.size for moment in moments) / 1e6:.0f} MB"
        print(f"{size}, since {_time(moments[0].time_s)}" if moments else size)
        if learn_dir.is_requested:
            print("a network is asked for, and not learned yet")
        if since_s := learn_dir.waiting_since_s:
            print(f"learning waits for CPU time since {_time(since_s)}")
        if networks := learn_dir.networks():
            print(_table(networks, in_use=current.name if current else ""))
        for event in learn_dir.events()[-_EVENTS:]:
            print(f"{_time(event['time_s'])}  {event['event']}")


def _table(networks: list[LearnedNetwork], *, in_use: str) -> str:
    head = ["network", "", "gain where it moves", "on the whole", "reason"]
    rows = [
        [
            each.name,
            "in use" if each.name == in_use else "",
            f"{each.proof.moving_gain:+.2f} dB",
            f"{each.proof.whole_gain:+.2f} dB",
            each.proof.reason,
        ]
        for each in networks
    ]
    return aligned([head, *rows], text_columns=len(head))


def _facts(learn_dir: LearnDir) -> dict[str, object]:
    current = learn_dir.current()
    return {
        "current": current.name if current else None,
        "moments": [dataclasses.asdict(each) for each in learn_dir.moments()],
        "networks": [dataclasses.asdict(each) for each in learn_dir.networks()],
        "gains": [dataclasses.asdict(each) for each in learn_dir.gains()],
        "events": learn_dir.events(),
        "requested": learn_dir.is_requested,
        "waiting_since_s": learn_dir.waiting_since_s or None,
    }


def _time(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s):%Y-%m-%d %H:%M:%S}"
