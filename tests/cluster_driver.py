"""A run of a film on a cluster, by a process that tells how far it is."""

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from clusters import Cluster

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
