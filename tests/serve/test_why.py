"""Explanations over HTTP: the right parts, in few questions, for every task."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lingqu.serve.why import MOST
from lingqu.tasks import find_task

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.heavy


def explained(client: httpx.Client, name: str, row: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = client.post(f"/v1/models/{name}/explain", json={"row": row, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_words_that_a_linear_model_goes_by_are_the_weightiest(client: httpx.Client) -> None:
    told = explained(client, "topics", {"text": "our team 7 scored twice"})
    assert (told["prediction"], told["label"]) == ("sport", "sport")
    weights = {part["text"]: part["weight"] for part in told["parts"]}
    assert set(weights) == {"our", "team", "7", "scored", "twice"}
    assert weights["team"] > 0.5
    assert abs(weights["7"]) < weights["team"] / 3
    other = explained(client, "topics", {"text": "our team 7 scored twice"}, label="food")
    assert {part["text"]: -part["weight"] for part in other["parts"]} == pytest.approx(weights, abs=1e-3)
    first = told["parts"][0]
    assert "our team 7 scored twice"[slice(*first["place"])] == first["text"]
    assert 0 < told["seconds"] < 10


def test_parts_are_told_under_the_columns_of_who_asks(tmp_path: Path) -> None:
    import httpx

    from lingqu.serve.service import Service
    from lingqu.spec.running import ServeSettings
    from tests.serve.live import serving
    from tests.serve.models import make

    made = make("text-classification", tmp_path / "reviews", "reviews", sources={"text": "review"})
    with (
        serving(lambda: Service.load([made.path], settings=ServeSettings())) as (_, port),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", verify=False) as client,
    ):
        told = explained(client, "reviews", {"review": "our team scored twice"})
    # The page marks the words in the field of that name.
    assert {part["column"] for part in told["parts"]} == {"review"}


def test_the_columns_of_a_table_and_a_number(client: httpx.Client) -> None:
    told = explained(client, "houses", {"rooms": 9, "town": "Guilin"})
    weights = {part["column"]: (part["value"], part["weight"]) for part in told["parts"]}
    assert told["label"] is None
    assert weights["rooms"][0] == 9
    # Fifty for each room above the mean.
    assert 100 < weights["rooms"][1] < 300


def test_the_patches_of_a_picture(client: httpx.Client) -> None:
    import numpy as np

    from lingqu.data.pictures import encode_png

    pixels = np.full((8, 8), 30, np.uint8)
    pixels[3, :] = 220
    told = explained(client, "digits", {"image": base64.b64encode(encode_png(pixels)).decode()})
    assert told["prediction"] == "across"
    assert len(told["parts"]) == 49
    for part in told["parts"]:
        left, top, right, bottom = part["box"]
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
    # The line lies in the upper half, and so do the patches that speak loudest.
    best = told["parts"][:5]
    assert sum(part["box"][1] for part in best) / 5 < 0.6


def test_a_label_of_many(client: httpx.Client) -> None:
    told = explained(client, "tags", {"text": "the parcel came late"}, label="delivery")
    assert told["prediction"] == ["delivery"]
    assert told["parts"][0]["weight"] > 0


def test_a_long_text_costs_no_more_questions(client: httpx.Client) -> None:
    text = " ".join(find_task("text-classification").toy(300)["text"])
    told = explained(client, "topics", {"text": text})
    assert MOST / 2 < len(told["parts"]) <= MOST


def test_all_questions_of_one_row_hold_so_many_characters_at_most(
    client: httpx.Client, bundles: dict[str, Path]
) -> None:
    from lingqu.bundle.read import Bundle
    from lingqu.serve.why import MOST_EXPLAINED, _take_apart

    text = ("rice " * MOST_EXPLAINED)[:MOST_EXPLAINED]
    parts = _take_apart(Bundle.open(bundles["topics"]), {"text": text})
    made = sum(len(away["text"]) for apart in parts for unit in apart.units for away in unit.without)
    assert MOST_EXPLAINED < made <= MOST * MOST_EXPLAINED
    assert explained(client, "topics", {"text": text})["label"]
    refused = client.post("/v1/models/topics/explain", json={"row": {"text": text + "!"}})
    assert (refused.status_code, refused.json()["error"]["message"]) == (
        422,
        "row: Expected at most 20,000 characters in 'text' to explain, found 20,001. Explain a part of the text.",
    )
    second = client.post("/v1/models/topics:explain", json={"instances": ["salty soup", text + "!"]})
    assert (second.status_code, "instances[1]: Expected at most 20,000" in second.text) == (400, True)
    properties = client.get("/openapi.json").json()["paths"]["/v1/models/topics/explain"]["post"]["requestBody"]
    row = properties["content"]["application/json"]["schema"]["properties"]["row"]
    assert row["properties"]["text"]["maxLength"] == MOST_EXPLAINED


def test_no_row_is_taken_apart_for_a_key_without_a_quota(bundles: dict[str, Path], tmp_path: Path) -> None:
    import httpx

    from lingqu.serve.keys import new_key
    from lingqu.serve.service import Service
    from lingqu.spec.running import ServeSettings
    from lingqu.store import Store
    from tests.serve.live import serving

    store = Store.open(tmp_path / "store")
    token = new_key(store, "anna", quota="1 row per day")[1]
    with (
        serving(lambda: Service.load([bundles["topics"]], settings=ServeSettings(), store=store)) as (_, port),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", verify=False, headers={"x-api-key": token}) as client,
    ):
        name = bundles["topics"].name
        # What it says of this row is found out by taking it apart.
        refused = client.post(f"/v1/models/{name}/explain", json={"row": {"text": " "}})
        assert refused.status_code == 429
        assert "found 2 rows with 1 left" in refused.json()["error"]["message"]
        assert client.post(f"/v1/models/{name}/predict", json={"row": {"text": "salty soup"}}).status_code == 200


def test_the_version_that_answers_a_user_is_the_one_explained(tmp_path: Path) -> None:
    import httpx

    from lingqu.bundle.read import Bundle
    from lingqu.serve.engine import CHALLENGER, Engine
    from lingqu.serve.loaded import Loaded
    from lingqu.serve.metrics import Metrics
    from lingqu.serve.reply import Served
    from lingqu.serve.service import Service
    from lingqu.spec.running import ServeSettings
    from tests.serve.bundles import echo
    from tests.serve.live import serving

    first, second = (Loaded(Served("echo", n), Bundle.open(echo(tmp_path / str(n), n).path)) for n in (1, 2))

    def service() -> Service:
        metrics, settings = Metrics(), ServeSettings(canary=0.5)
        engine = Engine("echo", first, settings, metrics)
        engine.install({CHALLENGER: second}, partly=True)
        return Service([engine], settings, metrics)

    versions = set[str]()
    with (
        serving(service) as (_, port),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", verify=False) as client,
    ):
        for user in range(20):
            who = {"x-user-id": f"user{user}"}
            answer = client.post("/v1/models/echo/predict", json={"row": {"x": 3}}, headers=who).json()
            told = client.post("/v1/models/echo/explain", json={"row": {"x": 3}}, headers=who).json()
            prediction = answer["predictions"][0]["prediction"]
            assert (told["version"], told["prediction"]) == (answer["version"], prediction)
            served = client.post("/v1/models/echo:explain", json={"instances": [{"x": 3}]}, headers=who).json()
            assert served["explanations"][0]["prediction"] == prediction
            versions.add(answer["version"])
        # Whoever names a version gets that one.
        told = client.post("/v1/models/echo/explain?version=1", json={"row": {"x": 3}}, headers={"x-user-id": "user1"})
        assert told.json()["version"] == "1"
    assert versions == {"1", "2"}


def test_what_cannot_be_explained_is_told(client: httpx.Client) -> None:
    for model, body, message in (
        ("topics", {"row": {"text": " "}}, "row: Expected a text in 'text', found nothing. Training rows had no missing value there."),
        ("topics", {"row": {"text": "a"}, "label": "fod"}, "label: Expected a label of this model, found 'fod'. Did you mean 'food'?"),
        ("houses", {"row": {"rooms": 1, "town": "x"}, "label": "a"}, "label: Expected no label, for this model has none, found 'a'. Leave it out."),
        ("topics", {"rows": []}, "Expected an object with 'row' and perhaps 'label', found an object. Send {\"row\": {column: value}}."),
    ):  # fmt: skip
        refused = client.post(f"/v1/models/{model}/explain", json=body)
        assert (refused.status_code, refused.json()["error"]["message"]) == (422, message)


def test_a_text_of_one_word_is_explained_by_it(client: httpx.Client) -> None:
    told = explained(client, "topics", {"text": "salty"})
    assert told["prediction"] == "food"
    assert told["parts"][0]["weight"] > 0


def test_kserve_explains_instances(client: httpx.Client) -> None:
    told = client.post("/v1/models/topics:explain", json={"instances": ["salty soup", "our team"]}).json()
    assert [one["label"] for one in told["explanations"]] == ["food", "sport"]
    for text, one in zip(("salty soup", "our team"), told["explanations"], strict=True):
        assert one["parts"] == explained(client, "topics", {"text": text})["parts"]
    assert client.post("/v1/models/topics:explain", json={"instances": ["a"] * 9}).status_code == 400
