"""Packages that not everybody has."""

from collections.abc import Generator
from contextlib import contextmanager

from vidsr.cli.messages import UsageError


@contextmanager
def needs(package: str, extra: str) -> Generator[None]:
    """Around an import that takes a package of an extra: UsageError says what to install when it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise UsageError(f"this takes the package {package}: pip install 'vidsr[{extra}]'") from error
