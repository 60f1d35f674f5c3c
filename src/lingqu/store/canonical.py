"""One spelling for each JSON value, and the digest of bytes: what makes equal things have equal names.

>>> canonical_json({"b": [1, 2.5], "a": "渠"}).decode()
'{"a":"渠","b":[1,2.5]}'
>>> digest_of(b"lingqu")[:12]
'48fa82e1e92e'
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from lingqu.errors import Problem, StoreError

_DIGEST = re.compile(r"[0-9a-f]{64}")


def canonical_json(value: Any) -> bytes:
    r"""The one UTF-8 spelling of a JSON value: sorted keys, no spaces, no NaN.

    ValueError or TypeError for what JSON cannot say.

    >>> canonical_json({"z": None, "é": True})
    b'{"z":null,"\xc3\xa9":true}'
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def digest_of(data: bytes) -> str:
    """The SHA-256 of bytes, in lower-case hexadecimal.

    >>> digest_of(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    True
    """
    return hashlib.sha256(data).hexdigest()


def is_digest(text: object) -> bool:
    """Whether this is a digest as `digest_of` spells it, and nothing that could be a path.

    >>> is_digest("../../etc/passwd"), is_digest(digest_of(b"x"))
    (False, True)
    """
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def check_digest(text: str) -> str:
    """The digest itself, or StoreError when it is none.

    >>> check_digest("latest")
    Traceback (most recent call last):
    lingqu.errors.StoreError: Expected a digest of 64 hexadecimal digits, found 'latest'. See: lingqu fsck
    """
    if not is_digest(text):
        raise StoreError(Problem("a digest of 64 hexadecimal digits", repr(text)[:100], "See: lingqu fsck"))
    return text
