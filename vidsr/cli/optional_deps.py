"""Packages of the extras."""

from collections.abc import Generator
from contextlib import contextmanager

from vidsr.cli.messages import UsageError


@contextmanager
def require_extra(package: str, extra: str) -> Generator[None]:
    """Around an import of an extra's package: raises UsageError, which says what to install, when it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise UsageError(f"this needs the package {package}: pip install 'vidsr[{extra}]'") from error
