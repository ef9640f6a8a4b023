"""One parser, one try: what the world did wrong becomes a sentence and an exit code, a bug stays a traceback."""

import argparse
import importlib
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence

import vidsr
from vidsr.cli.messages import UsageError, print_message
from vidsr.cli.options import Parser
from vidsr.errors import STOPPED, USAGE, VidsrError, exit_code
from vidsr.redaction import Redactor
from vidsr.stream_url import StreamUrl

_COMMANDS = {
    "upscale": "upscale",
    "stream": "stream",
    "evaluate": "evaluate",
    "compare": "compare",
    "models": "models",
    "tune": "tune",
    "bench": "bench",
    "finetune": "finetune",
    "train": "train",
    "dataset": "dataset",
    "degrade": "degrade",
    "export": "export",
    "import": "import_",
    "calibrate": "calibrate",
    "info": "info",
}
"""Each command and the module that declares it, as they are listed. Only what is asked for is loaded: all take half a
second more."""


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 done, 2 usage, 3 source, 4 target, 5 model, 6 pool, 7 damaged, 128 + signal stopped."""
    args = argparse.Namespace(verbose=False)
    words = sys.argv[1:] if arguments is None else arguments
    try:
        build_parser(words[:1]).parse_args(words, args)
        _set_up_output(args)
        return int(args.run(args))
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


def build_parser(words: Sequence[str] = ()) -> Parser:
    """The command line of the commands among the `words`, the whole one where there is none."""
    parser = Parser(prog="vidsr", description=vidsr.__doc__)
    parser.add_argument("--version", action="version", version=f"vidsr {vidsr.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in [_COMMANDS[word] for word in words if word in _COMMANDS] or _COMMANDS.values():
        importlib.import_module(f"vidsr.cli.{module}").add(commands)
    return parser


def _set_up_output(args: argparse.Namespace) -> None:
    for printed in (sys.stdout, sys.stderr):
        if isinstance(printed, io.TextIOWrapper):
            printed.reconfigure(errors="backslashreplace")  # the name of a file need not be text
    level = logging.ERROR if args.quiet else logging.INFO if args.verbose else logging.WARNING
    logging.basicConfig(level=level, format="vidsr: %(message)s")
    os.environ.setdefault("SVT_LOG", "0")  # SVT-AV1 has no other way to be told to keep its errors to itself
