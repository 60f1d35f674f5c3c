"""Everybody can use the page: by keyboard, by ear, on a phone, in the dark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.page.conftest import Site, Visit
from tests.page.test_page import SHOWN, asked, kept, several
from tests.serve.conftest import NAMES

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.heavy

# Text whose colour is too near to what lies behind it (WCAG 2.2, 1.4.3): [contrast, text] of each below 4.5.
CONTRAST = """
() => {
    const light = (rgb) => rgb.slice(0, 3).map((one) => one / 255).map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
        .reduce((sum, one, place) => sum + one * [0.2126, 0.7152, 0.0722][place], 0);
    const read = (colour) => { const found = colour.match(/[\\d.]+/g).map(Number); return found.length === 3 ? [...found, 1] : found; };
    const over = (top, under) => [0, 1, 2].map((place) => top[place] * top[3] + under[place] * (1 - top[3])).concat(1);
    const behind = (node) => {
        const layers = [];
        for (let at = node; at; at = at.parentElement) layers.push(read(getComputedStyle(at).backgroundColor));
        return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
    };
    const bad = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        const box = node.getBoundingClientRect();
        if (!walker.currentNode.data.trim() || box.width < 2 || box.height < 2 || node.closest(":disabled, noscript, option")) continue;
        const ground = behind(node);
        const [one, other] = [light(over(read(getComputedStyle(node).color), ground)), light(ground)];
        const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        if (contrast < 4.5) bad.push([Math.round(contrast * 100) / 100, walker.currentNode.data.trim()]);
    }
    return bad;
}
"""

# What a screen reader would have no name for.
NAMELESS = """
() => [...document.querySelectorAll("input, select, textarea, button, canvas, [role=region], section")]
    .filter((node) => node.checkVisibility() || node.classList.contains("unseen"))
    .filter((node) => {
        const label = node.getAttribute("aria-label") ?? [...(node.labels ?? [])].map((one) => one.textContent).join("");
        const by = document.getElementById(node.getAttribute("aria-labelledby") ?? "")?.textContent ?? "";
        const own = node.tagName === "BUTTON" ? node.textContent : "";
        return !`${label}${by}${own}`.trim() && !node.matches("section.more");
    }).map((node) => node.outerHTML.slice(0, 80))
"""


def wrong_answer(page: Page) -> None:
    """The page with an answer and the form for a better one."""
    asked(page, "#example")
    page.get_by_role("button", name="This is wrong").or_(page.get_by_role("button", name="这不对")).click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("model", ["topics", "houses"])
def test_all_text_stands_out_from_its_ground_and_everything_has_a_name(visit: Visit, scheme: str, model: str) -> None:
    page = visit(model, color_scheme=scheme, reduced_motion="reduce")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(251, 250, 247)", "dark": "rgb(18, 20, 19)"}[scheme]
    wrong_answer(page)
    page.locator(".pills span").or_(page.locator(".correct input[type=text]")).first.click()
    assert page.evaluate(CONTRAST) == [] and page.evaluate(NAMELESS) == []
    page.locator("#fields textarea, #fields input").first.fill("")
    page.click("#send")
    several(page, "text\n" if model == "topics" else "rooms,town\nmany,x\n3,Guilin\n")
    page.wait_for_timeout(300)
    assert page.evaluate(CONTRAST) == [] and page.evaluate(NAMELESS) == []


@pytest.mark.parametrize("model", NAMES)
def test_a_phone_shows_everything_without_scrolling_sideways(visit: Visit, model: str) -> None:
    page = visit(model, language="zh", width=320, has_touch=True, is_mobile=True)
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) == 0
    wrong_answer(page)
    assert page.evaluate(wide) == 0
    # Fingers need room (WCAG 2.2, 2.5.8 asks for 24 pixels; buttons here have 36 and more).
    heights = page.evaluate(
        "[...document.querySelectorAll('button, .button')].filter((one) => one.checkVisibility()).map((one) => one.offsetHeight)"
    )
    assert min(heights) >= 36
    page.locator("input[value=several]").check(force=True)
    assert page.evaluate(wide) == 0


def test_the_whole_way_goes_by_keyboard_alone(visit: Visit, site: Site) -> None:
    page = visit("topics")
    press = page.keyboard.press
    focus = "document.activeElement.id || document.activeElement.textContent || document.activeElement.value"
    press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    press("Enter")
    for _ in range(6):
        press("Tab")
        if page.evaluate("document.activeElement.tagName") == "TEXTAREA":
            break
    page.keyboard.type("our team won the match")
    press("Tab")
    assert page.evaluate(focus) == "send"
    press("Enter")
    page.locator(SHOWN).first.wait_for()
    reached = []
    while "This is wrong" not in reached and len(reached) < 12:
        press("Tab")
        reached.append(page.evaluate(focus))
    assert reached == ["example", "clear", "Why?", "Yes", "This is wrong"]
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "2px"
    press("Enter")
    press("Space")
    press("Tab")
    page.keyboard.type("by keyboard")
    press("Tab")
    press("Enter")
    page.locator(".thanks").wait_for()
    assert page.evaluate("document.activeElement.className") == "thanks"
    assert kept(site, "by keyboard").value == "food"


def test_escape_leaves_the_form_and_focus_returns(visit: Visit) -> None:
    page = visit("topics")
    wrong_answer(page)
    page.keyboard.press("Escape")
    assert page.locator(".correct").count() == 0
    assert page.evaluate("document.activeElement.textContent") == "This is wrong"
