"""The service's own interface, over a real connection: every task, every way to send a row, every refusal."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from lingqu.tasks import find_task
from tests.serve.conftest import NAMES

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.heavy


def error_of(response: httpx.Response) -> tuple[int, str]:
    told = response.json()["error"]
    assert told["id"] == response.headers["x-request-id"]
    return response.status_code, told["message"]


@pytest.mark.parametrize("name", NAMES)
def test_each_task_answers_its_own_example(client: httpx.Client, name: str) -> None:
    model = client.get(f"/v1/models/{name}").json()
    answered = client.post(f"/v1/models/{name}/predict", json={"rows": [model["example"]] * 2})
    assert answered.status_code == 200, answered.text
    first, second = answered.json()["predictions"]
    assert first.pop("id") != second.pop("id")
    assert first == second
    assert client.post(f"/v1/models/{name}/predict", json={"row": model["example"]}).status_code == 200
    assert answered.headers["x-model-name"] == name
    assert answered.headers["x-model-version"] == "1"
    assert answered.headers["x-prediction-id"] == answered.json()["predictions"][0]["id"]
    assert answered.json()["request_id"] == answered.headers["x-request-id"]


def test_the_example_of_a_model_of_chinese_labels_is_chinese(bundles: dict[str, Any]) -> None:
    from lingqu.bundle.read import Bundle
    from lingqu.serve.schemas import example_row

    bundle = Bundle.open(bundles["topics"])
    assert example_row(bundle)["text"].isascii()
    bundle.memory["labels"] = ["投诉", "表扬"]
    assert not example_row(bundle)["text"].isascii()
    assert bundle.predict([example_row(bundle)])[0].cells()["prediction"] in bundle.memory["labels"]


def test_answers_are_those_of_the_bundle(client: httpx.Client, bundles: dict[str, Any]) -> None:
    from lingqu.bundle.read import Bundle

    for name in ("topics", "tags", "credit", "houses"):
        bundle = Bundle.open(bundles[name])
        rows = bundle.task.toy(20, seed=7)
        asked = rows.select(n for n in rows.names if n != bundle.task.target.name)
        found = client.post(f"/v1/models/{name}/predict?scores=true", json={"rows": list(asked)}).json()
        for answer, told in zip(bundle.predict(asked), found["predictions"], strict=True):
            label = answer.cells()["prediction"]
            given = told["prediction"]
            assert (sorted(label.split("|")) if label else []) == given if isinstance(given, list) else label == given
            if "scores" in told:
                assert told["scores"] == {n: round(p, 4) for n, p in answer.scores.items()}  # pyright: ignore
                assert told["confidence"] == round(answer.confidence, 2)  # pyright: ignore


def test_a_model_tells_what_it_takes_in_both_languages(client: httpx.Client) -> None:
    told = client.get("/v1/models/houses").json()
    low, high = told["columns"][0]["low"], told["columns"][0]["high"]
    assert told["columns"][0] == {
        "name": "rooms", "role": "rooms", "kind": "number", "required": True, "low": low, "high": high,
        "about": "A number. Training rows held 1 to 9; a number beyond -79 to 89 is refused.",
    }  # fmt: skip
    assert told["answer"] == {"kind": "number-value"}
    assert told["about"] == find_task("tabular-regression").about
    chinese = client.get("/v1/models/houses?language=zh").json()
    assert chinese["about"] == "为表格的一行给出一个数值：价格、需求、时长。"
    assert chinese["columns"][0]["about"] == "一个数值。训练数据在 1 到 9 之间；超出 -79 到 89 的数值会被拒绝。"
    assert error_of(client.get("/v1/models/houses?language=fr")) == (
        400,
        "Expected one 'language' in the address, en or zh, found 'fr'. Give it once, as in ?language=en.",
    )


def test_a_picture_comes_as_a_file_as_base64_or_as_bytes_and_never_by_address(client: httpx.Client) -> None:
    rows = find_task("image-classification").toy(2, seed=5)
    picture, other = rows["image"]
    plain = base64.b64encode(picture).decode()
    url = "/v1/models/digits/predict"
    ways = [
        client.post(url, json={"row": {"image": plain}}),
        client.post(url, json={"row": {"image": {"b64": plain}}}),
        client.post(url, json={"row": {"image": f"data:image/png;base64,{plain}"}}),
        client.post(url, files={"image": ("a.png", picture, "image/png")}),
        client.post(url, content=picture, headers={"content-type": "image/png"}),
        client.post(url, content=picture, headers={"content-type": "application/octet-stream"}),
    ]
    assert [way.json()["predictions"][0]["prediction"] for way in ways] == ["across"] * len(ways)
    several = client.post(url, files=[("image", ("a.png", picture)), ("image", ("b.png", other))])
    assert [answer["prediction"] for answer in several.json()["predictions"]] == ["across", "down"]
    assert error_of(client.post(url, json={"row": {"image": "http://127.0.0.1/a.png"}})) == (
        422,
        (
            "row.image: Expected the bytes of a picture as base64, found 'http://127.0.0.1/a.png'. "
            "Send the bytes themselves; addresses are never fetched."
        ),
    )


def test_any_value_of_a_form_may_come_as_a_file(client: httpx.Client) -> None:
    url, text = "/v1/models/topics/predict", "our team won\n"
    for sent in (text.encode(), text.encode("utf-8-sig")):
        answer = client.post(url, files={"text": ("a.txt", sent)})
        assert answer.json()["predictions"][0]["prediction"] == "sport"
    assert error_of(client.post(url, files={"text": ("a.txt", text.encode("utf-16"))})) == (
        400,
        "Expected text in UTF-8, found other bytes. Encode it as UTF-8.",
    )
    files = {"rooms": ("rooms.txt", b"3\n"), "town": ("town.txt", b"Guilin\n")}
    told = client.post("/v1/models/houses/predict", files=files).json()["predictions"][0]
    alone = client.post("/v1/models/houses/predict", json={"row": {"rooms": 3, "town": "Guilin"}}).json()
    assert told["prediction"] == alone["predictions"][0]["prediction"]


def test_one_refused_row_alone_is_an_error_and_among_others_a_line(client: httpx.Client) -> None:
    url, good, far = "/v1/models/houses/predict", {"rooms": 3, "town": "Guilin"}, {"rooms": 1e308, "town": "Guilin"}
    assert error_of(client.post(url, json={"row": far})) == (
        422,
        "row: Expected 'rooms' between -79 and 89, found 1e+308. Training rows held 1 to 9.",
    )
    hole = {"rooms": None, "town": "Guilin"}
    answered = client.post(url, json={"rows": [good, far, hole]}).json()["predictions"]
    assert set(answered[0]) == {"id", "prediction", "low", "high"}
    assert [one["error"] for one in answered[1:]] == [
        "Expected 'rooms' between -79 and 89, found 1e+308. Training rows held 1 to 9.",
        "Expected a number in 'rooms', found nothing. Training rows had no missing value there.",
    ]


REFUSED: dict[str, tuple[Any, int, str]] = {
    "no object": ([1], 422, "Expected an object with either 'row' or 'rows', found no object."),
    "both": ({"row": {}, "rows": []}, 422, "Expected an object with either 'row' or 'rows', found the keys row, rows."),
    "no rows": ({"rows": []}, 422, "rows: Expected a list of at least one row, found an empty list. Send the rows in a list."),
    "no row": ({"rows": [3]}, 422, "rows[0]: Expected an object {column: value}, found a number. Name each value by its column."),
    "a wrong kind": ({"row": {"rooms": True, "town": "x"}}, 422, "row.rooms: Expected a number, found true or false. Send one such as 1.5, without quotes."),
    "text for a number": ({"row": {"rooms": "3", "town": "x"}}, 422, "row.rooms: Expected a number, found '3'. Send one such as 1.5, without quotes."),
    "nothing": (
        {"row": {"rooms": None, "town": "x"}}, 422,
        "row.rooms: Expected a number, found nothing. Training rows had no missing value there.",
    ),
    "a misspelled column": (
        {"row": {"romms": 3, "town": "x"}}, 422,
        ("row: Expected a column 'rooms', found columns romms, town. Did you mean 'romms'? "
        "row: Expected a column of the model, found 'romms'. Did you mean 'rooms'?"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_row_is_refused_with_its_place(client: httpx.Client, case: str) -> None:
    body, status, message = REFUSED[case]
    advice = ' Send {"row": {column: value}} or {"rows": [{column: value}, …]}.' if "either" in message else ""
    assert error_of(client.post("/v1/models/houses/predict", json=body)) == (status, message + advice)


def test_ten_problems_at_most_are_told_at_once(client: httpx.Client) -> None:
    told = client.post("/v1/models/houses/predict", json={"rows": [{"rooms": "x", "town": "y"}] * 50}).json()["error"]
    assert [problem["where"] for problem in told["problems"]] == [f"rows[{i}].rooms" for i in range(10)]


def test_unknown_names_types_and_methods(client: httpx.Client) -> None:
    assert error_of(client.post("/v1/models/topic/predict", json={})) == (
        404,
        "Expected a model that is served here, found 'topic'. Did you mean 'topics'?",
    )
    assert client.get("/v1/models/topics?version=7").status_code == 404
    refused = client.post("/v1/models/topics/predict", content=b"<a/>", headers={"content-type": "text/xml"})
    assert error_of(refused) == (
        415,
        "Expected application/json or multipart/form-data, found text/xml. Set Content-Type to it.",
    )
    for method, path, allowed in (("GET", "/v1/models/topics/predict", "POST"), ("DELETE", "/v1/models", "GET, HEAD")):
        refused = client.request(method, path)
        assert (refused.status_code, refused.headers["allow"], refused.content) == (405, allowed, b"")
    assert (client.get("/v1/nothing").status_code, client.get("/v1/nothing").content) == (404, b"")
    assert error_of(client.post("/v1/feedback", json={"prediction_id": "x"}))[0] == 404


def test_text_may_be_sent_as_it_is(client: httpx.Client) -> None:
    url, headers = "/v1/models/topics/predict", {"content-type": "text/plain; charset=utf-8"}
    text = "红烧肉 tastes salty at dinner"
    assert client.post(url, content=text.encode(), headers=headers).json()["predictions"][0]["prediction"] == "food"
    assert error_of(client.post(url, content=b"\xff\xfe", headers=headers)) == (
        400,
        "Expected text in UTF-8, found other bytes. Encode it as UTF-8.",
    )


def test_a_request_keeps_its_id_and_every_answer_has_the_safe_headers(client: httpx.Client) -> None:
    kept = client.get("/livez", headers={"x-request-id": "abc-1"})
    assert kept.headers["x-request-id"] == "abc-1"
    made = client.get("/livez", headers={"x-request-id": "a b<script>"})
    assert len(made.headers["x-request-id"]) == 24
    for path in ("/", "/livez", "/nothing", "/v1/models", "/docs", "/metrics", "/page/app.js"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert not any(name.startswith("access-control") for name in headers)
        assert "server" not in headers


def test_the_page_of_the_interface_shows_a_line_that_works(client: httpx.Client, live: int) -> None:
    import html
    import re
    import shlex
    import subprocess

    page = client.get("/docs", headers={"accept-language": "zh-CN,zh"}).text
    assert "如何调用本服务" in page
    assert "http" not in page.replace(f"http://127.0.0.1:{live}", "")
    lines = [html.unescape(line) for line in re.findall("<pre>(.*?)</pre>", page, re.DOTALL)]
    assert len(lines) == len(NAMES)
    houses = next(line for line in lines if "/houses/" in line)
    command = shlex.split(houses.replace("\\\n", ""))
    done = subprocess.run([*command, "-s"], capture_output=True, text=True, check=True)
    assert '"prediction":' in done.stdout
