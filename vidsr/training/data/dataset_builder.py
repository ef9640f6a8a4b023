"""A corpus of degraded footage: made once, by several processes, in a folder where it goes on after an interruption.

The folder holds `corpus.json`, which says what was asked for, and shards. Each shard is made from the settings, the
footage and its own number alone, so that the same is made by however many processes, in one run or in several.
"""

import json
import math
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path

from vidsr.errors import TargetError, TrainingError, WorkerError
from vidsr.flow import ordered_window
from vidsr.media.atomic_file import atomic_write
from vidsr.settings import CorpusSettings, DegradeSettings
from vidsr.training.data.sampling import Material, survey, visit_of
from vidsr.training.data.shards import CLIPS_OF_A_SHARD, VISITS_OF_A_SHARD, Frames, Made, Shard, make_shard, read_shard
from vidsr.training.data.sources import Footage

_LOG = "corpus.json"
_BESIDE = 16_384  # bytes of a shard beside its pixels: names, recipes


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """What there is of a corpus."""

    folder: Path
    shards: int
    """How many there are, each sound."""
    of: int
    """How many there will be."""
    fresh: int
    """How many this run made."""
    clips: int

    @property
    def finished(self) -> bool:
        """Whether nothing is missing; if something is, the same call goes on."""
        return self.shards == self.of


def make_corpus(
    footage: Sequence[Footage],
    folder: Path,
    degradation: DegradeSettings,
    settings: CorpusSettings = CorpusSettings(),
    *,
    processes: int = 1,
    note: Callable[[str], None] = lambda sentence: None,
    tell: Callable[[int, int], None] = lambda done, of: None,
    stop: Callable[[], bool] = lambda: False,
) -> Corpus:
    """Make the corpus, or what is missing of it; with one process, in this one.

    `note` gets what should be said, `tell` hears how many shards of how many are there, `stop` is asked before each.
    Raises TrainingError when nothing can be made or the folder holds a corpus of other settings or footage,
    TargetError when a shard cannot be written, WorkerError when a process dies: the shards that are there stay.
    ValueError for a bound below one shard, or less than one process.
    """
    if processes < 1:
        raise ValueError(f"processes must be 1 or more, not {processes}")
    of = _shards_within(settings, degradation.scale, note)
    materials = survey(footage, degradation, settings.crop * degradation.scale, note)
    _open_folder(folder, degradation, settings, materials)
    wanted = [_shard(number, folder, degradation, settings, materials) for number in range(of)]
    there = {
        shard.path: len(frames.small)
        for shard in wanted
        if (frames := read_shard(shard.path, crop=shard.crop, scale=degradation.scale))
    }
    clips, done = sum(there.values()), len(there)
    tell(done, of)
    for made in _made((shard for shard in wanted if shard.path not in there and not stop()), processes):
        clips, done = clips + made.clips, done + 1
        for sentence in made.notes:
            note(sentence)
        tell(done, of)
    if done == of and not clips:
        raise TrainingError(f"{folder}: not one clip could be made of {len(materials)} sources")
    return Corpus(folder=folder, shards=done, of=of, fresh=done - len(there), clips=clips)


def shards_of(folder: Path) -> tuple[DegradeSettings, list[Frames]]:
    """What was asked for, and every shard that is there, in order. Raises TrainingError for no sound corpus.

    Of recordings nothing was asked for but their scale.
    """
    try:
        log = json.loads((folder / _LOG).read_text())
        recorded = {"scale": log["recorded"]["scale"]} if "recorded" in log else None
        asked, layout = DegradeSettings(**recorded or log["degradation"]), CorpusSettings(crop=log["crop"])
    except OSError as error:
        raise TrainingError(f"{folder}: holds no corpus ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{folder / _LOG}: describes no corpus ({error})") from error
    found = []
    for path in sorted(folder.glob("shard-*.npz")):
        frames = read_shard(path, crop=layout.crop, scale=asked.scale)
        if frames is None:
            raise TrainingError(f"{path}: is damaged; make the corpus again, and this alone is made anew")
        found.append(frames)
    return asked, found


def _shards_within(settings: CorpusSettings, scale: int, note: Callable[[str], None]) -> int:
    """How many shards hold the clips that are asked for, or fit below the bound, which is said."""
    wanted = math.ceil(settings.clips / CLIPS_OF_A_SHARD)
    size = CLIPS_OF_A_SHARD * settings.crop**2 * (1 + scale**2) + _BESIDE
    room = int(settings.max_gb * 1e9 / size)
    if not room:
        raise ValueError(f"max_gb must be {size / 1e9:.3f} or more for a single shard, not {settings.max_gb:g}")
    if room < wanted:
        clips = room * CLIPS_OF_A_SHARD
        note(f"the corpus stops at {clips} clips of {settings.clips}: more take above {settings.max_gb:g} GB")
    return min(wanted, room)


def _open_folder(
    folder: Path, degradation: DegradeSettings, settings: CorpusSettings, materials: Sequence[Material]
) -> None:
    """Make the folder, or take one in which the same was asked for before; its length and its bound may change."""
    asked = {
        "crop": settings.crop,
        "footage_share": settings.footage_share,
        "files": [_named(each) for each in materials],
    }
    log = folder / _LOG
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = json.loads(log.read_text()) if log.exists() else None
        if before is not None:
            _compare(folder, before["degradation"], asdict(degradation))
            _compare(folder, before, asked)
            return
    except OSError as error:
        raise TargetError(f"{error.filename}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{log}: describes no corpus ({error})") from error
    with atomic_write(log) as file:
        file.write((json.dumps({"degradation": asdict(degradation), **asked}, indent=1) + "\n").encode())


def _named(material: Material) -> list[object]:
    """What tells it from others, as JSON has it."""
    outline, spans = material.outline, [[span.start_s, span.end_s] for span in material.spans]
    parts = [spans, list(material.moments)] if material.spans or material.moments else []
    return [str(material.path), material.size, outline.width, outline.height, *parts]


def _compare(folder: Path, before: dict[str, object], asked: dict[str, object]) -> None:
    for name, value in asked.items():
        if before.get(name) != value:
            values = "" if name == "files" else f" ({before.get(name)}, not {value})"
            raise TrainingError(
                f"{folder}: holds a corpus with other {name}{values}; take another folder, or remove this one"
            )


def _shard(
    number: int,
    folder: Path,
    degradation: DegradeSettings,
    settings: CorpusSettings,
    materials: Sequence[Material],
) -> Shard:
    numbers = range(number * VISITS_OF_A_SHARD, (number + 1) * VISITS_OF_A_SHARD)
    return Shard(
        path=folder / f"shard-{number:05}.npz",
        visits=tuple(visit_of(each, materials, degradation, settings) for each in numbers),
        settings=degradation,
        crop=settings.crop,
    )


def _made(shards: Iterator[Shard], processes: int) -> Iterator[Made]:
    """What was made of each shard, in order."""
    if processes == 1:
        yield from map(make_shard, shards)
        return
    # Not by fork: FFmpeg's threads do not survive it. Ctrl-C is for this process, which ends the others in order.
    context, ignored = multiprocessing.get_context("spawn"), (signal.SIGINT, signal.SIG_IGN)
    with ProcessPoolExecutor(processes, mp_context=context, initializer=signal.signal, initargs=ignored) as pool:
        try:
            yield from ordered_window(
                lambda shard: pool.submit(make_shard, shard), Future.result, shards, 2 * processes
            )
        except BrokenProcessPool as error:
            raise WorkerError("a process that degraded clips has died; what it had finished is kept") from error
