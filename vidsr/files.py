"""Small files that are there whole or not at all."""

import os
from pathlib import Path

from vidsr.errors import TargetError


def replace_file(path: Path, content: bytes) -> None:
    """Put the content in place of what the file holds, durably. Raises TargetError; then the file is as it was."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise TargetError(f"{path}: {error.strerror}") from error
