"""The forms that `vidsr tune` found fastest on this machine: a small file in the user's cache, which engines read.

Homes are shared by machines, so that each has its place in the file, by its processor and the versions that compute.
"""

import json
import logging
import os
from importlib.metadata import PackageNotFoundError, version
from operator import index
from pathlib import Path

from vidsr.cpu_affinity import cpu_flags, cpu_name
from vidsr.engine.blocking import Form, forms
from vidsr.model.architecture import Architecture

log = logging.getLogger(__name__)

_FLAGS = {"avx2", "fma", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"}
_NONSENSE = (OSError, ValueError, TypeError, AttributeError, KeyError)  # JSON of another shape ends in one of them
_Fields = dict[str, int | bool]
_Machines = dict[str, dict[str, _Fields]]
"""The fields of a form by what it is for, by machine."""


def tuned_path() -> Path:
    """The file: vidsr/forms.json in $XDG_CACHE_HOME, by default in ~/.cache. It need not be there."""
    asked = os.environ.get("XDG_CACHE_HOME", "")
    base = asked if os.path.isabs(asked) else os.path.expanduser("~/.cache")
    return Path(base) / "vidsr" / "forms.json"


def tuned_form(architecture: Architecture, *, precision: str, threads: int) -> Form | None:
    """The form that was found for it here, if one was. A file that cannot be read, or holds nonsense, has none."""
    try:
        fields = _read().get(_machine(), {}).get(_purpose(architecture, precision, threads))
        return None if fields is None else _checked(fields, architecture)
    except FileNotFoundError:
        return None
    except _NONSENSE as error:
        log.warning("%s is ignored: %s", tuned_path(), error)
        return None


def tuned_with(form: Form | None, architecture: Architecture, *, precision: str, threads: int) -> str:
    """What the file is to hold when this form, or none, is the choice for it here; nonsense in it is left out."""
    try:
        machines = _read()
        here = dict(machines.get(_machine(), {}))
    except _NONSENSE:
        machines, here = {}, {}
    here.pop(_purpose(architecture, precision, threads), None)
    if form:
        fields: _Fields = {"rows": form.rows, "columns": form.columns, "apart": form.apart}
        here[_purpose(architecture, precision, threads)] = fields
    return json.dumps({**machines, _machine(): here}, indent=1, sort_keys=True) + "\n"


def _read() -> _Machines:
    machines: _Machines = json.loads(tuned_path().read_text())
    return machines


def _checked(fields: _Fields, architecture: Architecture) -> Form:
    form = Form(rows=index(fields["rows"]), columns=index(fields["columns"]), apart=bool(fields["apart"]))
    if form not in forms(architecture):
        raise ValueError(f"{form} is no form of {architecture}")
    return form


def _machine() -> str:
    flags = sorted(cpu_flags() & _FLAGS)
    return ", ".join([cpu_name(), *flags, *(f"{name} {_version(name)}" for name in ("vidsr", "openvino"))])


def _purpose(architecture: Architecture, precision: str, threads: int) -> str:
    tail = architecture.tail
    kind = f"{architecture.activation} {tail.kernel}-{tail.padding}{' residual' if architecture.residual else ''}"
    return f"{architecture} {kind}, {precision}, {threads} threads"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a tree that was never installed
        return "of no number"
