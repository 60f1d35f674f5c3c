"""Why an answer was given, shown on demand for every kind of column."""

from __future__ import annotations

import pytest

from tests.page.conftest import Visit
from tests.page.test_hostile import FOREIGN, PAYLOADS
from tests.page.test_page import asked

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


def test_a_hostile_text_is_explained_as_text(visit: Visit) -> None:
    page = visit("topics")
    page.fill("#fields textarea", "our team won\n" + "\n".join(PAYLOADS[:2]))
    asked(page)
    page.get_by_role("button", name="Why?").click()
    page.locator("#result .words mark").first.wait_for()
    assert page.locator(".words").inner_text() == page.input_value("#fields textarea")
    assert page.locator(FOREIGN).count() == 0
