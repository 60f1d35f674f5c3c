"""`lingqu keys`, as it is typed."""

import pytest

from lingqu.privacy.encrypt import MasterKeys
from lingqu.serve.keys import Keys, new_key, revoke
from lingqu.store import Store
from tests.conftest import as_json


@pytest.mark.heavy
def test_a_key_from_its_making_to_its_bill_and_its_end(lingqu, tmp_path):
    done = lingqu("keys", "new", "anna", "--price", "0.01 CNY per row", "--rate", "100 per minute", "--json")
    made = as_json(done)
    assert (made["name"], made["scopes"], made["state"]) == ("anna", ["predict", "feedback", "read"], "active")
    store = Store.open(tmp_path / ".lingqu")
    with Keys(store, required=True) as keys:
        keys.meter(keys.principal(made["key"]), "router", rows=1234, compute_seconds=2.5)
    assert as_json(lingqu("keys", "usage", "anna", "--by", "model", "--json"))["usage"] == [
        {
            "key": made["id"], "key_name": "anna", "model": "router", "day": "", "requests": 1, "rows": 1234,
            "compute_seconds": 2.5, "cost": "12.34", "currency": "CNY",
        }
    ]  # fmt: skip
    table = lingqu("keys", "usage").stdout.splitlines()
    assert table[0].split() == ["key", "name", "requests", "rows", "compute", "s", "cost"]
    assert table[1].split() == [made["id"], "anna", "1", "1,234", "2.50", "12.34", "CNY"]
    assert lingqu("keys", "usage", "--until", "2020").stdout == "Nothing was answered in this time.\n"
    listed = lingqu("keys").stdout
    assert "100 per minute" in listed
    assert made["key"] not in listed
    assert lingqu("keys", "revoke", "anna").stdout == f"The key {made['id']} of anna is refused from now on.\n"
    assert as_json(lingqu("keys", "list", "--json"))["keys"][0]["state"] == "revoked"


@pytest.mark.heavy
def test_the_bill_of_a_name_holds_its_rotated_and_expired_keys(lingqu, tmp_path):
    store = Store.open(tmp_path / ".lingqu")
    made = [new_key(store, "anna", price="1 CNY per row") for _ in range(3)]
    _, other = new_key(store, "ben")
    with Keys(store, required=True) as keys:
        for rows, (_, token) in enumerate(made, start=1):
            keys.meter(keys.principal(token), "router", rows=rows, compute_seconds=0)
        keys.meter(keys.principal(other), "router", rows=50, compute_seconds=0)
    (rotated, _), (expired, _), (active, _) = made
    revoke(store, rotated.id)
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE keys SET expires = created WHERE id = ?", (expired.id,))
    told = as_json(lingqu("keys", "usage", "anna", "--json"))["usage"]
    assert {line["key"]: line["rows"] for line in told} == {rotated.id: 1, expired.id: 2, active.id: 3}
    assert [line["rows"] for line in as_json(lingqu("keys", "usage", expired.id, "--json"))["usage"]] == [2]
    done = lingqu("keys", "usage", "carl")
    assert (done.returncode, done.stderr.split(". ")[0]) == (2, "Expected the id or the name of a key, found 'carl'")


def test_a_key_is_shown_once(lingqu):
    shown = lingqu("keys", "new", "ben", "--scopes", "predict", "--days", "0").stdout.splitlines()
    assert shown[0].startswith("Key of ben (")
    assert shown[0].endswith("), good for ever for: predict")
    assert shown[1].startswith("lq_")
    assert shown[2] == "It is shown this once; only its SHA-256 is kept. Send it as 'Authorization: Bearer …'."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new"], "Expected the name of a key, found none. Type: lingqu keys new NAME"),
        (["revoke", "anna"], "Expected the id or the name of a key, found 'anna'. Known: none yet."),
        (["usage", "--since", "yesterday"], "Expected a month or a day such as 2026-11-22 (UTC) after --since, found 'yesterday'. Type: --since 2026-11"),
        (["usage", "--by", "hour"], "Expected model or day after --by, found 'hour'. Type: --by model,day"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(lingqu, tmp_path, arguments, message):
    done = lingqu("keys", *arguments)
    assert (done.returncode, done.stderr) == (2, f"{message}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_secret_is_one_that_encrypts(lingqu):
    assert MasterKeys.given(as_json(lingqu("keys", "secret", "--json")))
