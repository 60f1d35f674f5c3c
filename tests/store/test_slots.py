"""Counters that processes share."""

import os

import pytest

from lingqu.errors import StoreError
from lingqu.store.slots import RECORDS, Slots


@pytest.fixture
def slots(tmp_path):
    made = Slots(tmp_path / "slots", "q")
    yield made
    made.close()


def test_names_of_few_letters_are_spread_over_all_records(slots):
    """The ids of keys are hexadecimal; among as many as there are records, some 63 % have a place of their own."""
    starts = {slots._start(os.urandom(6).hex().encode().ljust(16, b"\0")) for _ in range(RECORDS)}
    assert len(starts) > RECORDS / 2


def test_every_name_is_found_again_until_all_records_are_taken(tmp_path):
    slots = Slots(tmp_path / "slots", "qd", records=50)
    for number in range(50):
        with slots.change(f"key {number}") as counters:
            counters[:] = [number + 1, number / 2]
    for number in range(50):
        with slots.change(f"key {number}") as counters:
            assert counters == [number + 1, number / 2]
    with pytest.raises(StoreError, match="at most 50 keys with limits, found more"), slots.change("another"):
        pass
    slots.close()


def test_what_is_removed_makes_room_and_all_others_are_found_again(tmp_path):
    slots = Slots(tmp_path / "slots", "q", records=50)
    for number in range(50):
        with slots.change(f"key {number}") as counters:
            counters[0] = number + 1
    slots.remove([*(f"key {number}" for number in range(0, 50, 2)), "nobody"])
    for number in range(25):
        with slots.change(f"new {number}") as counters:
            assert counters == [0]
            counters[0] = 100 + number
    for number in range(50):
        with slots.change(f"key {number}" if number % 2 else f"new {number // 2}") as counters:
            assert counters == [number + 1 if number % 2 else 100 + number // 2]
    slots.close()
