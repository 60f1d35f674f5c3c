"""What kind a column is taken for, and that a user can say otherwise."""

from __future__ import annotations

import pytest

from lingqu.contract import Rows
from lingqu.data.types import infer

COLUMNS = {
    "age": ([str(20 + n % 50) for n in range(100)], "number"),
    "price": ([f"{n},{n % 900 + 100}.50" for n in range(1, 101)], "number"),
    "few": (["0", "1"] * 50, "number"),
    "mostly": (["12"] * 96 + ["1" + str(n) for n in range(3)] + ["oops"], "number"),
    "zip": ([f"0{n:04}" for n in range(100)], "id"),
    "region": ([f"0{n % 9}" for n in range(100)], "category"),
    "colour": (["red", "blue", "green", ""] * 25, "category"),
    "yes": ([True, False] * 50, "category"),
    "user_id": ([str(n * 3) for n in range(100)], "id"),
    "sku": ([f"A-{n}" for n in range(100)], "id"),
    "day": ([f"2024-01-{n % 28 + 1:02}" for n in range(100)], "time"),
    "at": ([f"2024-01-{n % 28 + 1:02}T10:00:00Z" for n in range(100)], "time"),
    "note": ([f"the guest of room {n} was happy with it" for n in range(100)], "text"),
    "评论": ([f"房间{n}很干净，服务也不错" for n in range(100)], "text"),
    "empty": ([None, "", "NA", "-"] * 25, "ignore"),
    "photo": ([b"\x89PNG"] * 100, "image"),
    "wide": (["１２", "１３"] * 50, "number"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_kind_is_inferred(name: str) -> None:
    values, kind = COLUMNS[name]
    assert infer(Rows({name: values})) == {name: kind}


def test_what_the_user_says_is_not_questioned() -> None:
    assert infer(Rows({"zip": ["02139"] * 30}), {"zip": "number"}) == {"zip": "number"}
