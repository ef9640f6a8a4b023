"""Work in a child process, so that a crash of a native library costs one file, which gets a sentence."""

import fcntl
import json
import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from vidsr.child_process import end_with_parent
from vidsr.cli.output import print_message
from vidsr.errors import SOURCE, STOPPED

_FORWARDED = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
_SI_USER = 0  # sent by a process; signals of the terminal reach the child, too


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How the work on a target ended."""

    source: str
    code: int
    """The exit code."""
    sentence: str = ""


class Journal:
    """The outcomes of a batch by their targets, in memory that outlives the process that works; closed by `with`."""

    def __init__(self) -> None:
        self._file = os.memfd_create("vidsr-journal")
        # Unlike other files, these do not lock their position: of two threads one would write over the other.
        fcntl.fcntl(self._file, fcntl.F_SETFL, os.O_APPEND)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._file)

    def begin(self, source: Path, target: Path, part: Path) -> None:
        """Note that the work on a target begins, which writes into `part`."""
        self._add(str(target), begun=[str(source), str(part)])

    def end(self, target: Path | str, outcome: Outcome) -> None:
        """Note how it ended."""
        self._add(str(target), ended=vars(outcome))

    def finish(self, code: int) -> int:
        """Note that all work is done, with this exit code; returns it."""
        self._add("", code=code)
        return code

    @property
    def code(self) -> int | None:
        """The exit code of all work; None before its end."""
        return next((int(entry["code"]) for entry in self._entries() if "code" in entry), None)

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """The outcomes so far, by target."""
        return {entry["target"]: Outcome(**entry["ended"]) for entry in self._entries() if "ended" in entry}

    def put_off(self, target: Path) -> None:
        """Note that the work on it begins once more later."""
        self._add(str(target), put_off=True)

    @property
    def suspects(self) -> list[Path]:
        """The targets in work at a crash that one of several has caused, and that have not ended since."""
        entries, ended = self._entries(), self.outcomes
        named = [target for entry in entries for target in entry.get("suspects", ())]
        return [Path(target) for target in dict.fromkeys(named) if target not in ended]

    def suspect(self, targets: Iterable[str]) -> None:
        """Note that one of these has caused a crash."""
        self._add("", suspects=list(targets))

    def unfinished(self) -> dict[str, tuple[str, str]]:
        """(source, part file) of the targets whose work has begun since the last crash, and has not ended."""
        found: dict[str, tuple[str, str]] = {}
        for entry in self._entries():
            if "suspects" in entry:
                found.clear()
            elif "begun" in entry:
                found[entry["target"]] = (entry["begun"][0], entry["begun"][1])
            else:
                found.pop(entry["target"], None)
        return found

    def _add(self, target: str, **facts: object) -> None:
        os.write(self._file, json.dumps({"target": target, **facts}).encode() + b"\n")

    def _entries(self) -> list[dict[str, Any]]:
        data = os.pread(self._file, os.fstat(self._file).st_size, 0)
        return [json.loads(line) for line in data.splitlines()]


def run_guarded(work: Callable[[Journal], int], journal: Journal) -> int:
    """The exit code of `work`, done in a forked process; after a crash in another one, which goes on behind it.

    In a process with several threads, where a fork is not safe, `work` is done in place.
    """
    if len(os.listdir("/proc/self/task")) > 1:
        return work(journal)
    parent = os.getpid()
    watched = {*_FORWARDED, signal.SIGCHLD}
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # some daemons ignore it, and their children would not be waited for
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    while True:
        if (child := os.fork()) == 0:
            end_with_parent(parent)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return journal.finish(work(journal))
        code = os.waitstatus_to_exitcode(_wait(child, watched))
        if -code not in _CRASHES:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return code if code >= 0 else _report_kill(-code)
        if journal.code is not None:  # a library has crashed at the end of the process, when all was done
            return journal.code
        if not _note_crash(journal, signal.Signals(-code).name):
            return SOURCE


def _wait(child: int, watched: set[signal.Signals]) -> int:
    """The wait status of the child; until then, signals that a process sends are forwarded."""
    while True:
        received = signal.sigwaitinfo(watched)
        if received.si_signo != signal.SIGCHLD:
            if received.si_code == _SI_USER:
                os.kill(child, received.si_signo)
            continue
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status


def _report_kill(number: int) -> int:
    if number == signal.SIGKILL:
        print_message("the process was killed by signal 9: usually for lack of memory (see --max-megapixels)")
    return STOPPED + number


def _note_crash(journal: Journal, name: str) -> bool:
    """Report a crash; whether the work goes on: without the target that has caused it, or with each alone."""
    cause = f"FFmpeg or another native library crashed ({name})"
    unfinished = journal.unfinished()
    if not unfinished:
        print_message(f"{cause}: a file is damaged in a way that it does not survive")
        return False
    if len(unfinished) > 1:
        print_message(f"{cause} on one of the {len(unfinished)} files in work; they are begun again one by one")
        journal.suspect(unfinished)
        return True
    ((target, (source, part)),) = unfinished.items()
    with suppress(OSError):
        if not os.path.samefile(part, source):
            os.unlink(part)
    sentence = f"{source}: {cause} on this file; it is damaged or unusual, and was not upscaled"
    print_message(sentence)
    journal.end(target, Outcome(source=source, code=SOURCE, sentence=sentence))
    return True
