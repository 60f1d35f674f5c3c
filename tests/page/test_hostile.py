"""X19: whatever stands in labels, columns, texts and names of files is text, and nothing of it ever runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lingqu.contract import Rows
from tests.page.conftest import Site, Visit, site_of
from tests.page.test_page import asked, several, texts, until

pytestmark = pytest.mark.heavy

RUN = "ran()"
TAGS = [
    "<script>{}</script>",
    "<img src=x onerror={}>",
    "<svg onload={}>",
    "<svg><script>{}</script></svg>",
    "<iframe srcdoc='<script>parent.{}</script>'></iframe>",
    "<iframe src=javascript:parent.{}></iframe>",
    "<body onload={}>",
    "<details open ontoggle={}>x",
    "<video src=x onerror={}></video>",
    "<audio src=x onerror={}></audio>",
    "<input autofocus onfocus={}>",
    "<select autofocus onfocus={}>",
    "<textarea autofocus onfocus={}>",
    "<button autofocus onfocus={}>x",
    "<a href=javascript:{} autofocus onfocus={}>x</a>",
    "<object data=javascript:{}></object>",
    "<embed src=javascript:{}>",
    "<math><mtext><script>{}</script></mtext></math>",
    "<style>@import 'javascript:{}'</style>",
    "<link rel=stylesheet href=javascript:{} onerror={}>",
    "<meta http-equiv=refresh content='0;url=javascript:{}'>",
    "<marquee onstart={}>x</marquee>",
    "<form action=javascript:{}><button autofocus>x</button></form>",
    "<template><script>{}</script></template>",
    "<x tabindex=1 autofocus onfocus={}>x</x>",
]
BREAKS = ["{}", '">{}', "'>{}", "</textarea></option></title></style></script>{}"]
PAYLOADS = [outside.format(tag.replace("{}", RUN)) for tag in TAGS for outside in BREAKS]
FOREIGN = "img, iframe, object, embed, svg:not(header svg), script:not([src^='/page/']), body [onerror], video[src], audio, style, math, marquee, x"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Models whose labels, columns and names are payloads."""
    from tests.serve.models import make

    folder = tmp_path_factory.mktemp("hostile")
    words = [f"word{number}" for number in range(100)]
    rows = Rows({"text": [f"{one} {one}" for one in words] * 2, "label": PAYLOADS * 2})
    made = [make("text-classification", folder / "labels", "labels", rows).path]
    with site_of(folder / "store", made) as opened:
        yield opened


def test_there_are_a_hundred_and_each_would_run_in_a_page_that_read_it_as_html(visit: Visit) -> None:
    """The net catches: put into a page as HTML, in a document without our policy, at least half of them run."""
    assert len(set(PAYLOADS)) == 100
    page = visit("topics").context.browser.new_page()
    page.evaluate("window.count = 0; window.ran = () => { count += 1; }")
    for payload in PAYLOADS[::4]:
        page.evaluate("(given) => { document.body.innerHTML = given; }", payload)
    page.wait_for_timeout(300)
    assert page.evaluate("window.count") >= 5
    page.close()


def test_hostile_labels_are_shown_as_they_are(visit: Visit, hostile: Site) -> None:
    page = visit(url=hostile.url)
    page.fill("#fields textarea", "word7 word7")
    shown = asked(page)
    assert shown in PAYLOADS
    page.get_by_role("button", name="Show all 100").click()
    assert set(texts(page, ".bars li > :first-child")) == set(PAYLOADS)
    page.get_by_role("button", name="This is wrong").click()
    assert set(page.locator(".correct option").all_text_contents()) - {"Choose …"} == set(PAYLOADS) - {shown}
    page.click("#language")
    page.wait_for_timeout(200)
    assert page.locator(FOREIGN).count() == 0


def test_hostile_texts_are_shown_as_they_are(visit: Visit, hostile: Site) -> None:
    page = visit(url=hostile.url)
    several(page, "text\n" + "".join('"' + one.replace('"', '""') + '"\n' for one in PAYLOADS))
    until(page, "document.querySelectorAll('#table tbody tr').length === 100")
    assert texts(page, "#table td.cut") == PAYLOADS
    assert page.locator(FOREIGN).count() == 0


def test_hostile_names_of_files_columns_models_and_errors_are_shown_as_they_are(visit: Visit) -> None:
    page = visit("digits")
    for payload in PAYLOADS[::10]:
        file = {"name": payload.replace("/", ":"), "mimeType": "image/png", "buffer": b"no"}
        page.set_input_files("#fields input[type=file]", [file])
        page.get_by_text(f"“{payload.replace('/', ':')}” cannot be read as a picture").wait_for()
    page = visit("credit")
    payloads = iter(PAYLOADS * 2)

    def poisoned(given: Any) -> Any:
        """The same JSON with a payload in place of each text that the page need not understand."""
        if isinstance(given, dict):
            return {name: value if name in ("kind", "name") else poisoned(value) for name, value in given.items()}
        if isinstance(given, list):
            return [poisoned(one) for one in given]
        return next(payloads, "<script>ran()</script>") if isinstance(given, str) else given

    def answered(route: Any) -> None:
        real = route.fetch()
        body = poisoned(real.json())
        for column in body.get("columns", []):
            column["name"] = next(payloads)
        route.fulfill(response=real, json=body)

    page.route("**/v1/models/credit?*", answered)
    page.route(
        "**/predict*", lambda route: route.fulfill(status=422, json={"error": {"message": PAYLOADS[1], "id": "<b>"}})
    )
    page.reload()
    page.locator("#desk").wait_for()
    assert all("ran()" in one for one in texts(page, "#fields .name"))
    page.locator("#fields input").fill("1")
    page.locator("#fields select").select_option(index=1)
    page.click("#send")
    page.get_by_text(PAYLOADS[1]).wait_for()
    assert page.locator(FOREIGN).count() == 0


def test_the_policy_stops_what_might_get_in_all_the_same(visit: Visit, tmp_path: Path) -> None:
    """The second wall: were a payload put in as HTML, the policy would still not let it run."""
    page = visit("topics")
    page.evaluate("(given) => { document.querySelector('#about').innerHTML = given; }", "<img src=x onerror=ran()>")
    until(page, "noted.length > 0")
    noted = page.evaluate("noted.splice(0)")
    assert all(one.startswith("policy: script-src") for one in noted)
