"""Words of other tools mean what they mean there, or are answered with lingqu's word."""

import pytest

from lingqu.cli import COMMANDS
from lingqu.errors import SpecError
from lingqu.spec import Spec, load_spec, settings_table
from lingqu.spec.names import _GATES
from lingqu.spec.settings import GateSettings
from lingqu.spec.synonyms import ACCEPTED, TARGET_WORDS, VALUES, VERBS

HEAD = "name: a\ntask: text-classification\ndata:\n  source: sklearn:iris\n"
OUR_VERBS = set(COMMANDS)
SETTINGS = {row.name for row in settings_table()}
TRAIN_VALUES = {
    "class_weights": "balanced",
    "optimiser": "sgd",
    "schedule": "cosine",
    "label_smoothing": 0.1,
    "augment": "none",
}


@pytest.mark.parametrize("word", [word for word, right in ACCEPTED["train"].items() if word != right])
def test_words_for_training(word):
    right = ACCEPTED["train"][word]
    value = TRAIN_VALUES.get(right, 1)
    spec = load_spec(f"{HEAD}train:\n  {word}: {value}\n")
    assert getattr(spec.train, right) == value


@pytest.mark.parametrize("word", TARGET_WORDS)
def test_words_for_the_column_to_predict(word):
    assert load_spec(HEAD + f"  columns: {{{word}: queue}}\n").data.columns == {"label": "queue"}
    assert load_spec(HEAD + f"  {word}: queue\n").data.columns == {"label": "queue"}
    regression = HEAD.replace("text-classification", "tabular-regression")
    assert load_spec(regression + f"  columns: {{{word}: price}}\n").data.columns == {"target": "price"}


def test_the_roles_of_a_task_decide_the_word():
    roles = {"grade-essays": ["text", "target"]}
    spec = load_spec(HEAD.replace("text-classification", "grade-essays") + "  label: mark\n", tasks=roles)
    assert spec.data.columns == {"target": "mark"}


def test_a_column_named_beside_columns():
    spec = load_spec(HEAD + "  columns: {label: queue}\n  text_column: body\n")
    assert spec.data.columns == {"label": "queue", "text": "body"}


def test_a_column_named_twice():
    with pytest.raises(SpecError) as caught:
        load_spec(HEAD + "  columns: {label: queue}\n  target: other\n")
    assert str(caught.value) == (
        "spec:6: Expected one of them, found both 'columns.label' and 'target', which mean the same. Keep one."
    )


def test_problems_stand_at_the_line_that_was_written():
    with pytest.raises(SpecError) as caught:
        load_spec(HEAD.replace("data", "dataset") + "training:\n  seed: 1\n  wd: x\n")
    assert str(caught.value) == (
        "spec:7: Expected a number from 0 to 10 or nothing for train.weight_decay, found 'x'. Correct it, or leave it out."
    )


@pytest.mark.parametrize("word", ["valid", "dev", "val"])
def test_words_for_validation(word, tmp_path):
    (tmp_path / "a.csv").write_text("")
    given = HEAD.replace("sklearn:iris", f"{{train: a.csv, {word}: a.csv}}")
    assert load_spec(given, folder=tmp_path).data.source.validation == "a.csv"  # type: ignore[union-attr]
    assert load_spec(HEAD + f"  split: {{{word}: 0.25}}\n").data.split.validation == 0.25


def test_values():
    text = HEAD + "  encoding: GBK\n  delimiter: tab\n  types: {age: float, town: categorical}\n  near_duplicates: no\n"
    spec = load_spec(text + "compress: {quantize: false}\ntrain: {precision: bf16, class_weight: ~}\n")
    assert (spec.data.encoding, spec.data.delimiter, spec.data.near_duplicates) == ("gb18030", "\t", False)
    assert spec.data.types == {"age": "number", "town": "category"}
    assert (spec.compress.quantise, spec.train.precision, spec.train.class_weights) == ("none", "bfloat16", "none")


def test_one_is_not_true():
    with pytest.raises(SpecError, match=r"Expected int8 or none for compress\.quantise, found 1"):
        load_spec(HEAD + "compress: {quantise: 1}\n")


@pytest.mark.parametrize("task", ["text_classification", "Text Classification", "sentiment-analysis"])
def test_words_for_tasks(task):
    known = ["text-classification"]
    assert load_spec(HEAD.replace("text-classification", task), tasks=known).task == "text-classification"


def test_a_task_from_outside_keeps_its_name():
    assert load_spec(HEAD.replace("text-classification", "my_task"), tasks=["my_task"]).task == "my_task"


def test_metrics():
    spec = Spec(name="a", task="t", data={"source": "a.csv"}, gates={"acc": ">=.9", "auc": "≥ 80%"})  # type: ignore
    sliced = load_spec(HEAD + "gates: {slices: {language: {acc: '>= 0.8'}}}\n")
    assert sliced.gates.slices == {"language": {"accuracy": ">= 0.8"}}
    assert spec.gates.metrics == {"accuracy": ">= .9", "roc_auc": ">= 80 %"}


def test_every_synonym_leads_to_a_setting():
    for section, words in ACCEPTED.items():
        for right in words.values():
            place = f"{section}.{right}".lstrip(".")
            assert (
                section == "gates"
                or any(name == place or name.startswith(place + ".") for name in SETTINGS)
                or (section == "data.source")
            )
    assert {name.rsplit(".", 1)[0] if name.startswith("data.types.") else name for name in VALUES} <= SETTINGS


def test_a_synonym_is_never_another_setting():
    for section, words in ACCEPTED.items():
        ours = {name.removeprefix(f"{section}.") for name in SETTINGS if name.startswith(f"{section}.")}
        assert not {word for word, right in words.items() if word != right} & ours


def test_verbs_lead_to_verbs():
    assert set(VERBS.values()) <= OUR_VERBS
    assert not set(VERBS) & OUR_VERBS
    assert [VERBS[word] for word in ("fit", "train", "eval", "infer", "init")] == [
        "run", "run", "show", "predict", "new",
    ]  # fmt: skip


def test_settings_of_gates_are_known_to_the_name_check():
    assert set(_GATES) == set(GateSettings.model_fields)
