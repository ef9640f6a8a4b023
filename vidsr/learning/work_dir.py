"""The work folder of a learning: its plan and its own links to the moments, so that it resumes whatever is deleted."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from vidsr.errors import TargetError, TrainingError
from vidsr.file_lock import try_lock
from vidsr.learn_dir import MOMENT_MAIN, MOMENT_SOURCE, LearnDir, Moment
from vidsr.media.atomic_file import atomic_write

_PLAN, _LINKS = "plan.json", "moments"


@dataclass(frozen=True, kw_only=True)
class LearnPlan:
    """What a learning begins with, and goes by when it resumes."""

    name: str
    """Of the network."""
    identity: dict[str, object]
    """All else that decides the result, as JSON values: with another, the learning begins again."""
    moments: list[dict[str, object]]
    """The facts of the moments, with the names of their folders."""


class WorkDir:
    """The work folder of a camera, which one process has at a time."""

    def __init__(self, learn_dir: LearnDir) -> None:
        self.learn_dir, self.path = learn_dir, learn_dir.work

    def plan(self) -> LearnPlan | None:
        """The plan of the learning that was interrupted; None without one."""
        try:
            plan = LearnPlan(**json.loads((self.path / _PLAN).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        whole = all(self.source(moment).exists() for moment in self.moments(plan))
        return plan if whole and plan.moments else None

    def begin(self, name: str, identity: dict[str, object], moments: Sequence[Moment]) -> LearnPlan:
        """Begin a learning of those of the moments that are still there, in an empty folder. Raises TargetError."""
        self.clear()
        try:
            (self.path / _LINKS).mkdir(parents=True)
            linked = [moment for moment in moments if self._link(moment)]
        except OSError as error:
            raise TargetError(f"{error.filename2 or error.filename}: {error.strerror}") from error
        plan = LearnPlan(name=name, identity=identity, moments=[_facts(moment) for moment in linked])
        with atomic_write(self.path / _PLAN) as file:
            file.write(json.dumps(asdict(plan)).encode())
        return plan

    def _link(self, moment: Moment) -> bool:
        """Whether the files of the moment were there to be linked. Raises OSError."""
        try:
            _link(moment.folder / MOMENT_SOURCE, self.source(moment))
            if moment.has_main:
                _link(moment.folder / MOMENT_MAIN, self.main(moment))
        except FileNotFoundError:
            return False
        return True

    def moments(self, plan: LearnPlan) -> list[Moment]:
        """The moments of the plan."""
        folders = self.learn_dir.path / "moments"
        return [Moment(**{**facts, "folder": folders / str(facts["folder"])}) for facts in plan.moments]  # type: ignore[arg-type]

    def source(self, moment: Moment) -> Path:
        """The link to the recorded source of a moment; its stem is the name of the moment."""
        return self.path / _LINKS / f"{moment.folder.name}.mkv"

    def main(self, moment: Moment) -> Path:
        """The link to the recorded main stream of a moment."""
        return self.path / _LINKS / f"{moment.folder.name}.main.mkv"

    def clear(self) -> None:
        """Remove what is in the folder."""
        for child in [*self.path.iterdir()] if self.path.exists() else []:
            with suppress(OSError):
                shutil.rmtree(child) if child.is_dir() else child.unlink()

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The folder, made if missing, is this process's. Raises TrainingError if another one has it, TargetError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise TargetError(f"{self.path}: {error.strerror}") from error
        try:
            if not try_lock(handle):
                raise TrainingError(f"{self.path}: another process learns there")
            yield
        finally:
            os.close(handle)


def _facts(moment: Moment) -> dict[str, object]:
    return {**asdict(moment), "folder": moment.folder.name}


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)
