"""Whoever changes the registry other than through it is found out."""

from __future__ import annotations

import shutil

import pytest
from sqlalchemy import text


@pytest.fixture
def told(registry, register):
    """A registry in which everything has happened once."""
    for content in "ab":
        register(registry, content)
    registry.spend("router", "g0", 1, 0.025, 0.004, "promote")
    registry.promote("router", 1, who="anna", why="first")
    registry.promote("router", 2, who="anna", evidence={"p": 0.004, "alpha": 0.025, "rows": 2000})
    registry.set_alias("router", "challenger", 1, expect_epoch=0, who="ben")
    assert registry.store.fsck() == []
    return registry


AGAIN = "Somebody changed the database by other means; compare it with a backup."


@pytest.mark.parametrize(
    ("sql", "expected", "found"),
    [
        ("UPDATE history SET who = 'ben' WHERE seq = 4", "row 4 of the history as it was written", "other content"),
        ("UPDATE history SET evidence = '{}' WHERE seq = 5", "row 5 of the history as it was written", "other content"),
        ("DELETE FROM history WHERE seq = 4", "row 4 of the history", "row 5"),
        ("DELETE FROM history WHERE seq = 6", "a history of 6 rows, as its head says", "5 rows"),
        (
            (
                "INSERT INTO history SELECT 7, name, at, who, action, version, alias, why, evidence, hash, 'x' FROM history "
                "WHERE seq = 6"
            ),
            "row 7 of the history as it was written",
            "other content",
        ),
        (
            "UPDATE versions SET metrics = '{}' WHERE number = 2",
            "version 2 of router as it was registered",
            "something else",
        ),
        (
            "UPDATE aliases SET version = 1 WHERE alias = 'champion'",
            "the alias champion of router where the history put it",
            "something else",
        ),
        (
            "UPDATE aliases SET epoch = 9 WHERE alias = 'previous'",
            "the alias previous of router where the history put it",
            "something else",
        ),
        (
            "DELETE FROM aliases WHERE alias = 'challenger'",
            "the alias challenger of router where the history put it",
            "none",
        ),
        ("DELETE FROM alpha_ledger", "round 1 on gate set g0 of router as it was spent", "none"),
        ("UPDATE alpha_ledger SET alpha = 0.001", "round 1 on gate set g0 of router as it was spent", "something else"),
        (
            (
                "INSERT INTO versions SELECT name, 3, bundle, 'd9', run, task, metrics, decision, lineage, spec, at FROM versions "
                "WHERE number = 1"
            ),
            "version 3 of router as it was registered",
            "no row of the history that tells of it",
        ),
    ],
)
def test_a_change_by_other_means_is_found(told, sql, expected, found):
    with told.store.database.writing() as connection:
        connection.execute(text(sql))
    problems = told.verify_history()
    assert [(problem.expected, problem.found) for problem in problems] == [(expected, found)]
    assert problems[0].next == AGAIN
    assert problems[0] in told.store.fsck()


def test_a_lost_bundle_is_found(told):
    lost = told.get("router@1")
    folder = told.store.folder_path(lost.bundle)
    shutil.rmtree(folder)
    assert [str(problem) for problem in told.store.fsck()] == [
        (
            f"Expected the bundle of version 1 of router, found no folder {folder}. "
            "Restore it from a backup, or roll back to a version whose bundle is there."
        )
    ]
