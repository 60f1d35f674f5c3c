"""Why an answer was given, shown on demand for every kind of column."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lingqu.registry import Registry
from lingqu.store import Store
from lingqu.tasks import find_task
from tests.page.conftest import Visit, site_of
from tests.page.test_hostile import FOREIGN, PAYLOADS
from tests.page.test_page import asked
from tests.serve.bundles import versions
from tests.serve.live import call

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.heavy

WHY = [
    ("topics", "#result .words mark", "#result .words"),
    ("credit", "#result .reasons li", "#result .reasons b"),
    ("houses", "#result .reasons li", "#result .legend"),
    ("digits", "#result canvas.picture", "#result canvas.picture"),
]


@pytest.mark.parametrize(("model", "parts", "shown"), WHY)
def test_why_is_shown_on_demand(visit: Visit, model: str, parts: str, shown: str) -> None:
    page = visit(model)
    asked(page, "#example")
    assert page.locator(parts).count() == 0
    page.get_by_role("button", name="Why?").click()
    page.locator(shown).first.wait_for()
    assert page.locator(parts).count() >= 1 and page.locator("#result .legend span").count() == 2
    if model == "topics":
        # The words of the text, whole and in order, with those marked that counted.
        assert page.locator(".words").inner_text() == page.input_value("#fields textarea")


def put(page: Page, name: str, data: bytes) -> None:
    """Choose this picture, and wait until the page shows it."""
    page.set_input_files("#fields input[type=file]", [{"name": name, "mimeType": "image/png", "buffer": data}])
    page.get_by_label(f"The picture {name}").wait_for()


def test_why_is_painted_on_the_picture_that_was_asked_about(visit: Visit) -> None:
    page = visit("digits")
    one, other = find_task("image-classification").toy(2)["image"]
    painted = []
    for later in (one, other):
        put(page, "asked.png", one)
        asked(page)
        put(page, "later.png", later)
        page.get_by_role("button", name="Why?").click()
        page.locator("#result .why canvas").wait_for()
        painted.append(page.locator("#result .why canvas").evaluate("canvas => canvas.toDataURL()"))
    assert painted[0] == painted[1]


def test_a_hostile_text_is_explained_as_text(visit: Visit) -> None:
    page = visit("topics")
    page.fill("#fields textarea", "our team won\n" + "\n".join(PAYLOADS[:2]))
    asked(page)
    page.get_by_role("button", name="Why?").click()
    page.locator("#result .words mark").first.wait_for()
    assert page.locator(".words").inner_text() == page.input_value("#fields textarea")
    assert page.locator(FOREIGN).count() == 0


def until_loaded(port: int, aliases: dict[str, str]) -> None:
    """Wait until the service has these versions in memory."""
    for _ in range(600):
        if call(port, "GET", "/v1/models")[1]["models"][0]["aliases"] == aliases:
            return
        time.sleep(0.05)
    pytest.fail(f"never loaded: {aliases}")


def test_the_version_that_answered_is_explained_and_no_other(visit: Visit, tmp_path: Path) -> None:
    store = Store.open(tmp_path / ".lingqu")
    versions(store, tmp_path / "bundles", 3)
    registry = Registry(store)
    epoch = registry.set_alias("echo", "challenger", 2, expect_epoch=0, who="test", why="a canary for everybody")
    with site_of(tmp_path / ".lingqu", ["echo"], canary=1.0) as site:
        port = int(site.url.rpartition(":")[2])
        until_loaded(port, {"champion": "1", "challenger": "2"})
        page = visit(url=site.url)
        page.fill("#fields input", "7")
        assert asked(page) == "7.5"
        assert page.locator("#origin").inner_text().startswith("version 2")
        with page.expect_response(lambda one: "/explain" in one.url) as explained:
            page.get_by_role("button", name="Why?").click()
        told: dict[str, Any] = explained.value.json()
        assert (told["version"], told["prediction"]) == ("2", 7.5)
        page.locator("#result .reasons li").wait_for()
        # Asked again, another version answers; of the one that has left nobody can tell.
        asked(page)
        registry.set_alias("echo", "challenger", 3, expect_epoch=epoch, who="test", why="the next")
        until_loaded(port, {"champion": "1", "challenger": "3"})
        page.get_by_role("button", name="Why?").click()
        page.get_by_text("The version that gave this answer is no longer here.").wait_for()
