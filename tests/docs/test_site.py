"""The site is built from what is here, strictly, and asks nothing of the network; what is generated is whole."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import lingqu
from lingqu import errors
from lingqu.cli import COMMANDS
from lingqu.metrics import METRICS
from lingqu.models import FAMILIES, find_family
from lingqu.tasks import OURS
from tests.docs.page import ROOT
from tools import reference


def test_the_generator_shows_what_it_says() -> None:
    assert doctest.testmod(reference, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


def test_every_command_is_on_the_page_of_the_command_line() -> None:
    text = reference.command_line()
    for verb, (_, about, arguments) in COMMANDS.items():
        assert f"\n## {verb}\n" in text
        assert about[1:] in text
        for names, _ in arguments:
            assert names[-1].lower() in text.lower(), (verb, names)


def test_every_public_name_task_metric_and_error_has_its_words() -> None:
    python = reference.python()
    for name in lingqu.__all__:
        assert f"\n### {name}\n" in python
    assert " object at 0x" not in python
    assert " at 0x" not in python
    for names, text in ((OURS, reference.tasks()), (METRICS, reference.metrics())):
        assert all(name in text for name in names)
    tree = reference.error_tree()
    assert all(f"`{kind.__name__}`" in tree for kind in errors.LingquError.__subclasses__())


def test_prose_keeps_signs_and_code() -> None:
    assert reference.described("a < b, `a < b`") == "a \\< b, `a < b`\n"
    assert reference.described("One:\n\n    y = W x\n      + b\n\nEnd.").splitlines()[2:6] == [
        "```text",
        "y = W x",
        "  + b",
        "```",
    ]


@pytest.mark.heavy
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_a_lesson(name: str) -> None:
    text = reference.lesson(name)
    assert find_family(name).about in text
    assert re.search(r"```pycon\n>>> ", text), "a family's file needs an example that runs"
    assert re.search(r"Sources?:|arXiv|\b(19|20)\d\d\b", text.split("## Where")[0]), "and the source it was taken from"
    assert f"`model: {name}`" in text


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    # The very line of the Makefile, with what finds modules there and nothing more.
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^docs:.*\n\t(.+)$", makefile, re.MULTILINE)
    assert recipe is not None
    line = recipe[1].replace("$(BIN)", shlex.quote(str(Path(sys.executable).parent)))
    done = subprocess.run(
        ["bash", "-c", f"{line} -d {shlex.quote(str(folder))}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.heavy
def test_the_site_is_built_strictly_and_asks_nothing_of_the_network(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(FAMILIES)
    loaded = re.compile(r"<(?:script|img|iframe|source)[^>]+src=\"?(?:https?:)?//|<link[^>]+href=\"?(?:https?:)?//")
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not [tag for tag in loaded.findall(text) if "canonical" not in tag], page
        assert "fonts.googleapis" not in text, page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(\"?https?:", sheet.read_text(encoding="utf-8")), sheet


@pytest.mark.heavy
def test_every_written_page_is_in_the_menu(site: Path) -> None:
    menu = (site / "index.html").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        path = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert f'href="{path}"' in menu.replace('href="./"', 'href="index.html"'), path
