"""`vidsr learn`: what cameras learn, by hand."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from vidsr.cli import main
from vidsr.learn_dir import LearnDir, LiveGain, Moment, Proof, time_name

TIMES = (1.7640e9, 1.7641e9, 1.7642e9)


def proof(gain: float, *, accepted: bool = True) -> Proof:
    words = f"it gains {gain:.2f} dB" if accepted else "it gains too little"
    return Proof(
        accepted=accepted, reason=words, moving_gain=gain, whole_gain=1.0, general_loss=0.0, share=1.0, moments=3
    )


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """The targets of two cameras that learn, and of one that does not."""
    for name in ("gate", "yard"):
        learn_dir = LearnDir(tmp_path / name / "learn")
        for time_s, gain in zip(TIMES, (0.31, 0.1, 0.52), strict=True):
            learn_dir.write_proof(time_name(time_s), proof(gain, accepted=gain > 0.3))
        learn_dir.set_current(time_name(TIMES[2]), "it gains 0.52 dB", now_s=TIMES[2])
        folder = learn_dir.moment_folder(TIMES[0])
        learn_dir.write_moment(
            Moment(folder=folder, time_s=TIMES[0], has_main=True, motion=1, detail=2, size=3_000_000)
        )
        learn_dir.add_gain(LiveGain(time_s=TIMES[2], network=time_name(TIMES[2]), gain=0.4))
    (tmp_path / "other").mkdir()
    return tmp_path


def test_status_of_all_cameras(recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["learn", "status", str(recordings)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"gate: {time_name(TIMES[2])} is in use" in lines
    assert any(line.startswith("1 moments, 3 MB, since 2025-11-24") for line in lines)
    assert any("+0.10 dB" in line and "it gains too little" in line for line in lines)
    assert f"yard: {time_name(TIMES[2])} is in use" in lines
    assert "other" not in " ".join(lines)


def test_status_as_json(recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["learn", "status", str(recordings), "--camera", "gate", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == {"gate"}
    assert found["gate"]["current"] == time_name(TIMES[2])
    assert [network["proof"]["moving_gain"] for network in found["gate"]["networks"]] == [0.31, 0.1, 0.52]
    assert found["gate"]["gains"][0]["gain"] == 0.4


def test_undo_goes_back_to_the_last_accepted_network_and_then_to_the_general_one(
    recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learn_dir, words = LearnDir(recordings / "gate" / "learn"), ["learn", "undo", str(recordings), "--camera", "gate"]
    assert main(words) == 0
    current = learn_dir.current()
    assert current
    assert current.name == time_name(TIMES[0])
    assert main(words) == 0
    assert learn_dir.current() is None
    assert main(words) == 0
    assert "the general network is in use already" in capsys.readouterr().err
    assert LearnDir(recordings / "yard" / "learn").current() is not None


def test_status_says_since_when_learning_waits(recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["learn", "status", str(recordings / "gate")]
    for since_s in (0.0, TIMES[2]):
        LearnDir(recordings / "gate" / "learn").set_waiting(since_s)
        assert main([*words, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["gate"]["waiting_since_s"] == (since_s or None)
        assert main(words) == 0
        told = f"learning waits for CPU time since {datetime.fromtimestamp(TIMES[2]):%Y-%m-%d %H:%M:%S}"
        assert (told in capsys.readouterr().out.splitlines()) is (since_s > 0)


@pytest.mark.parametrize("action", ["now", "undo"])
def test_what_is_done_is_printed_as_json(recordings: Path, action: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["learn", action, str(recordings), "--camera", "gate", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out).values()
    assert found["current"] == time_name(TIMES[0] if action == "undo" else TIMES[2])
    assert found["requested"] is (action == "now")


@pytest.mark.parametrize("below", ["gate", "gate/learn"])
def test_now_asks_for_a_network(recordings: Path, below: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = "a network is asked for, and not learned yet"
    assert main(["learn", "status", str(recordings / below)]) == 0
    assert asked not in capsys.readouterr().out
    assert main(["learn", "now", str(recordings / below)]) == 0
    assert "`vidsr stream` learns a network" in capsys.readouterr().err
    assert main(["learn", "status", str(recordings / below)]) == 0
    assert asked in capsys.readouterr().out.splitlines()
    assert LearnDir(recordings / "gate" / "learn").is_requested
    assert not LearnDir(recordings / "yard" / "learn").is_requested


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["now", "."], 2, "choose one by --camera (gate, yard)"),
        (["undo", ".", "--camera", "roof"], 2, "no camera 'roof' learns; there are gate, yard"),
        (["status", "other"], 3, "no camera has collected or learned anything here yet"),
        (["status", "missing"], 3, "No such file or directory"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    recordings: Path, words: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    action, folder, *more = words
    assert main(["learn", action, str(recordings / folder), *more]) == code
    assert sentence in capsys.readouterr().err
