"""OpenVINO compiles each graph once per test process: some 35 ms, which many tests would spend again on an equal one.

The key is the graph itself, as OpenVINO writes it, with its constants and the config: whatever changes in how vidsr
makes a graph is another graph. Each engine has requests of its own.
"""

import ctypes
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

import openvino as ov
import pytest

_KEPT = 400
_NAMES = re.compile(rb' (?:name|names|output_names)="[^"]*"')  # numbered by OpenVINO, over all graphs of a process


@contextmanager
def compiled_once() -> Iterator[None]:
    """Core.compile_model returns what it has made of an equal graph."""
    compile_model, made, lock = ov.Core.compile_model, OrderedDict[str, ov.CompiledModel](), Lock()

    def compiled(core: ov.Core, model: ov.Model, device: str, config: Mapping[str, object]) -> ov.CompiledModel:
        try:
            with lock:
                key = _digest(model, Path(folder), f"{device} {sorted(config.items())}")
                found = made.get(key)
        except RuntimeError:  # a test limits the size of files
            return compile_model(core, model, device, config)
        if found is None:
            found = compile_model(core, model, device, config)
        with lock:
            made[key] = found
            made.move_to_end(key)
            if len(made) > _KEPT:
                made.popitem(last=False)
        return ov.CompiledModel(found)

    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ov.Core, "compile_model", compiled)
        yield
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))  # never freed: that takes seconds, and the process ends


def _digest(model: ov.Model, folder: Path, more: str) -> str:
    """A digest of the graph and its constants."""
    graph, constants = folder / "graph.xml", folder / "graph.bin"
    ov.serialize(model, graph, constants)
    return sha256(_NAMES.sub(b"", graph.read_bytes()) + constants.read_bytes() + more.encode()).hexdigest()
