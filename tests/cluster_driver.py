"""A run of a film on a cluster, by a process that tells how far it is, and what a fault in the middle of it costs."""

import hashlib
import json
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from clusters import Cluster
from made import make_clip

SEGMENTS, FRAMES = 36, 30
LENGTH = SEGMENTS * FRAMES
MOST_S = 15.0
"""From a fault to the moment at which others do the work."""
DRIVER = """
import json, logging, sys, time
from pathlib import Path
import vidsr
from vidsr.errors import VidsrError
from vidsr.segments import plan
from vidsr.settings import PoolSettings, UpscaleSettings

def say(**facts):
    print(json.dumps(facts), flush=True)

logging.basicConfig(format="%(created)f %(message)s")
plan.MIN_SECONDS = 0.9
began, (source, target) = time.monotonic(), map(Path, sys.argv[1:3])
settings = UpscaleSettings(model="fsrcnn-narrow-x2", segments=True, overwrite=True)
try:
    report = vidsr.upscale(
        source,
        target,
        settings=settings,
        pool=PoolSettings(ray_address="auto", threads=1),
        on_progress=lambda done, total: say(done=done, at_s=time.monotonic() - began),
    )
    say(frames=report.frames_written, damage=report.damage, workers=report.workers)
except VidsrError as error:
    say(error=str(error))
"""


@dataclass
class Driver:
    """A run on the cluster, and what it said."""

    process: "subprocess.Popen[str]"
    facts: list[dict[str, object]] = field(default_factory=list)

    def hear(self, *, until_done: int | None = None) -> None:
        """Read what it says, up to so many frames, or to its end."""
        assert self.process.stdout
        while until_done is None or self.done < until_done:
            assert select.select([self.process.stdout], [], [], 100)[0], self.facts[-3:]
            if not (line := self.process.stdout.readline()):
                assert until_done is None, self.log()
                return
            self.facts.append(json.loads(line))

    @property
    def done(self) -> int:
        """The frames so far."""
        return max((int(str(fact["done"])) for fact in self.facts if "done" in fact), default=0)

    @property
    def seconds(self) -> float:
        """From the first frames to the last."""
        times = [float(str(fact["at_s"])) for fact in self.facts if "at_s" in fact]
        return times[-1] - times[0]

    def seconds_until(self, done: int) -> float:
        """From the first frames to so many."""
        times = [float(str(fact["at_s"])) for fact in self.facts if int(str(fact.get("done", 0))) >= done]
        return times[0] - float(str(self.facts[0]["at_s"]))

    def log(self) -> str:
        """What it logged, after its end."""
        assert self.process.stderr
        return self.process.stderr.read()


@contextmanager
def driver(cluster: Cluster, film: Path, target: Path, *, on: str = "head") -> Iterator[Driver]:
    command = cluster.command([sys.executable, "-c", DRIVER, str(film), str(target)], on=on)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=cluster.environment(), text=True, stdout=pipe, stderr=pipe) as process:
        try:
            yield Driver(process)
        finally:
            process.kill()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass
class Whole:
    """The film, and its run that no fault hits."""

    film: Path
    digest: str
    seconds: float


def whole_run(cluster: Cluster, folder: Path) -> Whole:
    """A film of SEGMENTS times FRAMES with sound, upscaled by three nodes."""
    pts = [512 * number for number in range(LENGTH)]
    film = make_clip(folder / "film.mp4", pts=pts, size=(192, 128), options={"g": str(FRAMES)}, audio=1)
    with driver(cluster, film, folder / "whole.mp4") as run:
        run.hear()
        assert run.facts[-1] == {"frames": LENGTH, "damage": [], "workers": 3}, run.log()
    return Whole(film, digest(folder / "whole.mp4"), run.seconds)


@dataclass
class Struck:
    """A run that a fault has hit after `at_frame`."""

    at_frame: int
    workers: object
    log: str
    noticed_after_s: float
    longer_s: float


def struck_run(
    cluster: Cluster, whole: Whole, target: Path, strike: Callable[[], None], *, at_frame: int, wait_s: float = 0.0
) -> Struck:
    """Upscales the film, strikes, and requires that it is soon noticed, and the target the same."""
    with driver(cluster, whole.film, target) as run:
        run.hear(until_done=at_frame)
        time.sleep(wait_s)
        struck_s = time.time()
        strike()
        run.hear()
        log = run.log()
    stamps = [float(stamp) for stamp in re.findall(r"^(\d+\.\d+) ", log, re.MULTILINE)]
    noticed_s = max(0.0, stamps[0] - struck_s) if stamps else 0.0
    assert run.facts[-1].get("frames") == LENGTH, (run.facts[-1], log)
    assert digest(target) == whole.digest
    assert noticed_s < MOST_S, log
    return Struck(
        at_frame=at_frame,
        workers=run.facts[-1]["workers"],
        log=re.sub(r"^\d+\.\d+ ", "", log, flags=re.MULTILINE),
        noticed_after_s=round(noticed_s, 1),
        longer_s=round(run.seconds - whole.seconds, 1),
    )
