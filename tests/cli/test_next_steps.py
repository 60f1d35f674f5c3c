"""What verbs advise when they are done."""

from argparse import Namespace

import pytest

from lingqu.cli.forget import _lines
from lingqu.cli.improve import _tell
from lingqu.feedback.forget import Forgotten

AGAIN = "Next: lingqu run  to learn it again; then: lingqu promote NAME@N --override --why REASON"
DROP = "Next: lingqu improve --drop  the challenger is not to lead; then: lingqu improve"


@pytest.mark.parametrize(
    ("aliases", "advised"), [(["champion"], [AGAIN]), (["challenger"], [DROP]), (["previous"], []), ([], [])]
)
def test_only_who_answers_users_or_may_is_to_be_replaced(aliases: list[str], advised: list[str]) -> None:
    model = {
        "name": "tags",
        "version": 2,
        "aliases": aliases,
        "rows": 3,
        "learned_from_them": True,
        "next": "lingqu run",
    }
    found = Forgotten(True, [], [model], 0, 0, 0, 0, 0, [], [])
    assert [str(line) for line in _lines(found) if str(line).startswith("Next")] == advised


@pytest.mark.parametrize(
    ("why", "advised"),
    [("frozen: holiday (anna)", "lingqu thaw tags"), ("no new label", "lingqu feedback queue")],
)
def test_who_waits_is_told_what_helps(why: str, advised: str, capsys: pytest.CaptureFixture[str]) -> None:
    _tell(Namespace(json=False), {"name": "tags", "decision": "wait", "why": why, "left_out": {}})
    assert f"Waiting: {why}.\nNext: {advised}  " in capsys.readouterr().out
