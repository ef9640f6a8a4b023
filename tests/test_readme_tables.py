"""tools/readme_tables.py: each table goes between its marks in the README that has them."""

import json
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parent.parent / "tools"
SPEED = {
    "engine": {
        "model": "fsrcnn",
        "size": "640x360",
        "threads": 2,
        "cpu": "a CPU",
        "engine_ms": 1.5,
        "gflops": 2,
        "sgemm_gflops": 3,
        "engines_beside_ms": 4,
        "gflops_beside": 5,
        "plain_openvino_ms": 6,
        "times_plain_openvino": 7,
        "pytorch_ms": 8,
        "times_pytorch": 9,
    },
    "command": {"engine_fps": 1, "encoder_fps": 2, "workers": 0, "command_fps": 3, "share_of_allowed": 0.5},
    "memory": {"engine_2160p_mb": 1, "command_1080p_to_2160p_mb": 2, "growth": 0.01},
}


@pytest.fixture
def readmes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Copies of the READMEs of the zoo and of the tools, which the tool writes to."""
    monkeypatch.syspath_prepend(str(TOOLS))
    import readme_tables

    copies = []
    for name in ("ZOO_README", "TOOLS_README"):
        copy = tmp_path / f"{name}.md"
        copy.write_text(getattr(readme_tables, name).read_text(encoding="utf-8"), encoding="utf-8")
        monkeypatch.setattr(readme_tables, name, copy)
        copies.append(copy)
    return copies[0], copies[1]


def table_of(text: str, name: str) -> str:
    return text.partition(f"<!-- {name} -->\n")[2].partition("\n<!-- end -->")[0]


def test_quality_goes_to_the_zoo_and_speed_to_the_tools(readmes: tuple[Path, Path], tmp_path: Path) -> None:
    from readme_tables import main, speed_table

    zoo, tools = readmes
    before = [path.read_text(encoding="utf-8") for path in readmes]
    (tmp_path / "quality.md").write_text("| | Set5 |\n|---|---|\n| new | 1 |\n")
    (tmp_path / "speed.json").write_text(json.dumps(SPEED))
    main(["--quality", str(tmp_path / "quality.md"), "--speed", str(tmp_path / "speed.json")])
    for path, text, name, table in (
        (zoo, before[0], "quality", "| | Set5 |\n|---|---|\n| new | 1 |"),
        (tools, before[1], "speed", speed_table(SPEED)),
    ):
        assert path.read_text(encoding="utf-8") == text.replace(table_of(text, name), table)


def test_the_tools_readme_has_the_marks_of_every_other_table(readmes: tuple[Path, Path]) -> None:
    from readme_tables import insert_table

    _, tools = readmes
    for name in ("speed", "peers", "growth"):
        insert_table(tools, name, f"the {name} table")
        assert table_of(tools.read_text(encoding="utf-8"), name) == f"the {name} table"


def test_a_readme_without_the_marks_is_refused(readmes: tuple[Path, Path]) -> None:
    from readme_tables import insert_table

    with pytest.raises(SystemExit, match="no <!-- quality -->"):
        insert_table(readmes[1], "quality", "table")
