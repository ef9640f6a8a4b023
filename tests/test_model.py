"""Networks as files: weight files, the zoo."""

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from made import random_weights, tiny_weights
from numpy.typing import NDArray

from vidsr.errors import ModelError
from vidsr.model.architecture import Architecture, fsrcnn, srcnn
from vidsr.model.weights import Weights, load_weights, save_weights
from vidsr.model.zoo import load_model, model_names

Arrays = dict[str, NDArray[np.generic]]


# Weights


@pytest.mark.parametrize(
    "architecture",
    [
        fsrcnn(8, 4, 1, 3),
        fsrcnn(8, 8, 2, 2, kernel=6, activation="prelu-shared"),
        fsrcnn(8, 4, 1, 4, padding=4, residual=False),
        fsrcnn(8, 8, 2, 2, long_skip=True),
        srcnn(9, 1, 5, 8, 4, 2),
        srcnn(5, 3, 3, 6, 4, 3, activation="leaky-relu", residual=False),
    ],
)
def test_what_is_saved_is_loaded(tmp_path: Path, architecture: Architecture) -> None:
    facts = {"seed": 7, "start": "random", "psnr": {"set5": 36.5}}
    made = random_weights(architecture)
    saved = Weights(architecture=made.architecture, tensors=made.tensors, facts=facts)
    save_weights(tmp_path / "w.npz", saved)
    loaded = load_weights(tmp_path / "w.npz")
    assert loaded.architecture == saved.architecture
    assert loaded.facts == facts
    assert loaded.tensors.keys() == saved.tensors.keys()
    assert all(np.array_equal(loaded.tensors[name], saved.tensors[name]) for name in saved.tensors)


def test_equal_weights_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("first.npz", "second.npz"):
        save_weights(tmp_path / name, tiny_weights())
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()


def arrays(**changes: NDArray[np.generic] | None) -> Arrays:
    """What is in a good file, with some of it changed; None takes it out."""
    weights = tiny_weights()
    good = {"header": header(), **weights.tensors} | changes
    return {name: array for name, array in good.items() if array is not None}


def header(**changes: object) -> NDArray[np.uint8]:
    good = {"family": "fsrcnn", "dimensions": [8, 4, 1], "scale": 2, "facts": {}}
    return np.frombuffer(json.dumps(good | changes).encode(), np.uint8)


def packed(content: Arrays) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **content)  # type: ignore[arg-type]
    return file.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    """A zip with one member that numpy did not write."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def npy(shape: str) -> bytes:
    """An array without its data, of a shape that nobody checked."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def test_the_good_file_that_the_bad_ones_are_made_from_is_good(tmp_path: Path) -> None:
    (tmp_path / "good.npz").write_bytes(packed(arrays()))
    assert load_weights(tmp_path / "good.npz").architecture == fsrcnn(8, 4, 1, scale=2)


BIAS = np.zeros(8, np.float32)
BAD: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "a text": lambda: b"These are not the weights you are looking for.\n" * 9,
    "a pickle": lambda: pickle.dumps({"feature.bias": [0.0]}),
    "cut short": lambda: packed(arrays())[:-100],
    "cut to a half": lambda: packed(arrays())[: len(packed(arrays())) // 2],
    "a zip of something else": lambda: zipped("readme.txt", b"hello"),
    "a zip of nothing": lambda: packed({}),
    "no header": lambda: packed(arrays(header=None)),
    "a header that is no JSON": lambda: packed(arrays(header=np.frombuffer(b"{no", np.uint8))),
    "a header that is a list": lambda: packed(arrays(header=np.frombuffer(b"[1, 2]", np.uint8))),
    "a header without end": lambda: packed(arrays(header=np.frombuffer(b"[" * 100_000, np.uint8))),
    "facts without names": lambda: packed(arrays(header=header(facts=[1, 2]))),
    "a family nobody knows": lambda: packed(arrays(header=header(family="vdsr"))),
    "a scale of 5": lambda: packed(arrays(header=header(scale=5))),
    "a scale that is a word": lambda: packed(arrays(header=header(scale="two"))),
    "two dimensions": lambda: packed(arrays(header=header(dimensions=[8, 4]))),
    "dimensions that are not whole": lambda: packed(arrays(header=header(dimensions=[8.0, 4.0, 1.0]))),
    "dimensions below one": lambda: packed(arrays(header=header(dimensions=[0, -4, 1]))),
    "a thousand million layers": lambda: packed(arrays(header=header(dimensions=[8, 4, 10**9]))),
    "the dimensions of another network": lambda: packed(arrays(header=header(dimensions=[8, 4, 2]))),
    "a tensor missing": lambda: packed(arrays(**{"shrink.bias": None})),
    "a tensor too many": lambda: packed(arrays(extra=BIAS)),
    "a wrong shape": lambda: packed(arrays(**{"feature.bias": BIAS[:7]})),
    "a wrong type": lambda: packed(arrays(**{"feature.bias": BIAS.astype(np.float64)})),
    "the other byte order": lambda: packed(arrays(**{"feature.bias": BIAS.astype(">f4")})),
    "a NaN": lambda: packed(arrays(**{"feature.bias": BIAS + np.float32("nan")})),
    "an infinity": lambda: packed(arrays(**{"feature.bias": BIAS - np.float32("inf")})),
    "more bytes than any network": lambda: packed(arrays(extra=np.zeros(20_000_000, np.float32))),
    "an array that claims 4 TB": lambda: zipped("header.npy", npy(f"({10**12},)")),
    "an array that claims no end": lambda: zipped("header.npy", npy(f"({10**30},)")),
    "an array of nonsense": lambda: zipped("header.npy", b"\x93NUMPY\x01\x00\x05\x00{{{{{"),
}


@pytest.mark.parametrize("damage", BAD)
def test_a_file_that_is_wrong_is_refused_by_its_name(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(BAD[damage]())
    with pytest.raises(ModelError) as refused:
        load_weights(path)
    assert str(refused.value).startswith(f"{path}: ")


class Bomb:
    """Whoever unpickles it makes a folder."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.marker),)


def test_nothing_in_a_file_is_ever_run(tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "bomb.npz"
    bomb = Bomb(marker)
    array = np.array([bomb], dtype=object)
    for content in (
        pickle.dumps(bomb),
        packed(arrays(header=array)),
        packed(arrays(**{"feature.bias": array})),
        packed(arrays(extra=array)),
        zipped("header", pickle.dumps(bomb)),
        zipped("header.npy", pickle.dumps(bomb)),
    ):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=str(path)):
            load_weights(path)
    assert not marker.exists()
    pickle.loads(pickle.dumps(bomb))
    assert marker.exists(), "the bomb is no bomb: this proved nothing"


def test_flipped_bits_are_noticed_or_harm_nothing(tmp_path: Path) -> None:
    good, random, path = packed(arrays()), np.random.default_rng(1), tmp_path / "flipped.npz"
    tensors = tiny_weights().tensors
    for _ in range(300):
        data = bytearray(good)
        for _ in range(random.integers(1, 4)):
            data[random.integers(len(data))] ^= 1 << random.integers(8)
        path.write_bytes(data)
        with suppress(ModelError):
            loaded = load_weights(path).tensors
            assert all(np.array_equal(loaded[name], tensors[name]) for name in tensors)


def test_what_is_no_file_is_refused_by_its_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    for path, reason in (
        (tmp_path / "missing.npz", "No such file"),
        (tmp_path, "not a file"),
        (tmp_path / "pipe.npz", "not a file"),
        (Path("/dev/zero"), "not a file"),
    ):
        with pytest.raises(ModelError, match=f"^{path}: {reason}"):
            load_weights(path)


def test_a_file_that_is_far_too_large_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "film.npz"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ModelError, match="larger than 64 MB"):
        load_weights(path)


# The zoo


def test_a_model_can_be_a_file(tiny_model: str) -> None:
    assert load_model(tiny_model).architecture == fsrcnn(8, 4, 1, scale=2)
    assert load_model(tiny_model, 2).architecture.scale == 2


def test_a_file_of_another_scale_is_refused(tiny_model: str) -> None:
    with pytest.raises(ModelError, match="upscales 2 times, not 3"):
        load_model(tiny_model, 3)


@pytest.mark.parametrize("name", ["nonsense", "", "fsrcnn-x9", "../zoo/fsrcnn-x2", "/etc/passwd"])
def test_a_name_that_the_zoo_does_not_have_is_refused_with_those_it_has(name: str) -> None:
    with pytest.raises(ModelError) as refused:
        load_model(name)
    assert all(known in str(refused.value) for known in (repr(name), *model_names()))


@pytest.mark.parametrize("name", model_names() or [pytest.param("", marks=pytest.mark.skip("no zoo yet"))])
def test_every_network_of_the_zoo_loads_by_its_name_and_by_family_and_scale(name: str) -> None:
    weights = load_model(name)
    clean = name.removesuffix("-video").removesuffix("-coarse")
    family, _, scale = clean.rpartition("-x")
    family += name[len(clean) :]
    assert weights.architecture.scale == int(scale)
    assert load_model(family, int(scale)).architecture == weights.architecture
    assert load_model(family, usual_scale=int(scale)).architecture == weights.architecture
    with pytest.raises(ModelError, match="not"):
        load_model(name, 2 if int(scale) != 2 else 3)


def test_the_names_of_the_zoo_are_sorted() -> None:
    assert model_names() == sorted(model_names())
