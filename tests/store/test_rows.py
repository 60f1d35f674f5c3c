"""Rows that are kept: what a kill or damage takes away is computed again, and nothing else is."""

import numpy as np
import pytest

from lingqu.store.rows import RowCache, row_key

WHAT = {"encoder": "abc", "layers": [3, 4]}


def filled(folder, rows=6, chunk=2):
    keys = [row_key(np.arange(row + 1)) for row in range(rows)]
    cache = RowCache(folder, WHAT)
    for start in range(0, rows, chunk):
        lengths = np.arange(start + 1, start + chunk + 1)
        values = np.concatenate([np.full((length, 2, 3), length, np.float16) for length in lengths])
        cache.add(keys[start : start + chunk], lengths, values)
    return keys


def test_rows_come_back_in_any_order(tmp_path):
    keys = filled(tmp_path)
    values, lengths = RowCache(tmp_path, WHAT).read([keys[4], keys[0], keys[4]])
    assert lengths.tolist() == [5, 1, 5]
    assert (values.shape, values.dtype) == ((11, 2, 3), np.float16)
    assert values[:, 0, 0].tolist() == [5] * 5 + [1] + [5] * 5


def test_another_computation_shares_nothing(tmp_path):
    keys = filled(tmp_path)
    assert RowCache(tmp_path, {**WHAT, "layers": [4]}).missing(keys) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(KeyError):
        RowCache(tmp_path, {**WHAT, "layers": [4]}).read(keys)


@pytest.mark.parametrize("harm", ["other bytes", "cut short", "no rows", "no values", "rows of another kind"])
def test_a_chunk_that_is_not_whole_counts_as_absent(harm, tmp_path):
    keys = filled(tmp_path)
    rows = min(tmp_path.rglob("*.rows.npy"))
    values = rows.with_name(rows.name.replace(".rows", ""))
    lost = np.load(rows)["key"].tolist()
    for path in (rows, values):
        path.chmod(0o600)
    if harm == "other bytes":
        values.write_bytes(values.read_bytes()[:-1] + b"!")
    elif harm == "cut short":
        values.write_bytes(values.read_bytes()[:-1])
    elif harm == "rows of another kind":
        np.save(rows, np.zeros(2))
    else:
        (rows if harm == "no rows" else values).unlink()
    cache = RowCache(tmp_path, WHAT)
    assert [keys[place] for place in cache.missing(keys)] == [key for key in keys if key in lost]


def test_a_row_is_known_by_type_shape_and_content():
    rows = [np.zeros(2, np.int64), np.zeros(4, np.int32), np.zeros((1, 2), np.int64), np.ones(2, np.int64)]
    keys = {row_key(row) for row in rows}
    assert len(keys) == 4
    assert not any(key.endswith(b"\0") for key in keys)
