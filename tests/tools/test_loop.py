"""How the loop's proofs are written down; the measuring itself is `python -m tools.loop`."""

from __future__ import annotations

import doctest
import json
from xml.etree import ElementTree

import pytest

from tools.circumstances import ROOT
from tools.loop import __main__ as command
from tools.loop import draw, page, record
from tools.loop.record import Proof, Row

AROUND = {"commit": "abc", "date": "2026-01-01", "machine": "one", "load": 0.1}


@pytest.mark.parametrize("module", [draw, page, record])
def test_what_the_tools_show_is_so(module) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0 and found.failed == 0


def test_a_part_replaces_only_its_own_section(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    monkeypatch.setattr(command, "circumstances", lambda: AROUND)
    first, second = (
        Proof(title, [Row("measured", figure)], ["Why."], {f"loop-{title}": "<svg/>"}, "a plot")
        for title, figure in (("one", "1"), ("two", "2"))
    )
    command.keep("shadow", second, 3.0)
    command.keep("equal", first, 4.0)
    command.keep("equal", Proof("one", [Row("measured", "9", goal="<= 5", met=False)], [], {}), 5.0)
    told = (tmp_path / "loop.md").read_text()
    assert told.index("## one") < told.index("## two")
    assert "| measured | 9 | - | <= 5 (missed) |" in told and "| measured | 2 | - | - |" in told
    assert "| measured | 1 |" not in told
    assert (tmp_path / "loop-two.svg").read_text() == "<svg/>"
    assert set(json.loads((tmp_path / "loop.json").read_text())) == {"equal", "shadow"}


def test_every_plot_of_the_page_is_there_and_can_be_read() -> None:
    held = json.loads((ROOT / "docs" / "results" / "loop.json").read_text(encoding="utf-8"))
    plots = [plot for part in held.values() for plot in part["plots"]]
    assert plots
    for plot in plots:
        drawn = ElementTree.parse(ROOT / "docs" / "results" / f"{plot}.svg").getroot()
        assert drawn.get("aria-label")
    assert (ROOT / "docs" / "results" / "loop.md").read_text(encoding="utf-8") == page.page(held, [*command.PARTS])


@pytest.mark.heavy
def test_lives_under_other_rules_are_not_told_and_those_under_these_are_not_lived_again(tmp_path) -> None:
    from tools.loop.world.lives import lives, rules

    one = {"product": "ag_news", "seed": 3, "active": 1.0, "policies": {"lingqu": {"accuracy": [[2, 0.8], [1, 0.5]]}}}
    lines = [{**one, "rules": rules()}, {**one, "seed": 4, "rules": "before"}]
    file = tmp_path / "world.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    known = lives(tmp_path, 60.0, file=file, which=[("ag_news", 3, 1.0)])
    assert [(life["seed"], life["policies"]["lingqu"]["accuracy"]) for life in known] == [(3, [0.8, 0.8, 0.5])]


def test_every_curve_is_drawn_or_none() -> None:
    curves = [draw.Line(f"policy {n}", [n, n + 1.0]) for n in range(len(draw.COLOURS) + 1)]
    drawn = draw.lines("t", [0, 1], curves[:-1], across="answers", up="accuracy")
    assert all(f">policy {n}<" in drawn for n in range(len(draw.COLOURS)))
    assert drawn.count("<polyline") == len(draw.COLOURS)
    with pytest.raises(ValueError, match="zip"):
        draw.lines("t", [0, 1], curves, across="answers", up="accuracy")
