"""The version of the code that makes a stage: a hash of its source, and the versions of the libraries that compute.

>>> len(code_version("contract", "errors"))
64
"""

from __future__ import annotations

import hashlib
import inspect
from functools import cache
from importlib import metadata
from pathlib import Path

from lingqu.store.canonical import canonical_json, digest_of

_PACKAGE = Path(__file__).parents[1]

# Whose versions a result may depend on; one that is not installed counts as such.
LIBRARIES = (
    "numpy",
    "onnxruntime",
    "tokenizers",
    "pillow",
    "torch",
    "onnx",
    "scikit-learn",
    "scipy",
    "lightgbm",
    "pyarrow",
    "transformers",
    "peft",
)


@cache
def code_version(*folders: str) -> str:
    """One digest over the source of these folders or modules of lingqu; ValueError for one that is not there.

    >>> code_version("contract") != code_version("contract", "errors")
    True
    """
    files: dict[str, str] = {}
    for folder in sorted(set(folders)):
        found = [*sorted((_PACKAGE / folder).rglob("*.py")), *_PACKAGE.glob(f"{folder}.py")]
        if not found:
            raise ValueError(f"lingqu has no source folder {folder!r}")
        for path in found:
            files[path.relative_to(_PACKAGE).as_posix()] = _digest(path)
    return digest_of(canonical_json(files))


@cache
def _digest(path: Path) -> str:
    """Stages share most of their source: each file is read once."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def source_beside(kind: type) -> str:
    """The hash of the file of a class and of those beside it: a team's task lives outside lingqu, and its changes count."""
    own = Path(inspect.getfile(kind))
    beside = sorted(own.parent.glob("*.py")) if (own.parent / "__init__.py").exists() else [own]
    whole = hashlib.sha256()
    for file in beside:
        whole.update(hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()


@cache
def libraries() -> dict[str, str | None]:
    """The versions of the libraries that compute, as installed; one that is not counts as such."""
    found: dict[str, str | None] = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found
