"""An answer has one vote in the fresh gate, however many trusted people label it, and none where they differ."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lingqu.contract.answers import LabelScores, NumberValue
from lingqu.data.version import DataVersion
from lingqu.feedback.add import Added, add_labels
from lingqu.feedback.round import Gathered, gather
from lingqu.feedback.voice import REJECTED, labels_of, settle, voices
from lingqu.serve.journal import Entry, Journal, new_id
from lingqu.serve.keys import ANYONE
from lingqu.spec import Spec
from lingqu.spec.running import ServeSettings
from lingqu.store import Store

SPEC = Spec.model_validate({"name": "m", "task": "text-classification", "data": {"source": "x.csv"}})
DATA = DataVersion("v", "t", "label", {}, {}, {}, "")


class Desk:
    """A store whose model has answered, and people who label the audit."""

    def __init__(self, folder: Path, count: int, said: LabelScores | NumberValue) -> None:
        self.store, self.ids = Store.open(folder / ".lingqu"), [new_id() for _ in range(count)]
        with Journal(self.store, ServeSettings().journal) as journal:
            for place, id in enumerate(self.ids):
                row = {"text": f"message {place}"}
                journal.record(Entry(id, "r", time.time(), "m", 1, "champion", ANYONE, None, row, said, 1.0))

    def labels(self, who: str, told: list[str]) -> Added:
        rows = [{"prediction_id": id, "y": label} for id, label in zip(self.ids, told, strict=True)]
        return add_labels(self.store, "m", rows, who=who, target="y", audit_share=1.0)

    def gathered(self) -> Gathered:
        return gather(self.store, SPEC, DATA, asked=True)


@pytest.mark.heavy
def test_a_row_that_two_people_labelled_judges_once(tmp_path):
    desk = Desk(tmp_path, 100, LabelScores.of({"ham": 0.9, "spam": 0.1}))
    ids, desk.ids = desk.ids, desk.ids[:60]
    for who in ("anna", "ben", "cleo"):
        assert desk.labels(who, ["ham"] * 60) == Added(60, 0)
    assert (desk.gathered().fresh, desk.gathered().awaited) == ((), 40)
    desk.ids = ids
    desk.labels("ben", ["ham"] * 99 + ["spam"])
    assert desk.labels("anna", ["ham"] * 100) == Added(40, 60, contested=1)
    assert (desk.gathered().fresh, desk.gathered().awaited) == ((), 1)
    wrong = next(voice for voice in voices(desk.store, "m") if voice.value == "spam")
    settle(desk.store, "m", {wrong.id: (REJECTED, "it is ham")}, who="cleo")
    fresh = desk.gathered().fresh
    assert sorted(voice.prediction_id for voice in fresh) == sorted(ids)
    assert [voice.id for voice in fresh] == [voice.id for voice in labels_of(voices(desk.store, "m"))]


def test_where_two_name_different_classes_nothing_judges_until_one_corrects_it(tmp_path):
    desk = Desk(tmp_path, 2, LabelScores.of({"ham": 0.9, "spam": 0.1}))
    first = {desk.ids[0]: "ham", desk.ids[1]: "spam"}
    desk.labels("anna", ["ham", "spam"])
    kept = {voice.prediction_id: voice.id for voice in voices(desk.store, "m")}
    assert desk.labels("ben", ["ham", "ham"]).contested == 1
    assert {voice.prediction_id: voice.value for voice in labels_of(voices(desk.store, "m"))} == {desk.ids[0]: "ham"}
    assert desk.labels("ben", ["ham", "spam"]) == Added(1, 1, 1)
    assert {voice.prediction_id: voice.value for voice in labels_of(voices(desk.store, "m"))} == first
    assert {voice.prediction_id: voice.id for voice in labels_of(voices(desk.store, "m"))} == kept


def test_of_several_numbers_the_first_stands(tmp_path):
    desk = Desk(tmp_path, 1, NumberValue(3.0, 2.0, 4.0))
    desk.labels("anna", ["3.1"])
    assert desk.labels("ben", ["3.2"]).contested == 0
    assert [voice.value for voice in labels_of(voices(desk.store, "m"))] == [3.1]
