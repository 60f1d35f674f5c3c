r"""Encryption at rest: AES-256-GCM under a master key of 32 bytes that lives in the environment or a file, never in the
store.

A stream (a file) gets a random data key of its own, wrapped by the master key. It is cut into chunks of 1 MiB; the
nonce of a chunk is its number and whether it is the last, and what it belongs to is authenticated with it, so that a
chunk that is changed, dropped, repeated, moved or from another file is refused (the STREAM construction of Hoang,
Reyhanitabar, Rogaway and Vizár, 2015). A record (a cell of a table) gets a key derived from the master key and 16 random
bytes, and a random nonce: 28 random bytes that never come twice, where GCM alone allows 2^32 records a key.

>>> keys = MasterKeys((new_master_key(),))
>>> sealed = keys.seal("渠".encode(), b"predictions:1:input")
>>> keys.open(sealed, b"predictions:1:input").decode()
'渠'
>>> keys.open(sealed, b"predictions:2:input")
Traceback (most recent call last):
lingqu.errors.StoreError: Expected an encrypted record as it was written, found other bytes, or bytes of another place. It is damaged: restore it from a backup.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from lingqu.errors import Problem, RequestError, StoreError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_VARIABLE = "LINGQU_ENCRYPTION_KEY"
FILE_VARIABLE = "LINGQU_ENCRYPTION_KEY_FILE"
CHUNK = 1 << 20
TAG = 16
_MAGIC = b"lingqu encrypted 1\n"
_RECORD = b"\x01"
_FRESH = "It is damaged: restore it from a backup."
_MAKE = "Make one: lingqu keys secret"


@dataclass(frozen=True, slots=True, repr=False)
class MasterKeys:
    """Master keys: the first one encrypts, and each of them decrypts, so that a key can be changed.

    ValueError for a key that has not 32 bytes, or none at all.
    """

    keys: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if not self.keys or any(len(key) != 32 for key in self.keys):
            raise ValueError("at least one key of 32 bytes expected")

    def __repr__(self) -> str:
        return f"MasterKeys({len(self.keys)} of them)"

    @classmethod
    def given(cls, environment: Mapping[str, str] | None = None) -> MasterKeys | None:
        """The keys of LINGQU_ENCRYPTION_KEY, or of the file that LINGQU_ENCRYPTION_KEY_FILE names; None when there is
        neither. Several keys are written with spaces or line ends between them, the newest first.

        >>> MasterKeys.given({})
        >>> MasterKeys.given({"LINGQU_ENCRYPTION_KEY": "hunter2"})
        Traceback (most recent call last):
        lingqu.errors.RequestError: Expected 43 characters (32 bytes in base64) in LINGQU_ENCRYPTION_KEY, found something else. Make one: lingqu keys secret
        """
        environment = os.environ if environment is None else environment
        text, place = environment.get(KEY_VARIABLE, ""), KEY_VARIABLE
        if not text.strip() and (file := environment.get(FILE_VARIABLE, "")):
            place = FILE_VARIABLE
            try:
                text = Path(file).expanduser().read_text("ascii")
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "something else"
                raise RequestError(Problem(f"a key in the file of {FILE_VARIABLE}", reason.lower(), _MAKE)) from error
        elif not text.strip():
            return None
        try:
            keys = tuple(base64.urlsafe_b64decode(word + "=") for word in text.split())
            return cls(keys)
        except (binascii.Error, ValueError) as error:
            expected = f"43 characters (32 bytes in base64) in {place}"
            raise RequestError(Problem(expected, "something else", _MAKE)) from error

    def seal(self, data: bytes, context: bytes) -> bytes:
        """Encrypt a small record; `context` names its place, and the record opens nowhere else."""
        salt, nonce = os.urandom(16), os.urandom(12)
        head = _RECORD + _name(self.keys[0]) + salt
        return head + nonce + _cipher(_derived(self.keys[0], salt)).encrypt(nonce, data, head + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Decrypt a record; StoreError when a bit of it or its place has changed, or the key is another."""
        head, salt, nonce, body = sealed[:21], sealed[5:21], sealed[21:33], sealed[33:]
        if is_record(sealed):
            master = self._named(head[1:5])
            plain = _decrypted(_cipher(_derived(master, salt)), nonce, body, head + context)
            if plain is not None:
                return plain
        expected = "an encrypted record as it was written"
        raise StoreError(Problem(expected, "other bytes, or bytes of another place", _FRESH))

    def marks(self, data: bytes) -> tuple[str, ...]:
        """What these bytes are known by where nobody without a key shall find them by trying: a mark under each key, the
        newest key's first.

        >>> MasterKeys((bytes(32),)).marks(b"yes") == MasterKeys((new_master_key(),)).marks(b"yes")
        False
        """
        return tuple(hmac.digest(key, b"lingqu mark\0" + data, "sha256").hex() for key in self.keys)

    def _named(self, name: bytes) -> bytes:
        for key in self.keys:
            if _name(key) == name:
                return key
        advice = f"Add the key that it was written with to {KEY_VARIABLE}, after the new one."
        raise StoreError(Problem("the key that this was encrypted with", f"only {len(self.keys)} other", advice))


def is_record(data: bytes) -> bool:
    """Whether these bytes have the form of an encrypted record.

    >>> is_record(MasterKeys((bytes(32),)).seal(b"", b"")), is_record(b"a comment")
    (True, False)
    """
    return data.startswith(_RECORD) and len(data) >= len(_RECORD) + 4 + 16 + 12 + TAG


def new_master_key() -> bytes:
    """A random master key of 32 bytes.

    >>> len(new_master_key())
    32
    """
    return os.urandom(32)


def spelled(key: bytes) -> str:
    """A master key as the environment holds it.

    >>> spelled(bytes(32))
    'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
    """
    return base64.urlsafe_b64encode(key).decode().rstrip("=")


def encrypt(source: IO[bytes], target: IO[bytes], keys: MasterKeys) -> None:
    """Encrypt a stream of any length in constant memory.

    >>> from io import BytesIO
    >>> keys, target = MasterKeys((new_master_key(),)), BytesIO()
    >>> encrypt(BytesIO(b"rows"), target, keys)
    >>> plain = BytesIO()
    >>> decrypt(BytesIO(target.getvalue()), plain, keys)
    >>> plain.getvalue()
    b'rows'
    """
    data_key, file_id, nonce = os.urandom(32), os.urandom(16), os.urandom(12)
    head = _MAGIC + _name(keys.keys[0]) + file_id
    target.write(head + nonce + _cipher(_derived(keys.keys[0], file_id)).encrypt(nonce, data_key, head))
    cipher = _cipher(data_key)
    index, chunk = 0, _exactly(source, CHUNK)
    while True:
        following = _exactly(source, CHUNK) if len(chunk) == CHUNK else b""
        last = not following
        target.write(cipher.encrypt(_chunk_nonce(index, last), chunk, _place(file_id, index)))
        if last:
            return
        index, chunk = index + 1, following


def decrypt(source: IO[bytes], target: IO[bytes], keys: MasterKeys) -> None:
    """Decrypt a stream in constant memory; StoreError when it is not whole and as it was written.

    Each chunk is checked before it is written to `target`, but only the end tells that none is missing: what was
    written before the error must not be used. (`store.open_output` never shows a file whose writing failed.)
    """
    head = _exactly(source, len(_MAGIC) + 20)
    wrapped = _exactly(source, 12 + 32 + TAG)
    if not head.startswith(_MAGIC) or len(wrapped) < 12 + 32 + TAG:
        raise _damaged("something else")
    file_id = head[-16:]
    master = keys._named(head[len(_MAGIC) : -16])
    data_key = _decrypted(_cipher(_derived(master, file_id)), wrapped[:12], wrapped[12:], head)
    if data_key is None:
        raise _damaged("another head")
    cipher = _cipher(data_key)
    index, chunk = 0, _exactly(source, CHUNK + TAG)
    while True:
        following = _exactly(source, CHUNK + TAG) if len(chunk) == CHUNK + TAG else b""
        plain = _decrypted(cipher, _chunk_nonce(index, last=not following), chunk, _place(file_id, index))
        if plain is None:
            raise _damaged(f"other bytes in chunk {index + 1}, or chunks missing after it")
        target.write(plain)
        if not following:
            return
        index, chunk = index + 1, following


def _damaged(found: str) -> StoreError:
    return StoreError(Problem("an encrypted file as it was written", found, _FRESH))


def _chunk_nonce(index: int, last: bool) -> bytes:
    # The data key is the file's own, so counting from zero repeats nothing.
    return bytes([last]) + index.to_bytes(11, "big")


def _place(file_id: bytes, index: int) -> bytes:
    return file_id + index.to_bytes(8, "big")


def _exactly(source: IO[bytes], size: int) -> bytes:
    """As many bytes, or fewer at the end only: one read of a pipe or a raw file may give less than it could."""
    parts, missing = [], size
    while missing and (part := source.read(missing)):
        parts.append(part)
        missing -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _decrypted(cipher: AESGCM, nonce: bytes, data: bytes, context: bytes) -> bytes | None:
    from cryptography.exceptions import InvalidTag

    try:
        return cipher.decrypt(nonce, data, context) if len(data) >= TAG else None
    except InvalidTag:
        return None


def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _derived(master: bytes, salt: bytes) -> bytes:
    """The key of one record or one file; salts are 16 random bytes."""
    return hmac.digest(master, b"lingqu\0" + salt, "sha256")


def _name(key: bytes) -> bytes:
    """Four bytes that tell keys apart and tell nothing of them."""
    return hashlib.sha256(b"lingqu key name\0" + key).digest()[:4]
