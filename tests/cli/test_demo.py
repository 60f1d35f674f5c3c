"""`lingqu demo`: the story as it is told and drawn, and the whole of it played small."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import lingqu.cli.demo as demo
from lingqu.cli import call
from lingqu.cli.demo import acts, harm
from lingqu.cli.demo.chinese import CHINESE
from lingqu.cli.demo.crowd import Answered
from lingqu.cli.demo.page import story_page
from lingqu.cli.demo.terminal import STYLES, story_table
from lingqu.cli.demo.told import DOING, TITLES, Event, Say, Story, curve, spans
from lingqu.errors import RequestError
from tests.test_children import of_session

NAMES = re.compile(r"\{(\w+)\}")
SMALL = demo.SPEC + "size: tiny\ntrain: {epochs: 6}\n"


def story(*, failures: int = 0) -> dict[str, Any]:
    """A story of three acts, 180 answers, as it is kept."""
    events = [
        Event(1.0, "serve", "{model} answers on {url}", {"model": "digits@1", "url": "http://127.0.0.1:1"}),
        Event(5.0, "shift", "by {angle}°; nobody tells lingqu", {"angle": "<25>"}),
        Event(9.0, "back", "{model} answers on {url}", {"model": "digits@2", "url": ""}),
    ]
    answered = [Answered(1 + n / 15, 1, n % 10 != 0) for n in range(60)]
    answered += [Answered(5 + n / 15, 1, n % 2 == 0) for n in range(60)]
    answered += [Answered(9 + n / 15, 2, True) for n in range(60)]
    told = Story("digits", "2026-11-23T00:00:00Z", 13.4, events, answered, 200, ["no answer"] * failures)
    return {**told.to_json(), "page": "", "report": ""}


def test_answers_are_counted_between_acts() -> None:
    found = story()["spans"]
    assert [(one["act"], one["versions"], one["share"]["right"], one["share"]["labels"]) for one in found] == [
        ("serve", [1], 54, 60),
        ("shift", [1], 30, 60),
        ("back", [2], 60, 60),
    ]
    assert [round(one["share"]["value"], 2) for one in story()["curve"]] == [0.9, 0.5, 1.0]


def test_the_last_answers_that_fill_no_point_are_in_their_span() -> None:
    few = [Answered(float(n), 1, True) for n in range(61)]
    assert len(curve(few)) == 1
    told = Story("digits", "", 61.0, [Event(0.0, "serve", "", {})], few, 61, [])
    share = spans(told)[0].share
    assert share is not None
    assert share.labels == 61


def test_the_table_tells_who_answered_and_how_well(capsys: pytest.CaptureFixture[str]) -> None:
    from lingqu.cli.present import out

    out.print(story_table(story(), Say("en")))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[1:] == [
        "1 It is served @1 60 90 % 79 – 96 %",
        "5 The camera slips @1 60 50 % 37 – 63 %",
        "9 Answers are right again @2 60 100 % 94 – 100 %",
    ]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_draws_every_act_and_runs_nothing(language: str) -> None:
    say = Say(language)
    page = story_page(story(failures=2), say)
    assert "<script" not in page
    assert "&lt;25&gt;" in page
    assert "<25>" not in page
    assert page.count("<circle") == 3
    assert re.search(r'class="figure">2<', page)
    for act in ("serve", "shift", "back"):
        assert page.count(say(TITLES[act])) >= 2
    points = re.search(r'class="curve" points="([^"]+)"', page)
    assert points is not None
    heights = [float(point.split(",")[1]) for point in points[1].split()]
    assert heights[1] > heights[0] > heights[2]


def templates() -> set[str]:
    """Every template that the demo says."""
    found = {
        *TITLES.values(),
        *DOING.values(),
        acts.QUIET,
        acts.CANARY,
        harm.THAW,
        harm.STOPPED,
        harm.KEPT_OUT,
        harm.LET_IN,
    }
    for file in Path(demo.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            said = node.args[:1] if called == "say" else node.args[1:2] if called == "happened" else []
            found |= {one.value for one in said if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return found


def test_all_of_it_is_told_in_chinese_too() -> None:
    said = templates()
    assert len(said) > 40
    assert sorted(said - CHINESE.keys()) == []
    for english, chinese in CHINESE.items():
        assert set(NAMES.findall(english)) == set(NAMES.findall(chinese)), english
        # The word of `lingqu status` and of the pages.
        assert ("audit" in NAMES.sub("", english)) == ("审计" in chinese), english


def test_every_style_is_of_an_act() -> None:
    assert STYLES.keys() <= TITLES.keys()
    assert DOING.keys() == TITLES.keys() - {"shift"}


def test_a_store_of_somebody_else_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lingqu-demo" / ".lingqu").mkdir(parents=True)
    (tmp_path / "lingqu-demo" / ".lingqu" / "mine").touch()
    expected = (
        "^Expected no store, or one of an earlier demo, found another one at lingqu-demo/.lingqu. Move it away, or go to "
        "another folder: the demo begins with an empty one.$"
    )
    with pytest.raises(RequestError, match=expected):
        demo._afresh(Path("lingqu-demo/.lingqu"))
    assert (tmp_path / "lingqu-demo" / ".lingqu" / "mine").exists()


def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINGQU_DATABASE_URL", "postgresql://anna:secret@db/lingqu")
    expected = "found LINGQU_DATABASE_URL, which names one at postgresql. Unset it for: lingqu demo$"
    with pytest.raises(RequestError, match=expected):
        demo._afresh(tmp_path / ".lingqu")


def test_a_store_of_an_earlier_demo_is_begun_anew(tmp_path: Path) -> None:
    home = tmp_path / ".lingqu"
    home.mkdir()
    (home / demo.OURS).touch()
    demo._afresh(home)
    assert not home.exists()


@pytest.mark.heavy
def test_the_whole_story_comes_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "SPEC", SMALL)
    assert call(["demo", "--json", "--language", "en"]) == 0
    told = json.loads(capsys.readouterr().out)
    by_act = {event["act"]: event["numbers"] for event in told["events"]}
    order = [event["act"] for event in told["events"]]
    assert [*dict.fromkeys(order)] == [*TITLES]
    assert order.count("canary") == 2
    assert told["requests"]["failed"] == 0
    assert told["requests"]["sent"] > 1500
    assert by_act["quiet"]["alarms"] == 0
    assert by_act["quiet"]["accuracy"] > 0.9
    assert by_act["drift"]["signals"]
    gate = by_act["challenger"]
    assert gate["decision"] == "promote"
    assert gate["p"] < gate["alpha"]
    assert gate["rows"] >= 100
    share = {span["act"]: span["share"]["value"] for span in told["spans"] if span["share"]}
    assert share["shift"] < 0.8
    shadow = by_act["shadow"]
    assert shadow["wins"] > shadow["losses"]
    assert shadow["p"] < 0.05
    assert by_act["back"]["low"] > share["shift"] + 0.05
    poison = by_act["poison"]
    assert poison["votes"] == harm.SYBILS * harm.VOTES
    assert poison["quarantined"] > 0
    assert not poison["promoted"]
    assert by_act["rollback"]["restored"] == by_act["promote"]["version"]
    assert by_act["overrule"]["decision"] != "promote"
    assert Path(told["page"]).read_text("utf-8").count("<circle") >= len(order) - 2
    # Once played it is only shown; and an own history tells the same.
    assert call(["demo", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told
    assert call(["history", "digits", "--home", "lingqu-demo/.lingqu"]) == 0
    history = capsys.readouterr().out
    assert "digits was rolled back from version" in history
    assert harm.REASON in history


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_ctrl_c_in_the_middle_leaves_no_process(tmp_path: Path) -> None:
    code = f"import lingqu.cli.demo as d; d.SPEC = {SMALL!r}; from lingqu.cli import main; main(['demo', '--language', 'en'])"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        try:
            said = next(line for line in process.stderr if "It is served" in line)
            assert said
            assert len(of_session(process.pid)) >= 3
            time.sleep(1.0)
        finally:
            os.kill(process.pid, signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(30) == 130
    assert rest.endswith("Stopped: nothing of the demo runs on, and `lingqu demo` plays it from the beginning.\n")
    deadline = time.monotonic() + 5
    while of_session(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert of_session(process.pid) == set()
