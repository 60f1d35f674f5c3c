"""HARDENING D9: planted near-duplicates are found, and no group is ever in two splits."""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lingqu.contract import Rows
from lingqu.data.groups import digests, group_leaders, numbered, places, table_groups
from lingqu.data.marks import Coded
from lingqu.data.near_duplicates import text_groups
from lingqu.data.similar_images import image_groups, thumbnail
from lingqu.data.split import assign, assign_by_time, place

PLANTED = 200
DRAW = np.random.default_rng(9)
ENGLISH = ["".join(map(chr, DRAW.integers(97, 123, DRAW.integers(2, 9)))) for _ in range(3000)]
CHINESE = [chr(code) for code in range(0x4E00, 0x4E00 + 2500)]


def english() -> list[str]:
    return DRAW.choice(ENGLISH, DRAW.integers(40, 120)).tolist()


def edited(words: list[str]) -> str:
    """The text as somebody else would paste it: other case, spaces and punctuation, a word changed, one left out."""
    words = list(words)
    words[DRAW.integers(len(words))] = "other"
    del words[DRAW.integers(len(words))]
    text = "  ".join(words)
    return text.upper() + " !" if DRAW.random() < 0.5 else text.capitalize()


@pytest.mark.heavy
def test_planted_texts_are_found_and_others_are_not() -> None:
    plain = [english() for _ in range(2000)]
    texts = [" ".join(words) for words in plain] + [edited(words) for words in plain[:PLANTED]]
    groups = text_groups(texts)
    found = sum(groups[2000 + i] == groups[i] for i in range(PLANTED))
    assert found >= 0.99 * PLANTED
    assert len(set(groups)) == len(texts) - found


def test_planted_chinese_texts_are_found() -> None:
    plain = ["".join(DRAW.choice(CHINESE, DRAW.integers(60, 150))) for _ in range(1000)]
    changed = [text[:30] + "换" + text[31:] + "！" for text in plain[:PLANTED]]
    groups = text_groups(plain + changed)
    assert sum(groups[1000 + i] == groups[i] for i in range(PLANTED)) >= 0.99 * PLANTED
    assert len(set(groups)) <= 1000 + 0.01 * PLANTED


def picture() -> Image.Image:
    rough = DRAW.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(rough).resize((96, 96), Image.Resampling.BICUBIC)


def saved(picture: Image.Image, kind: str, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=quality)
    return buffer.getvalue()


def saved_again(picture: Image.Image) -> bytes:
    """The picture as it comes back from elsewhere: scaled, a little brighter or darker, in another format."""
    side = int(DRAW.integers(64, 160))
    factor = DRAW.uniform(0.92, 1.08)
    again = picture.resize((side, side)).point(lambda level: int(min(255, level * factor)))
    return saved(again, "WEBP" if DRAW.random() < 0.5 else "JPEG", int(DRAW.integers(60, 95)))


def groups_of(files: list[bytes]) -> list[int]:
    thumbnails = np.stack([thumbnail(data) for data in files])
    return image_groups(thumbnails, [hashlib.sha256(data).hexdigest() for data in files])


@pytest.mark.heavy
def test_planted_pictures_are_found_and_others_are_not() -> None:
    pictures = [picture() for _ in range(1000)]
    files = [saved(one, "JPEG", 95) for one in pictures] + [saved_again(one) for one in pictures[:PLANTED]]
    groups = groups_of(files)
    found = sum(groups[1000 + i] == groups[i] for i in range(PLANTED))
    assert found >= 0.99 * PLANTED
    assert len(set(groups)) == len(files) - found


def test_flat_pictures_are_the_same_only_when_equal() -> None:
    flat = [saved(Image.new("L", (20, 20), level), "PNG", 0) for level in (0, 0, 255, 128)]
    assert groups_of(flat) == [0, 0, 2, 3]


def test_groups_do_not_depend_on_the_order_of_rows() -> None:
    plain = [english() for _ in range(200)]
    texts = [" ".join(words) for words in plain] + [edited(words) for words in plain[:50]]
    order = DRAW.permutation(len(texts)).tolist()

    def members(groups: list[int], positions: list[int]) -> set[frozenset[int]]:
        found: dict[int, set[int]] = defaultdict(set)
        for position, group in zip(positions, groups, strict=True):
            found[group].add(position)
        return {frozenset(one) for one in found.values()}

    straight = members(text_groups(texts), list(range(len(texts))))
    assert straight == members(text_groups([texts[i] for i in order]), order)


@pytest.mark.parametrize("texts", [[], [""], ["a", "a", "b"], ["，", "。"], ["\U0001f600" * 3, "\U0001f600" * 3]])
def test_very_short_texts(texts: list[str]) -> None:
    assert text_groups(texts) == [texts.index(text) for text in texts]


@pytest.mark.heavy
def test_many_equal_or_almost_equal_texts_stay_quick() -> None:
    texts = [
        f"order number {n} has been sent to the address that you gave us, thank you very much" for n in range(5000)
    ]
    assert len(set(text_groups(texts))) == 1


def test_equal_rows_of_a_table() -> None:
    rows = Rows({"x": [1.0, 2.0, 1.0, 3.0], "y": ["a", "a", "a", None]})
    found = places(np.frombuffer(b"".join(digests(rows)), np.uint8).reshape(-1, 32))
    near, coincidences = table_groups(found)
    assert [near.tolist().index(group) for group in near.tolist()] == [0, 1, 0, 3]
    assert not coincidences


ROWS = st.lists(
    st.tuples(
        st.sampled_from("abcdefgh") | st.uuids().map(str),
        st.integers(0, 5),
        st.sampled_from(["ann", "bob", "cy", None]),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=20,
)


def hold(rows: list[tuple[str, int, str | None, int]], seed: int) -> None:
    """No near-duplicate group, value of the group column or moment is in two splits, and nothing trained is later."""
    asked, names = Coded(), Coded()
    asked.add(digest for digest, *_ in rows)
    names.add(row[2] for row in rows)
    near = [[row[1] for row in rows].index(row[1]) for row in rows]
    named = [row[2] for row in rows]
    times = [float(row[3]) for row in rows]
    asks = asked.in_order()
    keys = [str(leader) for leader in group_leaders(asks, numbered(asks, asks), np.array(near), names.in_order())]
    for splits in (
        assign(keys, validation=0.2, test=0.3, seed=seed),
        assign_by_time(keys, times, validation=0.2, test=0.3),
    ):
        for values in (near, [name if name is not None else i for i, name in enumerate(named)]):
            seen: dict[object, str] = {}
            assert all(seen.setdefault(value, split) == split for value, split in zip(values, splits, strict=True))
    by_time = assign_by_time(keys, times, validation=0.2, test=0.3)
    latest: dict[str, float] = {}
    for key, time in zip(keys, times, strict=True):
        latest[key] = max(time, latest.get(key, time))
    trained = [latest[key] for key, split in zip(keys, by_time, strict=True) if split == "train"]
    tested = [latest[key] for key, split in zip(keys, by_time, strict=True) if split == "test"]
    assert not trained or max(trained) < min(tested)


@settings(max_examples=200, deadline=None)
@given(ROWS, st.integers(0, 3))
@pytest.mark.heavy
def test_no_group_is_torn_apart(rows: list[tuple[str, int, str | None, int]], seed: int) -> None:
    hold(rows, seed)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(ROWS, st.integers(0, 3))
def test_no_group_is_torn_apart_in_ten_thousand(rows: list[tuple[str, int, str | None, int]], seed: int) -> None:
    hold(rows, seed)


def test_the_split_of_a_row_depends_on_its_group_alone() -> None:
    keys = [f"key {n}" for n in range(3000)]
    splits = assign(keys, validation=0.1, test=0.2)
    assert assign(keys[1500:], validation=0.1, test=0.2) == splits[1500:]
    assert 0.17 < splits.count("test") / 3000 < 0.23
    assert 0.08 < splits.count("validation") / 3000 < 0.12
    assert assign(keys, validation=0.1, test=0.2, seed=1) != splits


def test_the_hash_is_the_same_for_ever() -> None:
    assert [round(place(key), 6) for key in ("a", "灵渠")] == [0.379631, 0.033652]
