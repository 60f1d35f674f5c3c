"""A bundle of two members: answers as one model does, and is refused as any other bundle."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lingqu.bundle.files import predict_file
from lingqu.bundle.folder import finish, restate, write_cascade
from lingqu.bundle.read import Bundle
from lingqu.contract import LabelScores, Refusal, Rows
from lingqu.errors import BundleError
from tests.bundle.two_members import LABELS, cascade, members, rows
from tests.conftest import write_csv

pytestmark = pytest.mark.heavy

DISTRUST = "Do not use this bundle."


def test_the_sure_rows_stay_and_the_others_go_on(tmp_path: Path) -> None:
    bundle = cascade(tmp_path)
    assert bundle.cascade is not None
    given = rows(200)
    cheap, dear = bundle.cascade.cheap.outputs(given)["logits"], bundle.cascade.dear.outputs(given)["logits"]
    found = bundle.outputs(given)["logits"]
    unsure = bundle.cascade.unsure(cheap)
    assert 0.2 < unsure.mean() < 0.8
    np.testing.assert_array_equal(found, np.where(unsure[:, None], dear, cheap))
    answers = bundle.predict(given)
    assert [answer.label for answer in answers if isinstance(answer, LabelScores)] == given["label"]
    assert bundle.predict(given.take([7]))[0] == answers[7]


def test_a_temperature_belongs_to_its_member(tmp_path: Path) -> None:
    cheap, dear = members(tmp_path)
    warm = Bundle(
        cheap.path,
        cheap.manifest,
        {**cheap.memory, "temperature": 4.0},
        cheap.task,
        (cheap.path / "model.onnx").read_bytes(),
    )
    given = rows(50)
    assert Bundle.open(cheap.path).predict(given) != warm.predict(given)
    from lingqu.bundle.cascade import Cascade

    both = Cascade(warm, dear, threshold=0.0)
    np.testing.assert_allclose(both.raw(given)["logits"], warm.outputs(given)["logits"] / 4)


def test_a_row_that_the_cheap_member_cannot_compute_goes_on(tmp_path: Path) -> None:
    bundle = cascade(tmp_path)
    assert bundle.cascade is not None
    assert bundle.cascade.unsure(np.array([[np.nan, 1.0], [9.0, -9.0]])).tolist() == [True, False]


def test_finished_copied_and_opened_again_it_is_the_same(tmp_path: Path) -> None:
    bundle, given = cascade(tmp_path), rows(40)
    done = finish(bundle, tmp_path / "final", name="both", card="# both\n", metrics={}, lineage={})
    assert done.predict(given) == bundle.predict(given)
    assert (done.path / "README.md").read_text() == "# both\n"
    shutil.copytree(done.path, tmp_path / "copy")
    assert Bundle.open(tmp_path / "copy").predict(given) == bundle.predict(given)


def test_a_file_is_answered_as_by_any_bundle(tmp_path: Path) -> None:
    bundle = cascade(tmp_path)
    source = write_csv(tmp_path / "in.csv", Rows({"x": ["0.9", "-0.9", "one"]}))
    done = predict_file(bundle, source, tmp_path / "out.csv", scores=True)
    assert (done.rows, done.refused) == (3, 1)
    lines = done.out.read_text().splitlines()
    assert lines[0] == "x,prediction,confidence,score.no,score.yes,error"
    assert [line.split(",")[1] for line in lines[1:]] == ["yes", "no", ""]
    assert isinstance(bundle.predict([{"x": "one"}])[0], Refusal)


def refused(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.open(folder).predict([{"x": 1.0}])
    return str(caught.value)


def rewrite(folder: Path, **changes: Any) -> None:
    """The manifest with these keys, and with the hashes of the files as they are now."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in manifest["files"]:
        if (folder / name).is_file():
            manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}))


@pytest.mark.parametrize("name", ["cheap/model.onnx", "dear/encoding.json", "encoding.json"])
def test_one_changed_byte_anywhere_is_found(tmp_path: Path, name: str) -> None:
    folder = cascade(tmp_path).path
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    last = name.rpartition("/")[2]
    assert refused(folder) == (
        f"Expected {last} as the manifest records it, found other bytes. The file was changed: export the bundle again."
    )


def test_a_member_that_was_exchanged_is_found(tmp_path: Path) -> None:
    """Whole in itself and right by its own hashes, but not the member that the cascade was made of."""
    folder = cascade(tmp_path).path
    shutil.rmtree(folder / "cheap")
    shutil.copytree(tmp_path / "other", folder / "cheap")
    assert refused(folder) == (
        "Expected cheap/manifest.json as the manifest records it, found other bytes. "
        "The file was changed: export the bundle again."
    )


@pytest.mark.parametrize("name", ["cheap", "dear"])
def test_a_member_that_is_missing(tmp_path: Path, name: str) -> None:
    folder = cascade(tmp_path).path
    shutil.rmtree(folder / name)
    assert refused(folder) == f"Expected {name}/manifest.json in bundle, found no such file. Export the bundle again."


def test_a_member_without_its_model(tmp_path: Path) -> None:
    folder = cascade(tmp_path).path
    (folder / "dear" / "model.onnx").unlink()
    assert refused(folder) == "Expected model.onnx in dear, found no such file. Export the bundle again."


@pytest.mark.parametrize(
    "found", [["cheap"], ["dear", "cheap"], ["../one", "dear"], ["/etc", "dear"], "cheap", None, {"cheap": 1}]
)
def test_members_that_lead_elsewhere(tmp_path: Path, found: Any) -> None:
    folder = cascade(tmp_path).path
    rewrite(folder, members=found)
    assert refused(folder) == f"Expected the members cheap and dear in bundle/manifest.json, found {found}. {DISTRUST}"


@pytest.mark.parametrize("name", ["../one/manifest.json", "cheap/model.onnx", "cheap/../../x", "model.onnx"])
def test_a_file_that_no_cascade_has(tmp_path: Path, name: str) -> None:
    folder = cascade(tmp_path).path
    files = json.loads((folder / "manifest.json").read_text())["files"]
    rewrite(folder, files={**files, name: "0" * 64})
    assert refused(folder) == (
        "Expected no files but encoding.json, cheap/manifest.json, dear/manifest.json and README.md in the manifest, "
        f"found '{name}'. {DISTRUST}"
    )


@pytest.mark.parametrize("threshold", [None, "0.5", 2.0, -0.1, 1, float("nan")])
def test_a_threshold_that_is_no_probability(tmp_path: Path, threshold: Any) -> None:
    folder = cascade(tmp_path).path
    rewrite(folder, threshold=threshold)
    assert refused(folder) == (
        f"Expected a threshold from 0.0 to 1.0 in bundle/manifest.json, found {threshold}. {DISTRUST}"
    )


def test_a_member_that_is_a_link(tmp_path: Path) -> None:
    folder = cascade(tmp_path).path
    (folder / "cheap").rename(tmp_path / "elsewhere")
    (folder / "cheap").symlink_to(tmp_path / "elsewhere")
    assert refused(folder) == f"Expected a folder cheap in bundle, found a link. {DISTRUST}"


def test_a_member_that_is_a_file(tmp_path: Path) -> None:
    folder = cascade(tmp_path).path
    shutil.rmtree(folder / "cheap")
    (folder / "cheap").write_text("{}")
    assert refused(folder) == f"Expected a folder cheap in bundle, found a file. {DISTRUST}"


def test_a_cascade_of_cascades_never_unfolds(tmp_path: Path) -> None:
    folder = cascade(tmp_path).path
    shutil.copytree(folder, tmp_path / "inner")
    shutil.rmtree(folder / "dear")
    shutil.copytree(tmp_path / "inner", folder / "dear")
    rewrite(folder)
    assert refused(folder) == f"Expected the format 1 of the member bundle/dear, found 2. {DISTRUST}"


def test_a_member_that_links_back_to_its_cascade(tmp_path: Path) -> None:
    folder = cascade(tmp_path).path
    shutil.rmtree(folder / "dear")
    (folder / "dear").symlink_to(folder)
    assert refused(folder) == f"Expected a folder dear in bundle, found a link. {DISTRUST}"


def test_members_that_answer_other_labels(tmp_path: Path) -> None:
    bundle = write_cascade(tmp_path / "right", *members(tmp_path), 0.9, {"labels": LABELS})
    (bundle.path / "encoding.json").write_text(json.dumps({"labels": ["yes", "no"]}))
    rewrite(bundle.path)
    assert refused(bundle.path) == (
        f"Expected the labels of right in right/cheap/encoding.json, found ['no', 'yes']. {DISTRUST}"
    )


def test_members_of_another_task(tmp_path: Path) -> None:
    folder = cascade(tmp_path).path
    manifest = json.loads((folder / "dear" / "manifest.json").read_text())
    (folder / "dear" / "manifest.json").write_text(json.dumps({**manifest, "task": "text-classification"}))
    rewrite(folder)
    assert refused(folder) == (
        f"Expected the task 'tabular-classification' of the member bundle/dear, found 'text-classification'. {DISTRUST}"
    )


def test_a_cascade_of_numbers_is_none(tmp_path: Path) -> None:
    folder = cascade(tmp_path).path
    rewrite(folder, answer="number-value")
    assert refused(folder) == (
        f"Expected the answer 'label-scores' or 'label-set' of a cascade in bundle/manifest.json, found 'number-value'. {DISTRUST}"
    )


def test_texts_are_restated_in_the_members_too(tmp_path: Path) -> None:
    """What somebody asks to forget may stand in any of the three manifests."""
    before = cascade(tmp_path)

    def change(value: Any) -> Any:
        return json.loads(json.dumps(value).replace('"source": "x"', '"source": "X"'))

    assert restate(before.path, tmp_path / "same", lambda value: value) is False
    assert restate(before.path, tmp_path / "new", change) is True
    after = Bundle.open(tmp_path / "new")
    assert after.cascade is not None
    for one in (after, after.cascade.cheap, after.cascade.dear):
        assert [column["source"] for column in one.manifest["columns"]] == ["X"]
        assert (one.path / "model.onnx").is_file() == (one is not after)
    given = rows(50)
    assert after.predict(given.rename({"x": "X"})) == before.predict(given)
