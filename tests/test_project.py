"""What holds for the whole tree: who imports what, what is public, how large things are."""

import argparse
import ast
import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import vidsr
from vidsr.cli import build_parser
from vidsr.settings import (
    EncodeSettings,
    NetworkSettings,
    PoolSettings,
    RecordSettings,
    StreamSettings,
    TrainSettings,
    UpscaleSettings,
    WatchSettings,
)

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "vidsr").rglob("*.py"))

HOMES = {
    "av": "media",
    "openvino": "engine",
    "ray": "pool",
    "torch": "training",
    "tqdm": "cli",
    "matplotlib": "plots",
    "onnx": "interop",
    "prometheus_client": "live",
    "waitress": "live",
    "jinja2": "html_template",
}
LEVELS = [  # from low to high; a part imports from those above it in this list, and from itself
    {"arrays", "callbacks", "html_template", "stage_timer"},
    {"errors", "settings", "report", "flow", "plots", "stream_url", "private_tempdir"},
    {"model", "cpu", "redaction", "versions", "json_files", "file_lock", "child_process"},
    {"engine", "media", "memory"},
    {"segments"},
    {"pool", "quality"},
    {"interop"},
    {"output_size", "model_selection", "source_reader", "upscale_job"},
    {"run_log", "learn_dir"},
    {"image_pipeline", "segment_pipeline"},
    {"pipeline"},
    {"training", "live", "bench", "batch", "estimate", "watch"},
    {"learning"},
    {"explain"},
    {"vidsr"},
    {"cli"},
    {"__main__"},
]
LEVEL = {part: number for number, parts in enumerate(LEVELS) for part in parts}
Documented = ast.Module | ast.ClassDef | ast.FunctionDef
NOT_OPTIONS = {
    "json",
    "verbose",
    "quiet",
    "help",
    "sources",
    "source",
    "target",
    "output",
    "held_out",
    "datasets",
    "sizes",
    "places",
    "url_env",
    "learn",
    "main",
    "main_env",
    "url_file",
    "config",
    "check",
    "also",
    "http",
    "http_host",
    "http_base",
    "http_users",
    "progress",
    "estimate",
    "recursive",
    "resume",
    "failed_list",
    "discard",
    "explain",
}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def part_of(module: str) -> str:
    """The part of vidsr a module belongs to: `media` of vidsr.media.reader, `vidsr` of the package itself."""
    return module.split(".")[1] if "." in module else module


def module_of(path: Path) -> str:
    names = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Every module a file imports, wherever in the file, by its full name."""
    return tuple(imported(path))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from inside if node.module == "vidsr" else [node.module]


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("package", HOMES)
def test_a_heavy_package_stays_in_its_home(package: str) -> None:
    users = {module_of(path) for path in FILES if package in {name.partition(".")[0] for name in imports(path)}}
    assert {user for user in users if part_of(user) != HOMES[package]} == set()


def test_imports_point_one_way() -> None:
    upwards = []
    for path in FILES:
        own = part_of(module_of(path))
        others = {part_of(name) for name in imports(path) if name.partition(".")[0] == "vidsr"} - {own}
        upwards += [f"{module_of(path)} -> {other}" for other in others if LEVEL.get(other, -1) >= LEVEL[own]]
    assert upwards == []


def test_nothing_that_comes_from_a_file_is_unpickled() -> None:
    """Only processes of vidsr send each other pickles, over pipes and memory, and Ray's theirs."""
    pipes = {"vidsr.live.__main__", "vidsr.live.camera_process", "vidsr.live.reload", "vidsr.learning.process_setup"}
    found = set()
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call):
                name, given = ast.unparse(node.func), {each.arg: ast.unparse(each.value) for each in node.keywords}
                if re.fullmatch(r"(pickle|marshal|cloudpickle)\.(loads?|Unpickler)", name):
                    found.add(module_of(path))
                assert name != "np.load" or given["allow_pickle"] == "False", path
                assert name != "torch.load" or given["weights_only"] == "True", path
    assert found == pipes


def test_no_two_public_classes_share_a_name() -> None:
    homes: dict[str, list[str]] = {}
    for path in FILES:
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(module_of(path))
    assert {name: modules for name, modules in homes.items() if len(modules) > 1} == {}


def test_every_part_has_a_level() -> None:
    assert {part_of(module_of(path)) for path in FILES} == LEVEL.keys()


def test_the_public_names_are_exactly_those_of_all_and_sorted() -> None:
    (typed,) = (node for node in tree(ROOT / "vidsr/__init__.py").body if isinstance(node, ast.If))
    homes = {
        alias.name: node.module for node in typed.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert sorted(vidsr.__all__) == sorted(homes)
    assert all(getattr(vidsr, name) is getattr(import_module(str(home)), name) for name, home in homes.items())
    assert list(vidsr.__all__) == sorted(vidsr.__all__, key=lambda name: (not name[0].isupper(), name))


def test_importing_vidsr_loads_none_of_the_heavy_packages_that_not_everybody_needs() -> None:
    code = "import sys, vidsr, vidsr.cli; print(sorted({'matplotlib', 'onnx', 'ray', 'torch'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def commands() -> dict[str, argparse.ArgumentParser]:
    (chosen,) = (action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    return chosen.choices


@pytest.mark.parametrize(
    ("command", "kinds"),
    [
        ("upscale", (UpscaleSettings, EncodeSettings, PoolSettings)),
        ("watch", (WatchSettings, UpscaleSettings, EncodeSettings, PoolSettings)),
        ("bench", (UpscaleSettings, EncodeSettings, PoolSettings)),
        ("train", (NetworkSettings, TrainSettings)),
        ("stream", (StreamSettings, RecordSettings, EncodeSettings, PoolSettings)),
    ],
)
def test_every_setting_is_an_option_of_the_same_name_and_default_and_every_option_a_setting(
    command: str, kinds: tuple[type, ...]
) -> None:
    asked = {field.name: field.default for kind in kinds for field in dataclasses.fields(kind)}
    if command == "stream":
        del asked["ray_address"]  # a camera's process has its own Ray; and timeout_s is the source's
        asked["timeout_s"] = StreamSettings.timeout_s
    if command == "bench":
        asked |= {"frames": 100, "plan": False, "picture": None}  # what is measured, not how it is enlarged
    options = {a.dest: a.default for a in commands()[command]._actions if a.dest not in NOT_OPTIONS}
    assert options == asked


@pytest.mark.parametrize("name", commands())
def test_every_command_has_help_with_an_example(name: str) -> None:
    text = commands()[name].format_help()
    assert f"\n  vidsr {name} " in text
    assert all(action.help for action in commands()[name]._actions)


def test_the_readme_names_every_command() -> None:
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("no README.md yet")
    text = readme.read_text()
    assert [name for name in commands() if f"vidsr {name}" not in text] == []


def test_everything_public_says_what_it_is_for() -> None:
    silent = [
        f"{module_of(path)} {getattr(node, 'name', '')}"
        for path in FILES
        for node in public(tree(path))
        if not ast.get_docstring(node)
    ]
    assert silent == []


def public(node: Documented) -> Iterator[Documented]:
    """A module or class and what is in it that has a name for others; what is inside functions is nobody's."""
    yield node
    if not isinstance(node, ast.FunctionDef):
        for inner in node.body:
            if isinstance(inner, ast.ClassDef | ast.FunctionDef) and not inner.name.startswith("_"):
                yield from public(inner)


def test_no_file_is_over_300_lines_and_no_function_over_40() -> None:
    folders = ("vidsr", "tests", "tools", "examples")
    sources = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    long = [str(path.relative_to(ROOT)) for path in sources if len(path.read_text().splitlines()) > 300]
    for path in sources:
        for function in functions(path):
            lines = (function.end_lineno or 0) - function.lineno + 1
            if lines > 40:
                long.append(f"{path.relative_to(ROOT)}:{function.name} {lines}")
    assert long == []
