"""Many rows at once: heavy ones go in more requests, and a text a line stays as it was written."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import pytest

from lingqu.serve.body import MOST_BYTES
from lingqu.tasks import find_task
from tests.page.conftest import Visit
from tests.page.test_page import saved, several, texts

pytestmark = pytest.mark.heavy


def heavy_picture(name: str, png: bytes, size: int) -> dict[str, Any]:
    """The picture with a block of so many bytes that readers pass over, as cameras write."""
    kind, block = b"fiLl", bytes(size)
    chunk = struct.pack(">I", size) + kind + block + struct.pack(">I", zlib.crc32(kind + block))
    end = png.rindex(b"IEND") - 4
    return {"name": name, "mimeType": "image/png", "buffer": png[:end] + chunk + png[end:]}


def test_photographs_that_fit_no_request_together_go_in_several(visit: Visit) -> None:
    page = visit("digits")
    sent: list[int] = []
    page.on("request", lambda one: one.method == "POST" and sent.append(len(one.post_data_buffer)))
    toy = find_task("image-classification").toy(5)
    page.locator("input[value=several]").check(force=True)
    files = [heavy_picture(f"{i}.png", data, 2_200_000) for i, data in enumerate(toy["image"])]
    page.set_input_files("#rows-file", files)
    page.get_by_text("5 rows").wait_for()
    page.get_by_role("button", name="Ask for all").click()
    page.locator("#table tbody tr").first.wait_for()
    assert texts(page, "#table td.strong") == toy["label"]
    assert len(sent) == 3
    assert max(sent) < MOST_BYTES / 1.5
    assert sum(sent) > MOST_BYTES


def test_a_row_that_fits_no_request_costs_the_others_nothing(visit: Visit) -> None:
    page = visit("topics")
    long = "长" * (MOST_BYTES // 3)
    several(page, f"our team won\n{long}\nsalty soup")
    page.locator("#table tbody tr").first.wait_for()
    assert texts(page, "#table td.strong") == ["sport", "food"]
    assert "Send fewer rows" in texts(page, "#table td.bad")[0]


LINES = [
    "Good food; slow service",
    "a, b, and\tc",
    'he said "never again"',
    '"Great" was the soup',
    '"an open quote',
    "the team won",
]


def test_a_text_a_line_stays_as_it_was_written(visit: Visit) -> None:
    page = visit("topics")
    sent: list[str] = []
    page.on("request", lambda one: one.method == "POST" and sent.extend(r["text"] for r in one.post_data_json["rows"]))
    several(page, "\n".join([LINES[0], "", *LINES[1:], " "]))
    page.locator("#table tbody tr").first.wait_for()
    assert sent == LINES
    assert [row[1] for row in saved(page)[1:]] == LINES
    file = {"name": "a.txt", "mimeType": "text/plain", "buffer": "\r\n".join(LINES).encode()}
    page.set_input_files("#rows-file", [file])
    page.get_by_text("6 rows").wait_for()


def test_below_a_name_a_text_is_csv_and_unclear_quotes_are_told(visit: Visit) -> None:
    page = visit("topics")
    sent: list[str] = []
    page.on("request", lambda one: one.method == "POST" and sent.extend(r["text"] for r in one.post_data_json["rows"]))
    several(page, '\nText\nGood food, slow service\n"one, ""two""\nlines"\n')
    page.locator("#table tbody tr").first.wait_for()
    assert sent == ["Good food, slow service", 'one, "two"\nlines']
    sent.clear()
    for unclear in ('"open\nthe team won\n', '"Great" was the soup\nthe team won\n'):
        several(page, f"text\n{unclear}")
        page.get_by_text("The quotation marks around “" + unclear.split('"')[1][:4]).wait_for()
    assert sent == []
