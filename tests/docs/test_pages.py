"""Every block and command of the documentation does what the page says; a Chinese page has those of its English twin."""

import re
import shlex
from pathlib import Path

import pytest

from tests.docs.page import LOOKED_AT, ROOT, Block, Reader, blocks, slow
from tests.docs.readers_own import GIVEN

PAGES = sorted(
    page.relative_to(ROOT)
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md"))
    if "results" not in page.parts
)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]+)")


def english(page: Path) -> Path | None:
    """The page that a Chinese page says the same as."""
    if page.name.endswith(".zh-CN.md"):
        return page.with_name(page.name.replace(".zh-CN", ""))
    return Path("docs", *page.parts[2:]) if page.parts[:2] == ("docs", "zh") else None


def text_of(page: Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def runnable(page: Path) -> list[Block]:
    return [block for block in blocks(text_of(page)) if block.language not in LOOKED_AT or block.title]


def _to_run() -> list:
    """Each English page that has something to run; those that train are for `make heavy`."""
    pages = [page for page in PAGES if english(page) is None and runnable(page)]
    return [pytest.param(page, id=str(page), marks=[pytest.mark.heavy] * slow(text_of(page))) for page in pages]


@pytest.mark.parametrize("page", _to_run())
def test_a_page_does_what_it_says(page: Path, reader: Reader, request: pytest.FixtureRequest) -> None:
    if page.parts[0] == "examples":
        for file in (file for file in (ROOT / page.parent).iterdir() if file.is_file()):
            (reader.folder / file.name).write_bytes(file.read_bytes())
    if page.name == "postgresql.md":
        reader.environment["LINGQU_DATABASE_URL"] = request.getfixturevalue("postgresql")()
    if page.parts[0] == "docs":
        # The pages begin in the folder of the repository.
        (reader.folder / "examples").symlink_to(ROOT / "examples")
    if str(page) in GIVEN:
        GIVEN[str(page)](reader.folder)
    assert reader.follow(str(page), text_of(page))


@pytest.mark.parametrize("page", [page for page in PAGES if english(page)], ids=str)
def test_a_chinese_page_has_the_blocks_of_its_english_twin(page: Path) -> None:
    twin = english(page)
    assert twin is not None
    mine, theirs = ([(one.language, one.title, _bare(one)) for one in runnable(which)] for which in (page, twin))
    assert mine == theirs


def _bare(block: Block) -> list[str]:
    """The block without its comments, which are in the page's own language."""
    if block.language in ("sh", "bash", "yaml"):
        return [" ".join(shlex.split(line, comments=True)) for line in block.text.splitlines()]
    return block.text.splitlines()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    generated = ("lessons/", "reference/")
    for link in LINK.findall(text_of(page)):
        target = (ROOT / page).parent / link
        inside = target.resolve().relative_to(ROOT / "docs").as_posix() if page.parts[0] == "docs" else ""
        assert target.exists() or inside.startswith(generated), link
