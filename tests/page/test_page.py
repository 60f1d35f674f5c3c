"""Every widget of the page, in a real browser: what is asked, what is answered, what is kept."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lingqu.store import Store
from lingqu.tasks import find_task
from tests.page.conftest import Site, Visit, site_of
from tests.serve.bundles import echo, register

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.heavy

SHOWN = "#result .big, #result .chips, #result .refused"


def asked(page: Page, button: str = "#send") -> str:
    """The answer after a press of this button."""
    with page.expect_response(lambda given: given.url.endswith("/predict?scores=true")):
        page.click(button)
    page.locator(SHOWN).first.wait_for()
    return page.locator(SHOWN).first.inner_text()


def until(page: Page, truth: str) -> None:
    """Wait until this expression is true. Playwright's own waiting evaluates in the page, which the policy forbids."""
    for _ in range(400):
        if page.evaluate(truth):
            return
        page.wait_for_timeout(20)
    pytest.fail(f"never true: {truth}")


def texts(page: Page, where: str) -> list[str]:
    return [one.strip() for one in page.locator(where).all_inner_texts()]


def field(page: Page, name: str) -> Any:
    return page.get_by_label(name, exact=False).locator("visible=true").first


def kept(site: Site, comment: str) -> Any:
    """The feedback in the store that came with this comment."""
    from lingqu.serve.inbox import received

    return next(one for one in received(site.store) if one.comment == comment)


@pytest.mark.parametrize(("language", "sure", "wrong"), [("en", "sure", "This is wrong"), ("zh", "的把握", "这不对")])
def test_a_text_is_answered_in_both_languages(visit: Visit, language: str, sure: str, wrong: str) -> None:
    page = visit("topics", language=language)
    assert page.locator("html").get_attribute("lang") == {"en": "en", "zh": "zh-CN"}[language]
    page.fill("#fields textarea", "our team won the match")
    page.press("#fields textarea", "Control+Enter")
    page.locator("#result .big").wait_for()
    assert texts(page, "#result .big") == ["sport"] and sure in page.locator("#result .sure").inner_text()
    assert texts(page, "#result .bars li > :first-child") == ["sport", "food"]
    assert "sport" in page.locator("#status").inner_text() and page.locator("#status").get_attribute("role") == "status"
    assert page.get_by_role("button", name=wrong).is_visible()


def test_the_language_changes_in_place_and_stays(visit: Visit) -> None:
    page = visit("credit")
    field(page, "income").fill("40")
    page.select_option("#fields select", label="nurse")
    asked(page)
    words = texts(page, "button:visible, h2:visible, #about")
    page.click("#language")
    until(page, "document.querySelector('#about').textContent.match(/[\\u4e00-\\u9fff]/)")
    turned = texts(page, "button:visible, h2:visible, #about")
    assert len(turned) == len(words) and not set(turned) & set(words)
    assert field(page, "income").input_value() == "40" and page.locator("#result .big").is_visible()
    page.reload()
    page.locator("#desk").wait_for()
    assert page.locator("html").get_attribute("lang") == "zh-CN"


def test_a_table_is_a_form_with_what_training_knew(visit: Visit) -> None:
    page = visit("credit")
    assert texts(page, "#fields .name") == ["income", "job"]
    assert "Usually" in page.locator(".field.number small").first.inner_text()
    assert "nurse" in texts(page, "#fields option")
    page.click("#send")
    assert page.locator("#field-1-trouble, .field.number .bad").first.inner_text() == "Please fill in “income”."
    assert page.evaluate("document.activeElement.getAttribute('aria-invalid')") == "true"
    # What stands before a comma of thousands is never 0: such a comma is a decimal one.
    for wrong in ("many", "0,125"):
        field(page, "income").fill(wrong)
        page.click("#send")
        assert page.locator(".field.number .bad").inner_text() == "“income” needs a number, such as 0.5."
    # Full-width digits are numbers; one outside what training held is said to be, and asked all the same.
    field(page, "income").fill("１５０")
    field(page, "income").blur()
    assert "Outside what the model has seen" in page.locator(".field.number .outside").inner_text()
    page.select_option("#fields select", label="nurse")
    assert asked(page) in ("paid", "late")


def test_a_refused_row_says_kindly_why_and_where(visit: Visit) -> None:
    page = visit("credit", language="zh")
    field(page, "income").fill("99999")
    page.select_option("#fields select", label="nurse")
    told = asked(page)
    assert told.startswith("这一条无法回答") and "“income”应在" in told and "99999" in told
    assert field(page, "income").get_attribute("aria-invalid") == "true"
    assert page.get_by_role("button", name="这不对").count() == 0
    # As it comes when a row is asked alone, to be explained for instance.
    alone = "row: Expected a number in 'income', found 'old'. Correct it, and ask again."
    said = page.evaluate("text => import('/page/words.js').then((words) => words.reason(text))", alone)
    assert said == "“income”需要一个数字，得到的是 'old'。"


def test_a_number_is_answered_with_its_range(visit: Visit) -> None:
    page = visit("houses")
    answer = asked(page, "#example")
    low, high = texts(page, ".ends span")
    assert float(low) < float(answer) < float(high)
    assert page.locator(".sure").inner_text() == f"between {low} and {high}, nine times in ten"


def test_a_set_of_labels_is_answered_as_chips(visit: Visit) -> None:
    page = visit("tags")
    page.fill("#fields textarea", "it was shipped to the wrong house")
    asked(page)
    assert "delivery" in texts(page, ".chips li") and len(texts(page, ".bars li")) == 3


def picture() -> dict[str, Any]:
    return {"name": "one.png", "mimeType": "image/png", "buffer": find_task("image-classification").toy(2)["image"][0]}


def test_a_picture_comes_by_file_drag_paste_and_camera(visit: Visit) -> None:
    page = visit("digits")
    page.click("#send")
    assert page.locator(".field.image .bad").inner_text() == "Please fill in “image”."
    page.set_input_files("#fields input[type=file]", [picture()])
    page.locator(".drop.full canvas").wait_for()
    assert page.locator(".drop canvas").get_attribute("aria-label") == "The picture one.png"
    assert asked(page) == find_task("image-classification").toy(2)["label"][0]
    for event, put in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        page.click("#clear")
        assert not page.locator(".drop canvas").is_visible()
        page.evaluate(
            """([event, put, bytes]) => {
                const given = new DataTransfer();
                given.items.add(new File([new Uint8Array(bytes)], `${event}.png`, { type: "image/png" }));
                const made = event === "drop" ? new DragEvent(event, { dataTransfer: given, bubbles: true, cancelable: true })
                    : new ClipboardEvent(event, { clipboardData: given, bubbles: true });
                document.querySelector(".drop").dispatchEvent(made);
            }""",
            [event, put, list(picture()["buffer"])],
        )
        page.locator(".drop.full canvas").wait_for()
        assert page.locator(".drop canvas").get_attribute("aria-label") == f"The picture {event}.png"
    page.click("#clear")
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("button", name="Take the picture").click()
    page.locator(".drop.full canvas").wait_for()
    assert asked(page) in ("across", "down")
    assert page.evaluate("document.querySelector('video').srcObject") is None


def test_a_file_that_is_no_picture_is_told_and_sends_nothing(visit: Visit) -> None:
    page = visit("digits")
    page.set_input_files("#fields input[type=file]", [{**picture(), "name": "a.png", "buffer": b"no picture"}])
    page.locator(".field.image .bad").wait_for()
    assert "“a.png” cannot be read as a picture" in page.locator(".field.image .bad").inner_text()
    page.evaluate(
        """() => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([new Uint8Array(8 << 20)], "one.png", { type: "image/png" }));
            document.querySelector(".drop").dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
        }"""
    )
    page.get_by_text("“one.png” is larger than 7 MB.").wait_for()


def test_a_wrong_label_and_its_comment_are_in_the_database(visit: Visit, site: Site) -> None:
    page = visit("topics")
    page.fill("#fields textarea", "our team won the match")
    asked(page)
    page.get_by_role("button", name="This is wrong").click()
    assert page.evaluate("document.activeElement.type") == "radio"
    page.get_by_role("button", name="Send").click()
    assert page.locator(".correct .bad").inner_text() == "Please choose what would be right, or write a comment."
    page.get_by_text("food", exact=True).last.click()
    page.get_by_label("A comment").fill("it was about dinner <b>")
    page.get_by_role("button", name="Send").click()
    page.locator(".thanks").wait_for()
    assert page.locator(".thanks").inner_text().startswith("Thank you.")
    found = kept(site, "it was about dinner <b>")
    assert (found.kind, found.value, found.source, found.status) == ("label", "food", "page", "quarantined")
    assert found.name == "topics" and found.answer["prediction"] == "sport"


def test_a_right_number_that_is_none_is_told_at_its_field_and_not_sent(visit: Visit, site: Site) -> None:
    page = visit("houses")
    asked(page, "#example")
    sent: list[str] = []
    page.on("request", lambda one: one.method == "POST" and sent.append(one.url))
    page.get_by_role("button", name="This is wrong").click()
    page.get_by_label("A comment").fill("see invoice 17")
    for wrong in ("250 thousand", "1.2.3", "1e999"):
        page.get_by_label("The right number").fill(wrong)
        page.get_by_role("button", name="Send").click()
        assert page.locator(".correct small.bad").inner_text() == "“The right number” needs a number, such as 0.5."
        assert page.evaluate("document.activeElement.getAttribute('aria-invalid')") == "true"
    assert sent == []
    page.get_by_label("The right number").fill("250,000")
    assert page.locator(".correct small.bad").inner_text() == ""
    page.get_by_role("button", name="Send").click()
    page.locator(".thanks").wait_for()
    assert (kept(site, "see invoice 17").kind, kept(site, "see invoice 17").value) == ("label", 250_000.0)


def test_a_right_number_out_of_all_reach_is_told_and_nobody_thanked_for_it(visit: Visit, tmp_path: Path) -> None:
    store = Store.open(tmp_path / ".lingqu")
    about = {"name": "target", "kind": "number", "low": 24.0, "high": 600.0}
    report = {"data": {"target": "target", "columns": {"target": "price"}}, "profile": {"columns": [about]}}
    echo(tmp_path / "echo", 1)
    register(store, tmp_path / "echo", lineage={"report": store.put_json(report)})
    with site_of(tmp_path / ".lingqu", ["echo@1"]) as echoing:
        page = visit(url=echoing.url, language="zh")
        page.fill("#fields input", "7")
        asked(page)
        page.get_by_role("button", name="这不对").click()
        page.get_by_label("正确的数值").fill("1000000000")
        page.get_by_role("button", name="发送").click()
        page.get_by_text("“price”应在 -5736 到 6360 之间").wait_for()
        assert page.locator(".thanks").count() == 0
        assert page.evaluate("document.activeElement.className") == "refused"


def test_right_answers_numbers_sets_and_bare_comments_are_kept_too(visit: Visit, site: Site) -> None:
    from lingqu.serve.inbox import received

    page = visit("houses")
    asked(page, "#example")
    page.get_by_role("button", name="This is wrong").click()
    page.get_by_label("The right number").fill("1,250.5")
    page.get_by_label("A comment").fill("a number")
    page.get_by_role("button", name="Send").click()
    page.locator(".thanks").wait_for()
    assert (kept(site, "a number").kind, kept(site, "a number").value) == ("label", 1250.5)
    page = visit("tags", language="zh")
    page.fill("#fields textarea", "it was shipped to the wrong house")
    asked(page)
    page.get_by_role("button", name="这不对").click()
    page.locator(".pills span", has_text="质量").click()
    page.get_by_label("备注").fill("a set")
    page.get_by_role("button", name="发送").click()
    page.locator(".thanks").wait_for()
    assert kept(site, "a set").value == "delivery|质量"
    asked(page)
    page.get_by_role("button", name="这不对").click()
    page.get_by_label("备注").fill("only a comment")
    page.get_by_role("button", name="发送").click()
    page.locator(".thanks").wait_for()
    assert (kept(site, "only a comment").kind, kept(site, "only a comment").value) == ("rating", 1)
    asked(page)
    page.get_by_role("button", name="对", exact=True).click()
    page.locator(".thanks").wait_for()
    assert any((one.name, one.kind, one.value) == ("tags", "rating", 5) for one in received(site.store))


def several(page: Page, text: str) -> None:
    page.locator("input[value=several]").check(force=True)
    page.fill("#rows", text)
    page.get_by_role("button", name="Ask for all").click()


def saved(page: Page) -> list[list[str]]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    return list(csv.reader(io.StringIO(Path(download.value.path()).read_text("utf-8-sig"))))


def test_pasted_rows_are_answered_as_a_table_and_saved(visit: Visit) -> None:
    page = visit("credit")
    several(
        page, 'job;income;note\nnurse;40;a\n"=HYPERLINK(1)";30;b\nchef;old;c\nchef;0,125;d\nchef;99999;d\nchef;;e\n'
    )
    page.locator("#table tbody tr").first.wait_for()
    assert page.locator("#several [role=status]").inner_text() == "2 answered, 4 refused"
    assert texts(page, "#table td.bad") == [
        "Expected a number in 'income', found 'old'.",
        "Expected a number in 'income', found '0,125'.",
        page.locator("#table td.bad").nth(2).inner_text(),
        "Expected a number in 'income', found nothing.",
    ]
    assert "between" in page.locator("#table td.bad").nth(2).inner_text()
    rows = saved(page)
    assert rows[0] == ["row", "income", "job", "prediction", "confidence", "error"] and len(rows) == 7
    assert rows[2][2] == "'=HYPERLINK(1)" and rows[1][1:4:2] == ["40", rows[1][3]] and rows[3][5].endswith("'old'.")


def test_many_texts_go_in_parts_and_a_chinese_file_is_read(visit: Visit) -> None:
    page = visit("topics")
    sent: list[int] = []
    page.on("request", lambda one: one.method == "POST" and sent.append(len(one.post_data_json["rows"])))
    several(page, "\n".join(f"the team won, match {i}" for i in range(150)))
    page.locator("#table tbody tr").first.wait_for()
    assert sent == [64, 64, 22] and page.locator("#table tbody tr").count() == 150
    text = "text\n足球队 赢了比赛\n红烧肉 很好吃\n".encode("gb18030")
    page.set_input_files("#rows-file", [{"name": "a.csv", "mimeType": "text/csv", "buffer": text}])
    until(page, "document.querySelector('#rows').value.startsWith('text')")
    page.get_by_role("button", name="Ask for all").click()
    until(page, "document.querySelectorAll('#table tbody tr').length === 2")
    assert texts(page, "#table td.strong") == ["sport", "food"]
    assert texts(page, "#table td.cut") == ["足球队 赢了比赛", "红烧肉 很好吃"]


def test_what_is_wrong_with_pasted_rows_is_told_before_anything_is_sent(visit: Visit) -> None:
    page = visit("credit")
    page.on("request", lambda one: one.method == "POST" and pytest.fail("sent"))
    for text, told in (
        ("", "There are no rows in it."),
        ("job\nnurse", "The first line lacks the columns income. It has job."),
        ("income,job\n40,nurse,\n1,200,nurse", "“1, 200, nurse” has more cells than the first line, which has 2."),
    ):
        several(page, text)
        page.get_by_text(told).wait_for()
    many = {"name": "many.csv", "mimeType": "text/csv", "buffer": b"income,job\n" + b"1,a\n" * 5001}
    page.set_input_files("#rows-file", [many])
    page.get_by_text("5001 rows").wait_for()
    page.get_by_role("button", name="Ask for all").click()
    page.get_by_text("At most 5000 rows at once, and there are 5001.").wait_for()


def test_several_pictures_are_answered_at_once(visit: Visit) -> None:
    page = visit("digits")
    toy = find_task("image-classification").toy(6)
    page.locator("input[value=several]").check(force=True)
    files = [{**picture(), "name": f"{i}.png", "buffer": data} for i, data in enumerate(toy["image"])]
    page.set_input_files("#rows-file", files)
    page.get_by_text("6 rows").wait_for()
    page.get_by_role("button", name="Ask for all").click()
    page.locator("#table tbody tr").first.wait_for()
    assert texts(page, "#table td.strong") == toy["label"] and texts(page, "#table td.cut")[5] == "5.png"


def test_models_are_chosen_and_linked_to(visit: Visit) -> None:
    page = visit()
    assert texts(page, "#model option") == ["Topics", "Tags", "Digits", "Credit", "Houses"]
    page.select_option("#model", "houses")
    until(page, "document.querySelector('h1').textContent === 'Houses'")
    assert page.url.endswith("?model=houses") and texts(page, "#fields .name") == ["rooms", "town"]
    assert page.title() == "Houses · lingqu" and "tabular-regression" in page.locator("#foot").inner_text()


def test_a_key_is_asked_for_kept_in_the_tab_and_nowhere_else(visit: Visit, models: list[Path], tmp_path: Path) -> None:
    from lingqu.serve.keys import new_key

    with site_of(tmp_path, models[:1], keys=True) as locked:
        _, token = new_key(locked.store, "page", scopes=["predict", "read", "feedback"])
        page = visit(url=locked.url, ready="dialog[open]")
        page.fill("#key-value", "lq_wrong")
        page.keyboard.press("Enter")
        page.get_by_text("That key is not accepted.").wait_for()
        page.fill("#key-value", token)
        page.get_by_role("button", name="Go on").click()
        page.locator("#desk").wait_for()
        page.fill("#fields textarea", "our team won the match")
        assert asked(page) == "sport"
        stored = page.evaluate(
            "[sessionStorage['lingqu-key'], JSON.stringify(localStorage), document.cookie, location.href]"
        )
        assert stored[0] == token and all(token not in one for one in stored[1:])
        other = visit(url=locked.url, ready="dialog[open]")
        other.get_by_role("button", name="Not now").click()
        other.get_by_text("A key is needed for this.").wait_for()


def test_the_page_of_the_interface_opens_with_a_key_and_its_example_works(
    browser: Browser, models: list[Path], tmp_path: Path
) -> None:
    from lingqu.serve.keys import new_key

    _, token = new_key(Store.open(tmp_path), "page", scopes=["predict"])
    with site_of(tmp_path, models[:1], keys=True) as locked:
        context = browser.new_context(http_credentials={"username": "anna", "password": token})
        page = context.new_page()
        opened = page.goto(f"{locked.url}/docs")
        assert opened is not None
        assert opened.status == 200
        shown = page.locator("pre").inner_text()
        assert page.locator("code").inner_text() == "export LINGQU_KEY=lq_…"
        done = subprocess.run(
            ["bash", "-c", shown], env={**os.environ, "LINGQU_KEY": token}, capture_output=True, text=True, check=True
        )
        assert json.loads(done.stdout)["predictions"][0]["prediction"] in ("sport", "food")
        page.get_by_role("link").click()
        assert page.url.endswith("/openapi.json")
        assert '"openapi"' in page.content()
        context.close()


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (429, "Many ask at this moment. Please try again in 7 s."),
        (503, "The service is not ready yet."),
        (504, "The answer took too long."),
        (500, "Something went wrong. Tell the owner this number: r17"),
        (0, "The service cannot be reached."),
    ],
)
def test_a_fault_of_the_service_is_told_and_tried_again(visit: Visit, status: int, told: str) -> None:
    page = visit("topics")
    body = '{"error": {"message": "x", "problems": [], "id": "r17"}}'
    answer = {"status": status, "body": body, "headers": {"Retry-After": "7", "Content-Type": "application/json"}}
    page.route("**/predict*", lambda route: route.fulfill(**answer) if status else route.abort())
    page.click("#example")
    page.get_by_text(told).wait_for()
    page.unroute("**/predict*")
    page.get_by_role("button", name="Try again").click()
    page.locator("#result .big").wait_for()
    assert not page.locator("#trouble").is_visible()
