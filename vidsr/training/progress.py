"""How a training goes: what is told on the way, and what is left in its folder."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from vidsr.training.checkpoint import Moment, State
from vidsr.training.run_dir import Described, write_log
from vidsr.training.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a training is after a step."""

    step: int
    steps: int
    loss: float
    psnr: float | None
    """What the last measurement on the held-out pictures gave, in dB."""


@dataclass(kw_only=True)
class Course:
    """The stretches of a training that lie behind, and the one that is under way."""

    folder: Path
    asked: Described
    plan: list[Schedule]
    watch: Callable[[Progress], None]
    stretches: list[list[Moment]] = field(default_factory=list)
    step: int = 0
    """Steps of the stretches that are done."""
    finished: bool = False
    """Whether the last stretch is over."""

    @property
    def steps(self) -> int:
        """Steps in all."""
        return sum(schedule.steps for schedule in self.plan)

    @property
    def psnr(self) -> float | None:
        """The last measurement, in dB."""
        moments = [moment for stretch in self.stretches for moment in stretch]
        return moments[-1].psnr if moments else None

    @property
    def seconds(self) -> float:
        """Of training, interruptions left out."""
        return sum(stretch[-1].seconds for stretch in self.stretches if stretch)

    @property
    def measured_steps(self) -> int:
        """Steps up to the last measurement of each stretch: those that `seconds` took."""
        return sum(stretch[-1].step for stretch in self.stretches if stretch)

    def begin(self) -> None:
        """A stretch begins."""
        self.stretches.append([])

    def tell(self, state: State, loss: float) -> None:
        """A step of it is done."""
        if len(state.history) > len(self.stretches[-1]):
            self.stretches[-1] = list(state.history)
            write_log(self.folder, self.asked, self.stretches)
        self.watch(Progress(step=self.step + state.step, steps=self.steps, loss=loss, psnr=self.psnr))

    def end(self, state: State) -> bool:
        """The stretch is over, done or stopped; whether it is done."""
        self.stretches[-1] = list(state.history)
        self.step += state.step
        over = self.plan[len(self.stretches) - 1].over(state.step, state.scores)
        self.finished = over and len(self.stretches) == len(self.plan)
        return over
