"""Every block and command of the documentation does what the page says."""

from pathlib import Path

import pytest

from lingqu.tasks import find_task
from tests.docs.page import LOOKED_AT, ROOT, Reader, blocks, slow

PAGES = sorted(
    page.relative_to(ROOT)
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/*.md"))
    if "results" not in page.parts
)
# What the reader is said to have already, by page: rows of their own.
TOYS = find_task("text-classification").toy(300)
MESSAGES = "".join(f"{row['text']},{row['label']}\n" for row in TOYS)
OWN = {"tickets.csv": f"message,queue\n{MESSAGES}", "new.csv": "message\nthe soup is sweet\n"}
READERS_OWN = {"README.md": OWN, "README.zh-CN.md": OWN}


def _pages() -> list:
    """Each page that has something to run; those that train are for `make heavy`."""
    found = []
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        if any(block.language not in LOOKED_AT for block in blocks(text)):
            found.append(pytest.param(page, id=str(page), marks=[pytest.mark.heavy] * slow(text)))
    return found


@pytest.mark.parametrize("page", _pages())
def test_a_page_does_what_it_says(page: Path, reader: Reader) -> None:
    for name, text in READERS_OWN.get(str(page), {}).items():
        (reader.folder / name).write_text(text, encoding="utf-8")
    if page.parts[0] == "examples":
        copy_example(ROOT / page.parent, reader.folder)
    assert reader.follow(str(page), (ROOT / page).read_text(encoding="utf-8"))


def copy_example(example: Path, folder: Path) -> None:
    """The files of an example, without what a run left beside them."""
    for file in example.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
