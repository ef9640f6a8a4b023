"""What judges has nothing in common with what was learnt from."""

from pathlib import Path

import av
import pytest
from films import lit, place, write_film

from vidsr.errors import TrainingError
from vidsr.training.data.scenes import Span
from vidsr.training.data.sources import Footage
from vidsr.training.data.split import hold_out


def footage(*paths: Path) -> list[Footage]:
    return [Footage(path=path, sizes=(1.0, 0.7)) for path in paths]


def test_of_several_files_whole_ones_are_held_out() -> None:
    files = footage(*(Path(f"{number}.mp4") for number in range(10)))
    kept, judges = hold_out(files, share=0.2, seed=1, note=pytest.fail)
    assert (len(kept), len(judges)) == (8, 2)
    assert {file.path for file in kept + judges} == {file.path for file in files}
    assert len({hold_out(files, seed=seed)[1][0].path for seed in range(8)}) > 1


def test_of_several_scenes_whole_ones_are_held_out_by_their_time(tmp_path: Path) -> None:
    lengths = [20, 60, 20, 50, 20, 30]
    film = write_film(tmp_path / "film.mp4", [place(n) for n, length in enumerate(lengths) for _ in range(length)])
    found = set()
    for seed in range(5):
        ((kept,), (judges,)) = hold_out(footage(film), share=0.2, seed=seed, note=pytest.fail)
        assert 1.5 < sum(span.seconds for span in judges.spans) < 4.1
        assert len(kept.spans) + len(judges.spans) == 6
        assert not set(kept.spans) & set(judges.spans)
        assert kept.sizes == judges.sizes == (1.0, 0.7)
        found.add(judges.spans)
    assert len(found) > 1


def test_of_scenes_that_are_all_longer_than_the_share_it_is_the_shortest(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", [place(0)] * 30 + [place(1)] * 20)
    (_, (judges,)) = hold_out(footage(film), note=pytest.fail)
    assert judges.spans == (Span(3.0, 4.9),)


def test_of_a_camera_that_stands_still_the_end_is_held_out_and_said(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", [lit(place(0), 1 + n / 400) for n in range(81)], rate=2)
    notes: list[str] = []
    ((kept,), (judges,)) = hold_out(footage(film), note=notes.append)
    assert (kept.spans, judges.spans) == ((Span(0.0, 30.0),), (Span(32.0, 40.0),))
    assert notes == [
        f"{film}: is a single scene; its last 8 s are held out, more like the rest than another scene would be"
    ]


def test_what_cannot_be_parted_is_refused_by_name(tmp_path: Path) -> None:
    short = write_film(tmp_path / "short.mp4", [place(0)] * 40, rate=2)
    with pytest.raises(TrainingError, match=rf"^{short}: is one scene of 20 s, too short .* 30 s or a second file"):
        hold_out(footage(short))
    black = write_film(tmp_path / "black.mp4", [lit(place(0), 0)] * 80, rate=2)
    with pytest.raises(TrainingError, match=f"^{black}: shows nothing"):
        hold_out(footage(black))
    av.VideoFrame.from_ndarray(place(0), format="gray").save(tmp_path / "still.png")
    with pytest.raises(TrainingError, match="is a single picture"):
        hold_out(footage(tmp_path / "still.png"))
