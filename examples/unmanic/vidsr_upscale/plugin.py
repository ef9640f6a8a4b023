"""Unmanic: upscales the small videos of a library by the command vidsr, which may be installed anywhere.

To be copied, with its folder, into ~/.unmanic/plugins/. The command must be found by Unmanic, or named by its path.
"""

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from unmanic.libs.unplugins.settings import PluginSettings

DONE, SOURCE = 0, 3  # exit codes of vidsr; with any other, 7 for damaged frames too, the original stays


class Settings(PluginSettings):
    """What Unmanic shows in the form of the plugin."""

    settings: ClassVar = {"command": "vidsr", "up to height": "576", "options": "--to 1080p"}


def vidsr(library_id: int | None, *words: str) -> list[str]:
    """The command with its arguments."""
    return [*shlex.split(Settings(library_id=library_id).get_setting("command")), *words]


def on_library_management_file_test(data: dict, **helpers: object) -> None:
    """Queue videos up to a height; what has been upscaled is above it."""
    library_id = data.get("library_id")
    found = subprocess.run(vidsr(library_id, "info", "--json", data["path"]), capture_output=True, text=True)
    if found.returncode == SOURCE:
        return  # no video: others may want it
    if found.returncode != DONE:
        raise RuntimeError(found.stderr.strip())  # Unmanic logs it
    facts = json.loads(found.stdout)
    most = int(Settings(library_id=library_id).get_setting("up to height"))
    if not facts["still"] and min(facts["width"], facts["height"]) <= most:
        data["add_file_to_pending_tasks"] = True


def on_worker_process(data: dict, **helpers: object) -> None:
    """Have Unmanic run vidsr: its messages go into the log of the task, its exit code decides."""
    library_id = data.get("library_id")
    data["file_out"] = str(Path(data["file_out"]).with_suffix(".mkv"))  # which holds every kind of stream
    options = shlex.split(Settings(library_id=library_id).get_setting("options"))
    words = ["upscale", "--quiet", "--progress", "json", "--overwrite", *options, data["file_in"], data["file_out"]]
    data["exec_command"] = vidsr(library_id, *words)
    data["command_progress_parser"] = progress_parser()


def progress_parser() -> Callable[[str], dict[str, str]]:
    """A parser of the lines of `--progress json`, which remembers the last of them."""
    percent = 0

    def parse(line: str) -> dict[str, str]:
        nonlocal percent
        if line.startswith("{"):
            facts = json.loads(line)
            percent = int(100 * facts["frames"] / facts["total"]) if facts["total"] else percent
        return {"percent": str(percent)}

    return parse
