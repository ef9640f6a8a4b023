"""The command line: `vidsr upscale`, `vidsr info`."""

from vidsr.cli.main import main

__all__ = ["main"]
