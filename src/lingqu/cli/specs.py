"""The spec that a command about a served model goes by: the file that was named, or lingqu.yaml here.

What a version was made with may have changed since. `up` and `improve` read the file, so whoever looks, labels or serves
beside them has to read the same one.
"""

from __future__ import annotations

from pathlib import Path

from lingqu.spec import Spec, load_spec
from lingqu.spec.parse import parse

SPEC = Path("lingqu.yaml")
ANY_SOURCE = "sklearn:iris"
"""Stands in the place of the data, which only learning needs."""


def spec_in(file: Path) -> Spec:
    """The spec in a file; its data need not be on this machine."""
    parsed = parse(file.read_text("utf-8")) if file.is_file() else None
    if parsed is None or parsed.problems or not isinstance(parsed.value, dict):
        return load_spec(file)
    return load_spec({**parsed.value, "data": {"source": ANY_SOURCE}}, folder=file.absolute().parent)


def spec_of(name: str, file: str | None) -> Spec | None:
    """The spec in the file that was named, or else in lingqu.yaml here if it is of this model; None where neither is."""
    if file is not None:
        return spec_in(Path(file))
    found = spec_in(SPEC) if SPEC.is_file() else None
    return found if found is not None and found.name == name else None
