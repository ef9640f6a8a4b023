"""The state of a training run across its stages: progress for the caller, log entries for the run directory."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from vidsr.training.loop import LogEntry, TrainState
from vidsr.training.run_dir import Config, write_log
from vidsr.training.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class TrainProgress:
    """The progress of a training after a step."""

    step: int
    steps: int
    loss: float
    psnr: float | None
    """The last measurement on the validation set, in dB."""


@dataclass(kw_only=True)
class RunState:
    """The completed stages of a training run, and the current one."""

    run_dir: Path
    config: Config
    schedules: list[Schedule]
    on_step: Callable[[TrainProgress], None]
    stages: list[list[LogEntry]] = field(default_factory=list)
    step: int = 0
    """Steps of the completed stages."""
    finished: bool = False
    """Whether the last stage is complete."""

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return sum(schedule.steps for schedule in self.schedules)

    @property
    def psnr(self) -> float | None:
        """The last measurement, in dB."""
        entries = [entry for stage in self.stages for entry in stage]
        return entries[-1].psnr if entries else None

    @property
    def seconds(self) -> float:
        """Seconds of training, interruptions excluded."""
        return sum(stage[-1].seconds for stage in self.stages if stage)

    @property
    def logged_steps(self) -> int:
        """Steps up to the last log entry of each stage: the steps that `seconds` covers."""
        return sum(stage[-1].step for stage in self.stages if stage)

    def begin_stage(self) -> None:
        """Start the next stage."""
        self.stages.append([])

    def record_step(self, state: TrainState, loss: float) -> None:
        """Report a step, and log a new measurement."""
        if len(state.history) > len(self.stages[-1]):
            self.stages[-1] = list(state.history)
            write_log(self.run_dir, self.config, self.stages)
        self.on_step(TrainProgress(step=self.step + state.step, steps=self.steps, loss=loss, psnr=self.psnr))

    def end_stage(self, state: TrainState) -> bool:
        """End the stage, complete or stopped; returns whether it is complete."""
        self.stages[-1] = list(state.history)
        self.step += state.step
        complete = self.schedules[len(self.stages) - 1].is_over(state.step, state.scores)
        self.finished = complete and len(self.stages) == len(self.schedules)
        return complete
