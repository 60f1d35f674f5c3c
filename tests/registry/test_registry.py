from __future__ import annotations

import pytest

from lingqu.errors import ConflictError, GateError, RequestError, StoreError, UnknownNameError
from lingqu.registry import Event, Registry
from lingqu.registry.rollouts import begin, rollout
from lingqu.store import Store
from lingqu.store.database import Database


def told(error: pytest.ExceptionInfo[BaseException]) -> str:
    return str(error.value)


def test_versions_are_numbered_from_one_for_each_name(registry, register):
    assert [register(registry, c).number for c in "abc"] == [1, 2, 3]
    assert register(registry, "a", name="other").number == 1
    assert [v.reference for v in registry.versions()] == ["other@1", "router@1", "router@2", "router@3"]
    assert [v.number for v in registry.versions("router")] == [1, 2, 3]
    assert registry.versions("nobody") == []
    assert registry.names() == ["other", "router"]


def test_the_same_bundle_from_the_same_data_is_the_same_version(registry, register):
    first = register(registry, "a")
    assert register(registry, "a") == first
    assert register(registry, "a", data="d2").number == 2
    assert len(registry.history()) == 2


def test_a_version_comes_back_as_it_was_registered(registry, register):
    version = register(registry, "a")
    assert registry.get("router@1") == version
    assert version.spec == {"名": "票务"}
    assert version.to_json()["metrics"]["accuracy"]["low"] == 0.88


def test_a_bundle_must_be_in_the_store(local):
    facts = {"data_version": "d", "run": "r", "task": "t", "metrics": {}, "decision": {}, "lineage": {}, "spec": {}}
    with pytest.raises(StoreError) as error:
        local.register("router", bundle="ab" * 32, **facts)
    assert told(error).startswith("Expected the folder ") and "found no such folder" in told(error)
    assert local.versions() == [] and local.history() == []


def test_a_store_that_may_not_be_written_is_read(local, register, monkeypatch):
    version = register(local, "a")
    local.promote("router", 1, who="anna", why="first")
    # Whoever runs the tests may be root, who may write everywhere.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    again = Registry(Store.open(local.store.folder))
    assert again.get("router@champion") == version
    assert again.verify_history() == []
    with pytest.raises(StoreError) as error:
        again.set_alias("router", "challenger", 1, expect_epoch=0, who="anna")
    assert told(error) == (
        f"Expected the database {local.store.folder}/lingqu.db to work, found attempt to write a readonly database. "
        "Choose another place (--home, or LINGQU_HOME), or change who may write there."
    )


def test_references(registry, register):
    for content in "abc":
        register(registry, content)
    registry.promote("router", 1, who="anna", why="first")
    registry.promote("router", 2, who="anna", why="better")
    numbers = {r: registry.get(r).number for r in ("router", "router@champion", "router@previous", "router@3")}
    assert numbers == {"router": 2, "router@champion": 2, "router@previous": 1, "router@3": 3}
    assert registry.get("router@latest").number == registry.get("router@v3").number == 3
    assert registry.aliases("router") == {"champion": 2, "previous": 1}


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("ruoter", "Expected a model of the registry, found 'ruoter'. Did you mean 'router'?"),
        (
            "router",
            "Expected a champion of router, found none. No version has been promoted yet; the newest is router@2.",
        ),
        ("router@champoin", "Expected an alias of router, found 'champoin'. Known: latest, shadow."),
        ("router@shado", "Expected an alias of router, found 'shado'. Did you mean 'shadow'?"),
        ("router@3", "Expected a version of router, found router@3. Its versions are 1 to 2."),
        ("router@0", "Expected a version of router, found router@0. Its versions are 1 to 2."),
        ("router@", "Expected name, name@alias or name@number, found 'router@'. See: lingqu versions"),
        ("router@9999999999", "Expected an alias of router, found '9999999999'. Known: latest, shadow."),
        ("one@2", "Expected a version of one, found one@2. Its only version is 1."),
    ],
)
def test_a_wrong_reference_names_the_nearest_right_one(local, register, reference, message):
    register(local, "a")
    register(local, "b")
    register(local, "a", name="one")
    local.set_alias("router", "shadow", 1, expect_epoch=0, who="anna")
    with pytest.raises(UnknownNameError) as error:
        local.get(reference)
    assert told(error) == message


def test_an_empty_registry_says_so(local):
    with pytest.raises(UnknownNameError) as error:
        local.get("router")
    assert told(error) == "Expected a model of the registry, found 'router'. Known: none yet."


def test_an_alias_moves_only_from_the_epoch_that_was_seen(registry, register):
    register(registry, "a")
    register(registry, "b")
    assert registry.alias("router", "challenger") is None
    assert registry.set_alias("router", "challenger", 1, expect_epoch=0, who="anna", why="try") == 1
    assert registry.set_alias("router", "challenger", 2, expect_epoch=1, who="anna") == 2
    with pytest.raises(ConflictError) as error:
        registry.set_alias("router", "challenger", 1, expect_epoch=1, who="ben")
    assert told(error) == (
        "Expected challenger of router at epoch 1, found epoch 2 (version 2). "
        "Somebody moved it first; look at it and decide again."
    )
    assert registry.alias("router", "challenger") == (2, 2)
    assert registry.set_alias("router", "challenger", 2, expect_epoch=2, who="ben") == 2
    assert len(registry.history()) == 4
    assert registry.verify_history() == []


def test_promote_keeps_the_champion_before_as_previous(registry, register):
    for content in "abc":
        register(registry, content)
    assert registry.promote("router", 1, who="anna", why="first").number == 1
    assert registry.alias("router", "previous") is None
    registry.promote("router", 3, who="anna", evidence={"p": 0.01, "alpha": 0.025})
    assert registry.alias("router", "champion") == (3, 2)
    assert registry.alias("router", "previous") == (1, 1)
    before = registry.history()
    registry.promote("router", 3, who="anna", why="again")
    assert registry.history() == before
    assert registry.verify_history() == []


def test_a_promotion_needs_evidence_or_a_reason(local, register):
    register(local, "a")
    with pytest.raises(GateError) as error:
        local.promote("router", 1, who="anna")
    assert told(error) == (
        "Expected evidence or a reason to promote version 1 of router, found neither. "
        "Run the gate, or say why it is promoted without one."
    )


def test_evidence_against_another_champion_does_not_promote(registry, register):
    for content in "ab":
        register(registry, content)
    registry.promote("router", 1, who="anna", why="first", expect_epoch=0)
    with pytest.raises(ConflictError) as error:
        registry.promote("router", 2, who="ben", why="better than none", expect_epoch=0)
    assert "Expected champion of router at epoch 0, found epoch 1 (version 1)." in told(error)


def test_rollback_goes_back_one_champion_at_a_time(registry, register):
    for content in "abc":
        register(registry, content)
        registry.promote("router", registry.get("router@latest").number, who="anna", why="better")
    assert registry.rollback("router", who="anna", why="errors").number == 2
    assert registry.alias("router", "previous") == (1, 3)
    assert registry.rollback("router", who="anna").number == 1
    assert registry.alias("router", "previous") is None
    with pytest.raises(RequestError) as error:
        registry.rollback("router", who="anna")
    assert told(error) == (
        "Expected a champion of router before the one it has, found version 1, the first of all. Those that were: 2, 3."
    )
    assert registry.rollback("router", to=3, who="anna", why="fixed upstream").number == 3
    assert registry.get("router@previous").number == 1
    assert registry.verify_history() == []


def test_a_rollback_is_of_the_champion_that_failed(local, register):
    for content in "abc":
        register(local, content)
        local.promote("router", local.get("router@latest").number, who="anna", why="better")
    with pytest.raises(ConflictError) as error:
        local.rollback("router", who="lingqu", expect_epoch=2)
    assert "Expected champion of router at epoch 2, found epoch 3 (version 3)." in told(error)
    assert local.rollback("router", who="lingqu", expect_epoch=3).number == 2


def test_another_challenger_ends_the_rollout_that_stands(registry, register):
    versions = [register(registry, content) for content in "abc"]
    registry.promote("router", 1, who="anna", why="first")
    begin(registry.store, versions[1], against=1, epoch=1, why="its gate was passed", evidence={})
    _, epoch = registry.alias("router", "challenger")
    assert registry.set_alias("router", "challenger", 3, expect_epoch=epoch, who="anna") == epoch + 2
    assert rollout(registry.store, "router") is None
    assert registry.aliases("router") == {"champion": 1, "challenger": 3}
    assert registry.verify_history() == []


def test_rollback_goes_only_to_what_was_champion(local, register):
    for content in "abc":
        register(local, content)
    with pytest.raises(RequestError) as error:
        local.rollback("router", who="anna")
    assert told(error) == (
        "Expected a champion of router before the one it has, found no champion. Promote a version first."
    )
    local.promote("router", 1, who="anna", why="first")
    local.promote("router", 2, who="anna", why="better")
    with pytest.raises(RequestError) as error:
        local.rollback("router", to=3, who="anna")
    assert told(error) == (
        "Expected a version of router that was champion before, found version 3, never champion. Those that were: 1."
    )
    with pytest.raises(RequestError) as error:
        local.rollback("router", to=2, who="anna")
    assert "found version 2, champion now." in told(error)


def test_an_unknown_name_cannot_be_rolled_back(local, register):
    register(local, "a")
    with pytest.raises(UnknownNameError) as error:
        local.rollback("routr", who="anna")
    assert told(error) == "Expected a model of the registry, found 'routr'. Did you mean 'router'?"


@pytest.mark.parametrize("name", ["../x", "", ".hidden", "-flag", "a/b", "a b", "a\n", "a@b", "渠", "x" * 256])
def test_a_model_name_is_no_path_and_no_flag(local, register, name):
    with pytest.raises(RequestError) as error:
        register(local, "a", name=name)
    assert told(error).startswith(
        "Expected a model name of letters, digits, '-', '_' and '.' that begins with an ASCII"
    )


@pytest.mark.parametrize(
    ("alias", "message"),
    [
        ("champion", "Expected an alias other than champion and previous, found 'champion'. Use promote or rollback."),
        (
            "latest",
            "Expected an alias that is not reserved, found 'latest'. Versions are reached as name@3 and name@latest.",
        ),
        ("V12", "Expected an alias that is not reserved, found 'V12'. Versions are reached as name@3 and name@latest."),
        ("7", "Expected an alias that is not reserved, found '7'. Versions are reached as name@3 and name@latest."),
        ("a.b", "Expected an alias of letters, digits, '-' and '_', found 'a.b'. Choose another alias."),
        ("a\n", "Expected an alias of letters, digits, '-' and '_', found 'a\\n'. Choose another alias."),
    ],
)
def test_aliases_follow_mlflow(local, register, alias, message):
    register(local, "a")
    with pytest.raises(RequestError) as error:
        local.set_alias("router", alias, 1, expect_epoch=0, who="anna")
    assert told(error) == message


def test_a_chinese_alias_is_an_alias(registry, register):
    register(registry, "a")
    registry.set_alias("router", "候选", 1, expect_epoch=0, who="安娜", why="先试试")
    assert registry.get("router@候选").number == 1
    assert registry.history()[-1].sentence().endswith("UTC: 候选 of router now means version 1 (安娜): 先试试.")


@pytest.mark.parametrize(
    ("who", "why", "message"),
    [
        (" ", "x", "Expected who it was, in words, found nothing."),
        ("a\x1b[2J", "x", "who it was in one line of at most 200 characters, without control characters"),
        ("anna", "x\n2026-01-01: version 9 became champion", "a reason in one line of at most 2,000 characters"),
        ("anna", "x\x00", "a reason in one line"),
        ("anna", "x" * 2001, "a reason in one line"),
    ],
)
def test_a_reason_cannot_forge_a_line_of_history(local, register, who, why, message):
    register(local, "a")
    with pytest.raises(RequestError) as error:
        local.promote("router", 1, who=who, why=why)
    assert message in told(error)
    assert local.alias("router", "champion") is None


def test_history_is_told_in_sentences(registry, register):
    for content in "ab":
        register(registry, content)
    registry.spend("router", "g0", 1, 0.025, 0.004, "promote")
    registry.promote("router", 1, who="anna", why="first")
    registry.promote("router", 2, who="anna", evidence={"p": 0.004, "alpha": 0.025, "rows": 2000})
    registry.rollback("router", who="ben", why="错误变多。")
    sentences = [event.sentence()[22:] for event in registry.history("router")]
    assert sentences == [
        "version 1 of router was registered (lingqu).",
        "version 2 of router was registered (lingqu).",
        "round 1 of the gate on g0 said 'promote' for router (lingqu): p = 0.004 < 0.025.",
        "version 1 became champion of router (anna): first; p = 0.004 < 0.025.",
        "version 2 became champion of router (anna): its evidence speaks for it; p = 0.004 < 0.025 on 2,000 rows.",
        "router was rolled back from version 2 to version 1 (ben): 错误变多.",
    ]
    assert [event.seq for event in registry.history()] == [1, 2, 3, 4, 5, 6]
    assert registry.history("nobody") == []
    assert registry.history()[-1].to_json()["sentence"].endswith("(ben): 错误变多.")


def test_an_action_of_a_later_version_is_still_told():
    event = Event(1, "router", "2026-11-22T13:00:00.000000Z", "anna", "freeze", None, None, "holiday", {})
    assert event.sentence() == "2026-11-22 13:00 UTC: freeze of router (anna): holiday."


def test_the_error_budget_is_spent_round_by_round(registry):
    spent = []
    while not (due := registry.next_alpha("router", "g0")).exhausted:
        assert due.alpha == pytest.approx(0.05 / (due.round * (due.round + 1)))
        registry.spend("router", "g0", due.round, due.alpha, 0.5, "keep")
        spent.append(due.alpha)
    assert due.round == 7 and due.alpha < 0.001
    assert registry.spent("router", "g0") == pytest.approx(sum(spent))
    assert sum(spent) < 0.05
    assert registry.next_alpha("router", "g1").round == 1
    assert registry.verify_history() == []


def test_a_round_is_spent_once(registry):
    registry.spend("router", "g0", 1, 0.025, None, "not-enough-rows")
    for wrong in (1, 3):
        with pytest.raises(ConflictError) as error:
            registry.spend("router", "g0", wrong, 0.01, 0.2, "keep")
        assert told(error) == (
            f"Expected round 2 on gate set g0 of router, found round {wrong}. "
            "Another run has looked at the same gate set; run the same command again."
        )
    assert len(registry.history()) == 1


def test_probabilities_are_probabilities(local):
    for alpha, p in ((0.0, 0.1), (1.0, 0.1), (0.05, float("nan")), (0.05, 1.5)):
        with pytest.raises(ValueError, match="probabilities expected"):
            local.spend("router", "g0", 1, alpha, p, "keep")


def test_a_second_registry_sees_the_same(store, registry, register):
    register(registry, "a")
    again = Registry(Store.open(store.folder, store.database.url.render_as_string(hide_password=False)))
    assert again.versions() == registry.versions()


def test_the_store_works_the_same_on_both_databases(store):
    key = store.stage("data", {"源": "a.csv"})
    blob = store.put_bytes(b"rows")
    assert store.stage_result(key) is None
    store.finish_stage(key, {"rows": 1, "text": "渠"}, 0.25, blobs=[blob])
    store.finish_stage(key, {"rows": 2, "text": "渠"}, 0.5, blobs=[blob])
    assert store.stage_result(key) == {"rows": 2, "text": "渠"}
    store.records.add_data_version("d1", folder=store.put_json([]), about={"rows": 2})
    store.records.add_data_version("d1", folder=store.put_json([]), about={"rows": 3})
    assert store.records.data_version("d1")["about"] == {"rows": 2}
    assert store.records.data_version("d2") is None
    store.records.start_run("r1", name="router", spec={"task": "t"})
    store.records.finish_run("r1", {"version": 1})
    assert [run["result"] for run in store.records.runs("router")] == [{"version": 1}]
    assert [str(problem.expected) for problem in store.fsck()] == ["the folder of data version d1…"]


def test_a_writer_that_waits_too_long_is_told_why(store):
    url = store.database.url.render_as_string(hide_password=False)
    hurried = Database(url, store.folder, patience=0.05)
    with store.database.writing():
        with pytest.raises(StoreError) as error, hurried.writing():
            pytest.fail("two writers at once")
        with hurried.reading():
            pass
    assert error.value.problems[0].next == ("Another process has been writing for long; try again when it has ended.")
    with hurried.writing():
        pass


def test_a_failed_change_leaves_nothing(registry, register):
    register(registry, "a")
    with pytest.raises(ZeroDivisionError), registry.store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM head")
        raise ZeroDivisionError
    assert registry.verify_history() == []
