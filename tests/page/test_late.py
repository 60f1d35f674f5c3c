"""What was asked before, or of another model, is answered to nobody: the page shows the answer to what was asked last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.page.conftest import Visit
from tests.page.test_page import asked, several, texts, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.heavy

PREDICT = "**/predict*"


def choose(page: Page, model: str) -> None:
    """Change to this model by its select, and wait until the page shows it."""
    page.select_option("#model", model)
    until(page, f"document.querySelector('h1').textContent === '{model.capitalize()}'")


def test_the_answer_to_an_earlier_question_is_never_shown_below_a_later_one(visit: Visit) -> None:
    page = visit("topics")
    page.route(PREDICT, lambda route: "first" not in route.request.post_data and route.continue_())
    page.fill("#fields textarea", "first our team won the match")
    with page.expect_request(PREDICT):
        page.press("#fields textarea", "Control+Enter")
    page.fill("#fields textarea", "salty soup")
    # It leaves the line of the service as well.
    with page.expect_event("requestfailed") as left, page.expect_response(PREDICT):
        page.press("#fields textarea", "Control+Enter")
    assert "first" in left.value.post_data
    page.locator("#result .big").wait_for()
    assert texts(page, "#result .big") == ["food"]
    assert page.locator("#send").is_enabled()
    assert not page.locator("#trouble").is_visible()


def test_another_model_shows_no_answer_of_the_one_before(visit: Visit) -> None:
    page = visit("topics")
    several(page, "our team won")
    page.locator("#table tbody tr").first.wait_for()
    page.locator("input[value=one]").check(force=True)
    page.route(PREDICT, lambda _: None)
    with page.expect_request(PREDICT):
        page.click("#example")
    page.locator("#answer.busy").wait_for()
    with page.expect_event("requestfailed"):
        choose(page, "tags")
    assert page.locator("#result .empty").is_visible() and page.locator("#send").is_enabled()
    assert page.locator("#status").inner_text() == "" and page.locator("#answer.busy").count() == 0
    several(page, "the wrong house")
    assert page.locator("#table").is_hidden()
    page.get_by_role("button", name="Stop").wait_for()
    with page.expect_event("requestfailed"):
        choose(page, "topics")
    page.unroute(PREDICT)
    several(page, "salty soup")
    page.locator("#table tbody tr").first.wait_for()
    assert texts(page, "#table td.strong") == ["food"]


def test_a_model_that_comes_late_does_not_replace_the_one_that_was_chosen_after_it(visit: Visit) -> None:
    page = visit("topics")
    held: list[Any] = []

    # A method of a list is none that Playwright can call.
    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/v1/models/tags?*", hold)
    with page.expect_request("**/v1/models/tags?*"):
        page.select_option("#model", "tags")
    choose(page, "houses")
    with page.expect_response("**/v1/models/tags?*"):
        held[0].continue_()
    page.wait_for_timeout(50)
    assert texts(page, "#fields .name") == ["rooms", "town"]


def test_what_is_tried_again_is_what_stands_in_the_form(visit: Visit) -> None:
    page = visit("topics")
    page.route(PREDICT, lambda route: route.abort())
    page.fill("#fields textarea", "our team won the match")
    page.click("#send")
    page.get_by_text("The service cannot be reached.").wait_for()
    page.unroute(PREDICT)
    page.fill("#fields textarea", "salty soup")
    assert asked(page, "#trouble button") == "food"
