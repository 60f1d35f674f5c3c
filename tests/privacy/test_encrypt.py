"""Encryption: what was written comes back, and nothing else does."""

import io
import random
import subprocess
import sys

import pytest

from lingqu.errors import RequestError, StoreError
from lingqu.privacy.encrypt import CHUNK, TAG, MasterKeys, decrypt, encrypt, new_master_key, spelled

KEYS = MasterKeys((bytes(range(32)),))
HEAD = 19 + 20
WRAPPED = 12 + 32 + TAG


def closed(data: bytes, keys: MasterKeys = KEYS) -> bytes:
    target = io.BytesIO()
    encrypt(io.BytesIO(data), target, keys)
    return target.getvalue()


def opened(data: bytes, keys: MasterKeys = KEYS) -> bytes:
    target = io.BytesIO()
    decrypt(io.BytesIO(data), target, keys)
    return target.getvalue()


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 17])
def test_a_file_of_any_length_comes_back(size):
    data = random.Random(size).randbytes(size)
    assert opened(closed(data)) == data


def test_the_same_file_is_never_encrypted_to_the_same_bytes():
    first, second = closed(b"x" * 100), closed(b"x" * 100)
    assert first[HEAD:] != second[HEAD:]
    assert b"xxxx" not in first


@pytest.mark.heavy
def test_a_thousand_flipped_bits_are_found():
    """P10."""
    whole = closed(random.Random(0).randbytes(CHUNK + 5000))
    draw = random.Random(1)
    # Every byte of the head and of the wrapped key, the ends of both chunks, and the rest by chance.
    places = [*range(HEAD + WRAPPED), *range(len(whole) - 40, len(whole))]
    places += [draw.randrange(len(whole)) for _ in range(1000 - len(places))]
    assert len(places) == 1000
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 1 << draw.randrange(8)
        with pytest.raises(StoreError):
            opened(bytes(changed))


@pytest.mark.heavy
def test_every_truncation_is_found():
    whole = closed(b"channel" * 60)
    for length in range(len(whole)):
        with pytest.raises(StoreError):
            opened(whole[:length])
    long = closed(bytes(2 * CHUNK + 100))
    for chunks in (0, 1, 2):
        with pytest.raises(StoreError):
            opened(long[: HEAD + WRAPPED + chunks * (CHUNK + TAG)])
    for extra in (b"x", long[-116:], long[HEAD + WRAPPED :]):
        with pytest.raises(StoreError):
            opened(long + extra)


def test_chunks_that_are_swapped_repeated_dropped_or_of_another_file_are_found():
    def parts(data: bytes) -> list[bytes]:
        body = data[HEAD + WRAPPED :]
        return [
            data[:HEAD],
            data[HEAD : HEAD + WRAPPED],
            *(body[i : i + CHUNK + TAG] for i in range(0, len(body), CHUNK + TAG)),
        ]

    plain = random.Random(2).randbytes(2 * CHUNK + 100)
    head, key, a, b, c = parts(closed(plain))
    head2, key2, a2, *_ = parts(closed(plain))
    assert opened(b"".join((head, key, a, b, c))) == plain
    for wrong in (
        (head, key, b, a, c), (head, key, a, a, c), (head, key, a, c), (head, key, b, c), (head, key, c), (head, key, a, b, c, c),
        (head, key, a2, b, c), (head2, key, a, b, c), (head, key2, a, b, c), (head2, key2, a, b, c),
    ):  # fmt: skip
        with pytest.raises(StoreError):
            opened(b"".join(wrong))


def test_what_is_told_of_a_damaged_file():
    whole = bytearray(closed(b"x"))
    whole[-1] ^= 1
    with pytest.raises(StoreError) as error:
        opened(bytes(whole))
    assert str(error.value) == (
        "Expected an encrypted file as it was written, found other bytes in chunk 1, or chunks missing after it. "
        "It is damaged: restore it from a backup."
    )
    with pytest.raises(StoreError) as error:
        opened(b"a plain text")
    assert "found something else" in str(error.value)
    with pytest.raises(StoreError) as error:
        opened(closed(b"x"), MasterKeys((new_master_key(), new_master_key())))
    assert "found only 2 other" in str(error.value)


def test_a_source_that_gives_little_at_a_time():
    class Slow(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 70_001))

    data = random.Random(3).randbytes(CHUNK + 12345)
    target, plain = io.BytesIO(), io.BytesIO()
    encrypt(Slow(data), target, KEYS)
    decrypt(Slow(target.getvalue()), plain, KEYS)
    assert plain.getvalue() == data


def test_records_open_in_their_place_alone():
    sealed = KEYS.seal(b"channel", b"predictions:1")
    assert KEYS.open(sealed, b"predictions:1") == b"channel"
    draw = random.Random(4)
    wrong = [
        (sealed, b"predictions:2"),
        (b"", b"predictions:1"),
        (sealed[:-1], b"predictions:1"),
        (sealed + b"x", b"predictions:1"),
    ]
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1 << draw.randrange(8)
        wrong.append((bytes(changed), b"predictions:1"))
    for data, place in wrong:
        with pytest.raises(StoreError):
            KEYS.open(data, place)


@pytest.mark.heavy
def test_no_nonce_comes_twice():
    """P10: salt and nonce of 50,000 records; the million of `make proofs` says the same."""
    assert_unique(50_000)


@pytest.mark.slow
def test_no_nonce_comes_twice_in_a_million():
    assert_unique(1_000_000)


def assert_unique(count: int) -> None:
    seen = {KEYS.seal(b"", b"")[5:33] for _ in range(count)}
    assert len(seen) == count


def test_keys_change_and_old_records_still_open():
    old, new = new_master_key(), new_master_key()
    sealed = MasterKeys((old,)).seal(b"x", b"p")
    both = MasterKeys.given({"LINGQU_ENCRYPTION_KEY": f"{spelled(new)} {spelled(old)}"})
    assert both is not None
    assert both.open(sealed, b"p") == b"x"
    assert MasterKeys((new,)).open(both.seal(b"y", b"p"), b"p") == b"y"


def test_keys_from_a_file(tmp_path):
    file = tmp_path / "key"
    key = new_master_key()
    file.write_text(spelled(key) + "\n")
    found = MasterKeys.given({"LINGQU_ENCRYPTION_KEY_FILE": str(file)})
    assert found is not None
    assert found.keys == (key,)
    assert spelled(key) not in repr(found)
    assert repr(found) == "MasterKeys(1 of them)"
    for wrong in ("hunter2", "x" * 43 + "é", "a" * 42):
        file.write_text(wrong)
        with pytest.raises(RequestError) as error:
            MasterKeys.given({"LINGQU_ENCRYPTION_KEY_FILE": str(file)})
        assert wrong not in str(error.value)
        assert "Make one: lingqu keys secret" in str(error.value)
    with pytest.raises(RequestError) as error:
        MasterKeys.given({"LINGQU_ENCRYPTION_KEY_FILE": str(tmp_path / "none")})
    assert str(error.value) == (
        "Expected a key in the file of LINGQU_ENCRYPTION_KEY_FILE, found no such file or directory. Make one: lingqu keys secret"
    )


LARGE = """
import resource, sys
from lingqu.privacy.encrypt import MasterKeys, decrypt, encrypt
size = int(sys.argv[1]) << 20
class Zeros:
    left = size
    def read(self, most):
        most = min(most, self.left); self.left -= most
        return bytes(most)
class Count:
    total = 0
    def write(self, data): self.total += len(data)
keys = MasterKeys((bytes(32),)); path = sys.argv[2]; count = Count()
with open(path, "w+b") as file:
    encrypt(Zeros(), file, keys); file.seek(0); decrypt(file, count, keys)
assert count.total == size, count.total
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize(
    "megabytes", [pytest.param(128, marks=pytest.mark.heavy), pytest.param(2048, marks=pytest.mark.slow)]
)
def test_a_large_file_in_little_memory(tmp_path, megabytes):
    """P10: 64 MiB beside what Python and its libraries take themselves."""
    largest = [
        int(
            subprocess.run(
                [sys.executable, "-c", LARGE, str(size), str(tmp_path / "large")],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for size in (1, megabytes)
    ]
    assert largest[1] < 64 * 1024 or largest[1] - largest[0] < 8 * 1024, largest
