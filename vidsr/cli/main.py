"""One parser, one try: what the world did wrong becomes a sentence and an exit code, a bug stays a traceback."""

import argparse
import logging
import os
import sys

import vidsr
from vidsr.cli import info, upscale
from vidsr.errors import ModelError, SourceError, TargetError, VidsrError, WorkerError

EXIT_USAGE, EXIT_DAMAGED, EXIT_STOPPED = 2, 7, 128
_EXIT_CODES: dict[type[VidsrError], int] = {SourceError: 3, TargetError: 4, ModelError: 5, WorkerError: 6}


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 done, 2 usage, 3 source, 4 target, 5 model, 6 pool, 7 damaged, 128 + signal stopped."""
    args = build_parser().parse_args(arguments)
    logging.basicConfig(
        level=(logging.ERROR if args.quiet else logging.INFO if args.verbose else logging.WARNING),
        format="vidsr: %(message)s",
    )
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 has no other way to be told to speak of errors only
    try:
        return int(args.run(args))
    except VidsrError as error:
        say(error, verbose=args.verbose)
        return exit_code(error)
    except ValueError as error:
        if not isinstance(error, UsageError):
            raise
        print(f"vidsr: {error}", file=sys.stderr)
        return EXIT_USAGE
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains again at its end
        return EXIT_STOPPED + 13


class UsageError(ValueError):
    """What was asked for makes no sense."""


def say(error: VidsrError, *, verbose: bool) -> None:
    """The error in one line, and with -v what caused it."""
    print(f"vidsr: {error}", file=sys.stderr)
    cause = error.__cause__
    while verbose and cause is not None:
        print(f"vidsr:   because of {type(cause).__name__}: {cause}", file=sys.stderr)
        cause = cause.__cause__


def exit_code(error: VidsrError) -> int:
    """The exit code of a fault of the world."""
    return next((code for kind, code in _EXIT_CODES.items() if isinstance(error, kind)), 1)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(prog="vidsr", description=vidsr.__doc__)
    parser.add_argument("--version", action="version", version=f"vidsr {vidsr.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (upscale, info):
        command.add(commands)
    return parser
