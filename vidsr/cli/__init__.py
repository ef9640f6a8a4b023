"""The command line: one file a command."""

from vidsr.cli.main import main

__all__ = ["main"]
