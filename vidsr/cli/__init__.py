"""The command line: one module per command; what the world did wrong becomes a sentence and an exit code."""

import argparse
import io
import logging
import os
import re
import signal
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING

import vidsr
from vidsr.cli.crash_guard import Journal, run_guarded
from vidsr.cli.output import UsageError, null_stream, print_message
from vidsr.errors import STOPPED, TARGET, USAGE, VidsrError, exit_code
from vidsr.redaction import Redactor
from vidsr.stream_url import StreamUrl

if TYPE_CHECKING:
    from vidsr.cli.options import Parser

_COMMANDS = ("upscale", "watch", "stream", "recordings", "learn", "evaluate", "compare", "models", "tune", "bench",
             "finetune", "train", "dataset", "degrade", "export", "import", "calibrate", "info")  # fmt: skip
"""As they are listed, each a module here. Only what is asked for is loaded: all take half a second more."""


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 done, 2 usage, 3 source, 4 target, 5 model, 6 pool, 7 damaged, 128 + signal stopped.

    Without `arguments` they are those of the process, and a crash of a native library has a sentence, too.
    """
    _open_standard_streams()
    words = sys.argv[1:] if arguments is None else arguments
    with Journal() as journal:
        if arguments is None and "stream" not in words[:1]:  # whose cameras have processes of their own
            return run_guarded(partial(_run, words), journal)
        return _run(words, journal)


def _run(words: list[str], journal: Journal) -> int:
    args = argparse.Namespace(verbose=False, journal=journal)
    try:
        _check_words(words)
        _, unknown = build_parser(words[:1]).parse_known_args(words, args)
        if unknown:
            raise UsageError(f"unrecognized arguments: {' '.join(unknown)}; see vidsr {words[0]} --help")
        _set_up_output(args)
        code = int(args.run(args))
        sys.stdout.flush()
        return code
    except UsageError as error:  # whose words may be argparse's, which quote what they do not understand
        print_message(Redactor(map(StreamUrl, words)).redact(str(error)))
        return USAGE
    except VidsrError as error:
        print_message(error, because=error.__cause__ if args.verbose else None)
        return exit_code(error)
    except KeyboardInterrupt:
        return STOPPED + signal.SIGINT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains again at its end
        return STOPPED + signal.SIGPIPE
    except OSError as error:
        if type(error) is not OSError or error.filename:  # FFmpeg's errors, and those of files, are others
            raise
        print_message(f"standard output: {error.strerror}")
        sys.stdout = null_stream("w")
        return TARGET


def _check_words(words: list[str]) -> None:
    """Raises UsageError for an empty word: as a path it would be the current directory."""
    empty = next((word for word in words if not word or re.fullmatch("--[a-z-]+=", word)), None)
    if empty is not None:
        subject = f"{empty[:-1]} is" if empty else "an argument is"
        raise UsageError(f"{subject} empty; is a variable unset?")


def build_parser(words: Sequence[str] = ()) -> "Parser":
    """The command line of the commands among the `words`, the whole one where there is none.

    The docstring of a command's module is its description, and the first clause of it its line in the list.
    """
    from vidsr.cli.options import Parser, mark_paths  # numpy and its threads, in the child only

    parser = Parser(prog="vidsr", description=vidsr.__doc__)
    parser.add_argument("--version", action="version", version=f"vidsr {vidsr.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in [word for word in words if word in _COMMANDS] or _COMMANDS:
        module = import_module(f"vidsr.cli.{name}{'_' if iskeyword(name) else ''}")
        description = str(module.__doc__)
        summary = re.split("[;:.]", description, maxsplit=1)[0]
        command = commands.add_parser(
            name,
            help=summary[0].lower() + summary[1:],
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        _add_output(command, json=name != "stream")  # which has no result
        mark_paths(command)
        command.set_defaults(run=module.run)
    return parser


def _add_output(parser: "Parser", *, json: bool) -> None:
    group = parser.add_argument_group("output")
    if json:
        group.add_argument("--json", action="store_true", help="print the result as JSON")
    group.add_argument("-v", "--verbose", action="store_true", help="print more, and the causes of errors")
    group.add_argument("-q", "--quiet", action="store_true", help="print errors only")


def _open_standard_streams() -> None:
    """Open what is closed of stdin, stdout and stderr, or the next file to be opened would receive the messages."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, null_stream(mode))


def _set_up_output(args: argparse.Namespace) -> None:
    for printed in (sys.stdout, sys.stderr):
        if isinstance(printed, io.TextIOWrapper):
            printed.reconfigure(errors="backslashreplace")  # the name of a file need not be text
    level = logging.ERROR if args.quiet else logging.INFO if args.verbose else logging.WARNING
    logging.basicConfig(level=level, format="vidsr: %(message)s")
    os.environ.setdefault("SVT_LOG", "0")  # no option of SVT-AV1 silences its errors
