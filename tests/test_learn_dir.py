"""The folder of what a camera learns: what is whole is read, what is torn is left out."""

import json
import math
import os
from dataclasses import asdict
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from commands import contents, few_rights, full_disk

from vidsr.errors import TargetError
from vidsr.learn_dir import CollectState, LearnDir, LiveGain, Moment, Proof, time_name

PROOF = Proof(
    accepted=True,
    reason="it gains 0.40 dB",
    moving_gain=0.4,
    whole_gain=1.0,
    general_loss=0.01,
    share=1.0,
    moments=4,
    gains={"crf 23": 0.4},
)


def moment(learn_dir: LearnDir, time_s: float) -> Moment:
    return Moment(
        folder=learn_dir.moment_folder(time_s), time_s=time_s, has_main=False, motion=1.5, detail=3.0, size=10
    )


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    learn_dir = LearnDir(tmp_path / "none")
    assert (learn_dir.moments(), learn_dir.networks(), learn_dir.current(), learn_dir.events()) == ([], [], None, [])
    assert not learn_dir.is_requested
    assert learn_dir.current_changed_ns() == 0


def test_moments_come_back_in_order_and_without_halves(tmp_path: Path) -> None:
    learn_dir = LearnDir(tmp_path)
    moments = [moment(learn_dir, time_s) for time_s in (1.7e9, 1.7e9 + 3600, 1.8e9)]
    for each in reversed(moments):
        learn_dir.write_moment(each)
    learn_dir.moment_folder(1.9e9).mkdir()  # killed while it was recorded
    assert learn_dir.moments() == moments
    learn_dir.remove(moments[0].folder)
    assert learn_dir.moments() == moments[1:]
    assert not moments[0].folder.exists()


def test_the_network_in_use_and_the_way_back(tmp_path: Path) -> None:
    learn_dir = LearnDir(tmp_path)
    learn_dir.write_proof(name := time_name(1.7e9), PROOF)
    before = learn_dir.current_changed_ns()
    learn_dir.set_current(name, PROOF.reason, now_s=1.7e9)
    found = learn_dir.current()
    assert found
    assert (found.name, found.proof) == (name, PROOF)
    assert learn_dir.current_changed_ns() != before
    learn_dir.set_current(None, "asked for", now_s=1.7e9 + 1)
    assert learn_dir.current() is None
    assert [event["event"] for event in learn_dir.events()] == [
        f"{name} is used: it gains 0.40 dB",
        "the general network is used: asked for",
    ]


def with_networks(path: Path, count: int) -> tuple[LearnDir, list[str]]:
    """A folder with accepted networks, the newest of which is in use; and their names, oldest first."""
    learn_dir, names = LearnDir(path), [time_name(1.7e9 + number) for number in range(count)]
    for name in names:
        learn_dir.write_proof(name, PROOF)
    learn_dir.set_current(names[-1], "good", now_s=1.7e9)
    return learn_dir, names


def test_a_network_that_is_in_use_no_more_is_not_given_up(tmp_path: Path) -> None:
    learn_dir, (old, new) = with_networks(tmp_path, 2)
    assert not learn_dir.give_up(old, "it was worse", now_s=1.7e9)
    current = learn_dir.current()
    assert current
    assert current.name == new
    assert learn_dir.give_up(new, "it was worse", now_s=1.7e9)
    assert learn_dir.current() is None
    assert [event["event"] for event in learn_dir.events()][1:] == ["the general network is used: it was worse"]


def undo(path: Path, name: str, at_once: Barrier) -> None:
    at_once.wait()
    LearnDir(path).undo(name, now_s=0.0)


def test_several_that_undo_a_network_at_once_go_back_by_one(tmp_path: Path) -> None:
    learn_dir, names = with_networks(tmp_path, 6)
    context = get_context("spawn")
    at_once = context.Barrier(4)
    processes = [context.Process(target=undo, args=(tmp_path, names[-1], at_once)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    current = learn_dir.current()
    assert current
    assert current.name == names[-2]
    assert [event["event"] for event in learn_dir.events()][1:] == [f"{names[-2]} is used: undone by hand"]


@pytest.mark.parametrize("damage", ["{}", '{"network": ["a"]}', '{"network": "missing"}', "[", '{"network": null}'])
def test_nothing_is_undone_where_no_network_is_in_use(tmp_path: Path, damage: str) -> None:
    learn_dir, _ = with_networks(tmp_path, 2)
    (tmp_path / "current.json").write_text(damage)
    assert not learn_dir.undo("missing.npz", now_s=0.0)
    assert (tmp_path / "current.json").read_text() == damage


def test_a_full_disk_leaves_the_files_as_they_were_and_no_part_of_new_ones(tmp_path: Path) -> None:
    learn_dir, names = with_networks(tmp_path, 2)
    before = contents(tmp_path)
    with full_disk(8):
        for write_one in (
            lambda: learn_dir.set_current(names[0], "by hand", now_s=0.0),
            lambda: learn_dir.undo(names[1], now_s=0.0),
            lambda: learn_dir.add_event("x", now_s=0.0),
            lambda: learn_dir.set_collect_state(CollectState(collected=1)),
            lambda: learn_dir.write_proof("other", PROOF),
        ):
            with pytest.raises(TargetError):
                write_one()
    assert contents(tmp_path) == before


def test_a_torn_line_costs_that_line_only(tmp_path: Path) -> None:
    learn_dir = LearnDir(tmp_path)
    gains = [LiveGain(time_s=float(number), network="a", gain=0.5) for number in range(3)]
    learn_dir.add_gain(gains[0])
    with (tmp_path / "gains.jsonl").open("ab") as file:
        file.write(b'{"time_s": 7, "netw')
    for gain in gains[1:]:
        learn_dir.add_gain(gain)
    assert learn_dir.gains() == gains
    assert learn_dir.gains(since_s=2.0) == gains[2:]


def test_a_log_that_cannot_be_read_is_not_replaced(open_folder: Path) -> None:
    learn_dir, log = LearnDir(open_folder), open_folder / "events.jsonl"
    learn_dir.add_event("one", now_s=1.0)
    log.chmod(0)
    open_folder.chmod(0o777)
    with few_rights(), pytest.raises(TargetError, match="Permission denied"):
        learn_dir.add_event("two", now_s=2.0)
    log.chmod(0o600)
    assert [event["event"] for event in learn_dir.events()] == ["one"]


def test_the_log_is_bounded(tmp_path: Path) -> None:
    learn_dir = LearnDir(tmp_path)
    line = json.dumps({"time_s": 0.0, "event": "x" * 1000}) + "\n"
    (tmp_path / "events.jsonl").write_text(line * 1100)
    learn_dir.add_event("the newest", now_s=1.0)
    assert (tmp_path / "events.jsonl").stat().st_size < 600_000
    assert learn_dir.events()[-1]["event"] == "the newest"


def write_events(path: Path) -> None:
    for number in range(20):
        LearnDir(path).add_event(str(number), now_s=0.0)


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    context = get_context("spawn")
    writers = [context.Process(target=write_events, args=(tmp_path,)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(LearnDir(tmp_path).events()) == 60


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TargetError, match="file"):
        LearnDir(tmp_path / "file" / "learn").request()


WHOLE = {
    "moments/m/moment.json": {"time_s": 1.7e9, "has_main": False, "motion": 1.5, "detail": 3.0, "size": 10},
    "networks/n/proof.json": asdict(PROOF),
    "collect.json": asdict(CollectState(tried_s=1.0, collected=1, refused={"dark": 2})),
    "attempt.json": {"time_s": 1.7e9},
    "events.jsonl": {"time_s": 1.7e9, "event": "it began"},
    "gains.jsonl": {"time_s": 1.7e9, "network": "n", "gain": 0.5},
}


def what_is_read(folder: Path) -> dict[str, object]:
    learn_dir = LearnDir(folder)
    return {
        "moments/m/moment.json": learn_dir.moments(),
        "networks/n/proof.json": learn_dir.networks(),
        "collect.json": [] if learn_dir.collect_state() == CollectState() else [learn_dir.collect_state()],
        "attempt.json": [learn_dir.attempt_s] if learn_dir.attempt_s else [],
        "events.jsonl": learn_dir.events(),
        "gains.jsonl": learn_dir.gains(),
    }


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("name", WHOLE)
def test_a_record_with_a_wrong_value_is_left_out(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, json.dumps(WHOLE[name]))
    assert what_is_read(tmp_path)[name] != []
    texts = ["[" * 100_000, json.dumps(WHOLE[name])[:-4], json.dumps({**WHOLE[name], "more": 1})]
    for key, good in WHOLE[name].items():
        bad: list[object] = [[1], {"a": "b"}, None, 1e300, math.nan, -math.inf, 10**400, 7 if good is False else False]
        bad += ["5"] if not isinstance(good, str) else [5, 0.5]
        bad += [-1.0] if key.endswith("_s") else []
        texts += [json.dumps({**WHOLE[name], key: value}) for value in bad if type(value) is not type(good) or value]
    for text in texts:
        write(tmp_path / name, text)
        assert what_is_read(tmp_path)[name] == [], text[:200]


def test_whole_numbers_are_numbers_and_halves_of_characters_are_replaced(tmp_path: Path) -> None:
    write(tmp_path / "events.jsonl", json.dumps({"time_s": 5, "event": "lost: \ud800"}))
    assert LearnDir(tmp_path).events() == [{"time_s": 5, "event": "lost: ?"}]


def test_a_folder_whose_name_cannot_be_printed_is_no_network(tmp_path: Path) -> None:
    for name in (b"\xff", b"a\nb", b"\x1b[2J"):
        folder = Path(os.fsdecode(os.fsencode(tmp_path / "networks") + b"/" + name))
        write(folder / "proof.json", json.dumps(asdict(PROOF)))
    assert LearnDir(tmp_path).networks() == []
