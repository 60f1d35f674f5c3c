"""The version of the code that makes a stage, as a hash of its source.

>>> len(code_version("contract", "errors"))
64
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from lingqu.store.canonical import canonical_json, digest_of

_PACKAGE = Path(__file__).parents[1]


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
            files[path.relative_to(_PACKAGE).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return digest_of(canonical_json(files))
