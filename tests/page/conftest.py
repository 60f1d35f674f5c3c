"""The page in a real browser, before a real service with a store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lingqu.spec.running import ServeSettings
from lingqu.store import Store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium")
LAUNCH = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]

# What a page must never do, noted from its first line on.
WATCH = """
window.noted = [];
document.addEventListener("securitypolicyviolation", (event) => noted.push(`policy: ${event.violatedDirective} ${event.blockedURI}`));
window.ran = () => noted.push("a script of somebody else's ran");
"""


@dataclass(frozen=True)
class Site:
    """A service with its page, and the store behind it."""

    url: str
    store: Store


@contextmanager
def site_of(folder: Path, models: Sequence[str | Path], *, keys: bool = False, **given: Any) -> Iterator[Site]:
    """The page before these bundles, or names of the store in that folder; with `keys`, only for those who have one."""
    from lingqu.serve.service import Service
    from tests.serve.live import serving

    store = Store.open(folder)
    settings = ServeSettings.model_validate(given)
    with serving(lambda: Service.load(models, settings=settings, store=store, keys_required=keys)) as (_, port):
        yield Site(f"http://127.0.0.1:{port}", store)


# It keeps an event loop running for as long as it is open, which no test of another module could bear.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window, with a camera that is none."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=LAUNCH)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A bundle of every task, by the name that it is served under."""
    from tests.serve.conftest import NAMES
    from tests.serve.models import make

    folder = tmp_path_factory.mktemp("page")
    return [make(task, folder / name, name).path for name, task in NAMES.items()]


@pytest.fixture(scope="session")
def site(models: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The page before a model of every task."""
    with site_of(tmp_path_factory.mktemp("store"), models) as opened:
        yield opened


Visit = Callable[..., Any]


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Visit]:
    """Open the page as a visitor: `visit("topics", language="zh", width=390)`; what it did wrong is told at the end."""
    opened: list[tuple[Page, list[str]]] = []

    def visited(model: str = "", *, language: str = "en", url: str = "", ready: str = "#desk", **more: Any) -> Page:
        size: Any = {"width": more.pop("width", 1280), "height": 900}
        more.setdefault("permissions", ["camera"])
        context = browser.new_context(viewport=size, locale="zh-CN" if language == "zh" else "en-US", **more)
        context.add_init_script(WATCH)
        context.set_default_timeout(8000)
        page, wrong = context.new_page(), []
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))

        def spoke(dialog: Any) -> None:
            wrong.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        def went(sent: Any) -> None:
            if not sent.url.startswith(url or site.url):
                wrong.append(f"asked {sent.url}")

        page.on("dialog", spoke)
        page.on("request", went)
        opened.append((page, wrong))
        page.goto(f"{url or site.url}/" + (f"?model={model}" if model else ""))
        page.locator(ready).wait_for()
        return page

    yield visited
    for page, wrong in opened:
        wrong += page.evaluate("window.noted")
        page.context.close()
        assert wrong == []
