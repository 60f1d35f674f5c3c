"""The page's files, looked at without a browser."""

from __future__ import annotations

import re

import pytest

from lingqu.serve.page import CSP, HEADERS, files

PATHS = sorted(files())
TEXT = {path: body.decode() for path, (_, body) in files().items()}


def test_the_page_is_html_style_script_and_an_icon_and_small() -> None:
    assert PATHS[0] == "/" and {"/page/style.css", "/page/app.js", "/page/icon.svg"} < set(PATHS)
    assert {path: files()[path][0] for path in ("/", "/page/style.css", "/page/app.js", "/page/icon.svg")} == {
        "/": "text/html; charset=utf-8",
        "/page/style.css": "text/css; charset=utf-8",
        "/page/app.js": "text/javascript; charset=utf-8",
        "/page/icon.svg": "image/svg+xml",
    }
    assert sum(len(body) for _, body in files().values()) < 100_000


@pytest.mark.parametrize("path", PATHS)
def test_nothing_comes_from_elsewhere_and_nothing_becomes_html(path: str) -> None:
    without_namespace = TEXT[path].replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//\w+\.\w+|@import|url\(", without_namespace)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|createContextualFragment",
        TEXT[path],
    )


def test_the_html_holds_no_script_style_or_handler_of_its_own() -> None:
    html = TEXT["/"]
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|javascript:", html)
    assert "default-src 'self'" in CSP and "unsafe" not in CSP and HEADERS["Content-Security-Policy"] == CSP
    assert "frame-ancestors 'none'" in CSP and HEADERS["X-Content-Type-Options"] == "nosniff"


def test_each_file_that_is_named_is_there() -> None:
    named = set(re.findall(r'(?:src|href)="(/[^"]+)"', TEXT["/"]))
    for path, text in TEXT.items():
        if path.endswith(".js"):
            named |= {f"/page/{name}" for name in re.findall(r'from "\./([^"]+)"', text)}
    assert named <= set(PATHS) and set(PATHS) - {"/"} == named


def _words(language: str) -> dict[str, str]:
    block = re.search(rf"^  {language}: {{\n(.*?)^  }},", TEXT["/page/words.js"], re.MULTILINE | re.DOTALL)
    assert block
    return dict(re.findall(r'"([^"]+)": "([^"]*)"', block[1]))


def test_both_languages_say_everything_with_the_same_places() -> None:
    english, chinese = _words("en"), _words("zh")
    assert list(english) == list(chinese) and len(english) > 90
    for name, said in english.items():
        assert sorted(re.findall(r"\{\d\}", said)) == sorted(re.findall(r"\{\d\}", chinese[name])), name
        assert name in ("other-language", "plain-number", "rows-doing") or re.search(r"[\u4e00-\u9fff]", chinese[name])


def test_nobody_is_promised_a_person_where_rules_may_decide() -> None:
    assert not [
        said for language in ("en", "zh") for said in _words(language).values() if re.search("person|有人", said)
    ]


def test_every_word_that_is_said_is_there_and_none_is_idle() -> None:
    known, text = set(_words("en")), "\n".join(body for path, body in TEXT.items() if path != "/page/words.js")
    named = set(re.findall(r'data-word="([^"]+)"', text))
    assert named <= known
    idle = {name for name in known - named if f'"{name}"' not in text and not name.startswith("fault-")}
    assert idle == set(), idle
