"""The command line: `vidsr upscale`, `vidsr evaluate`, `vidsr compare`, `vidsr info`."""

from vidsr.cli.main import main

__all__ = ["main"]
