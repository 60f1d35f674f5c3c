"""The rule of drift on real rows: texts in two languages, tables, pictures; quiet while nothing changes, and soon when it does.

The rows of each data set are shuffled, so that by construction nothing moves; then the stream changes: other topics, other
people, darker pictures. Rows of a real set repeat each other and have ties, which simulations do not.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lingqu.contract import Rows
from lingqu.monitor.drift import LEVEL, compare, standing
from lingqu.monitor.signals import Signal, of_columns

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not DATA.is_dir(), reason="the data sets are not here")]

REPEATS, WINDOWS, HELD_OUT = 8, 12, 2000


def table(name: str, *parts: str) -> dict[str, list[Any]]:
    import pyarrow.parquet

    read = [pyarrow.parquet.read_table(DATA / name / f"{part}.parquet").to_pydict() for part in parts]
    return {column: [value for one in read for value in one[column]] for column in read[0] if column in read[-1]}


def news() -> tuple[Rows, dict[str, str], np.ndarray, None]:
    rows = table("ag_news", "train", "test")
    sport = np.array(rows["label"]) == 1
    return Rows({"text": rows["text"]}), {"text": "text"}, sport, None


def shopping() -> tuple[Rows, dict[str, str], np.ndarray, None]:
    rows = table("online_shopping_zh", "test")
    books = np.array(rows["category"]) == Counter(rows["category"]).most_common(1)[0][0]
    return Rows({"text": rows["text"]}), {"text": "text"}, books, None


def people() -> tuple[Rows, dict[str, str], np.ndarray, None]:
    rows = table("adult", "train")
    kinds = {
        name: "number" if isinstance(values[0], int | float) else "category"
        for name, values in rows.items()
        if name != "income"
    }
    return Rows(rows).select(kinds), kinds, np.array(rows["age"]) > 35, None


def pictures() -> tuple[Rows, dict[str, str], np.ndarray, Callable[[bytes], bytes]]:
    rows = table("cifar10", "test")
    return Rows({"image": rows["image"]}), {"image": "image"}, np.ones(len(rows["image"]), bool), darker


def darker(data: bytes) -> bytes:
    from PIL import Image

    picture = Image.open(io.BytesIO(data)).convert("RGB").point(lambda level: int(level * 0.75))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "stream", "mix", "most"),
    [
        ("ag_news", news, 0.6, 3),
        ("online_shopping_zh", shopping, 0.8, 3),
        ("adult", people, 0.5, 3),
        ("cifar10", pictures, 0.7, 3),
    ],
)
def test_quiet_streams_stay_quiet_and_changed_ones_are_seen(
    name: str, stream: Callable[[], Any], mix: float, most: int
) -> None:
    """In the changed stream a share `mix` of the rows comes from elsewhere: another topic, older people, darker pictures."""
    rows, kinds, other, change = stream()
    rng, drifted, alarms, found = np.random.default_rng(0), 0, 0, []
    known = {column: sorted({str(v) for v in rows[column]}) for column, kind in kinds.items() if kind == "category"}

    def signals(places: np.ndarray, changed: bool = False) -> list[Signal]:
        taken = rows.take(places.tolist())
        if changed and change is not None:
            dark = rng.random(len(places)) < mix
            images = [change(v) if d else v for v, d in zip(taken["image"], dark, strict=True)]
            taken = taken.with_columns({"image": images})
        return of_columns(taken, kinds, known)

    for _ in range(REPEATS):
        order = rng.permutation(len(rows))
        reference, rest = signals(order[:HELD_OUT]), order[HELD_OUT:]
        elsewhere, seen = rest[other[rest]], []
        for window in range(WINDOWS):
            places = rest[window * 300 : (window + 1) * 300]
            seen.append([one.signal for one in compare(reference, signals(places), LEVEL) if one.drifted])
            drifted += bool(seen[-1])
            alarms += bool(standing(seen))
        later: list[list[str]] = []
        for _ in range(6):
            count = int(300 * mix) if change is None else 0
            places = np.concatenate([rng.choice(elsewhere, count), rng.choice(rest, 300 - count)])
            later.append(
                [one.signal for one in compare(reference, signals(places, changed=True), LEVEL) if one.drifted]
            )
            if standing(later):
                break
        found.append(len(later) if standing(later) else 7)
    quiet = REPEATS * WINDOWS
    print(f"{name}: {drifted} of {quiet} quiet windows drifted, {alarms} alarmed; changed: window {np.median(found):g}, "
          f"latest {max(found)}")  # fmt: skip
    assert alarms == 0
    assert drifted <= 0.03 * quiet
    assert np.median(found) <= most
