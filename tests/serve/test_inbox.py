"""The door for feedback: one vote, kept before it is acknowledged, and everything else told."""

import asyncio
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection

import pytest
from sqlalchemy import select, update

from lingqu.contract import Rows
from lingqu.contract.answers import LabelScores, LabelSet, NumberValue
from lingqu.errors import ConflictError, DataError, QuotaError, ServiceError, StoreError, UnknownNameError
from lingqu.feedback.add import add_labels
from lingqu.feedback.round import decide_by_rule
from lingqu.privacy.encrypt import MasterKeys, new_master_key, spelled
from lingqu.serve import inbox as inbox_module
from lingqu.serve.inbox import Inbox, received
from lingqu.serve.journal import Entry, Journal, new_id, purge, recorded, spell
from lingqu.serve.keys import ANYONE, Principal
from lingqu.spec.running import ServeSettings
from lingqu.store import Store, digest_of
from lingqu.store.tables import FEEDBACK
from lingqu.tasks import find_task
from tests.serve.bundles import register
from tests.serve.giver import PROCESSES, give
from tests.serve.models import make

pytestmark = pytest.mark.heavy
ANNA = Principal("a" * 12, "anna", frozenset(("predict", "feedback")), "ward 3")
BEN = Principal("b" * 12, "ben", frozenset(("predict", "feedback")), "ward 3")
CARL = Principal("c" * 12, "carl", frozenset(("predict", "feedback")), "ward 4")
OWNER = Principal("o" * 12, "owner", frozenset(("feedback", "admin")), "")
YES = LabelScores.of({"yes": 0.75, "no": 0.2, "a@b.cn": 0.05})


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store")


@pytest.fixture
def inbox(store):
    return Inbox(store, ServeSettings())


def answered(store, principal=ANYONE, answer=YES, row=None, settings=None, keys=None, count=1, number=3):
    """The ids of predictions that were given."""
    ids = [new_id() for _ in range(count)]
    with Journal(store, settings or ServeSettings().journal, keys=keys) as journal:
        for one in ids:
            row = {"text": "a parcel"} if row is None else row
            journal.record(Entry(one, "r", time.time(), "router", number, "champion", principal, "u", row, answer, 1.0))
    return ids if count > 1 else ids[0]


def refusal(inbox, given, principal=ANYONE, key=None, kind=DataError):
    with pytest.raises(kind) as error:
        inbox.receive(given, principal, key)
    return str(error.value)


def test_feedback_as_it_is_kept(store, inbox):
    one = answered(store, ANNA)
    receipt = inbox.receive(
        {"prediction_id": one, "label": "no", "comment": "call 13800138000", "source": "微信-客服"}, ANNA, "k1"
    )
    assert receipt.status == "quarantined"
    (vote,) = received(store)
    assert (vote.id, vote.prediction_id, vote.name, vote.number) == (receipt.feedback_id, one, "router", 3)
    assert (vote.principal, vote.tenant, vote.source, vote.origin) == (ANNA.id, "ward 3", "微信-客服", "person")
    assert (vote.kind, vote.value, vote.comment, vote.status) == ("label", "no", "call [PHONE]", "quarantined")
    assert (vote.input, vote.answer["prediction"]) == ({"text": "a parcel"}, "yes")
    assert vote.user == recorded(store)[0].user is not None


@pytest.mark.parametrize(
    ("answer", "given", "kind", "value"),
    [
        (YES, {"label": "no"}, "label", "no"),
        (YES, {"truth": "no"}, "label", "no"),
        (YES, {"label": 7}, "label", "7"),
        # Rows that train hold no other spelling of it.
        (YES, {"label": 7.0}, "label", "7"),
        (YES, {"label": " 7.0"}, "label", "7"),
        (YES, {"label": "a@b.cn"}, "label", "a@b.cn"),
        (YES, {"label": "anna@b.cn"}, "label", "[EMAIL]"),
        (YES, {"reward": -0.5}, "reward", -0.5),
        (YES, {"rating": 5, "rationale": "good"}, "rating", 5),
        (NumberValue(3.0, 2.0, 4.0), {"label": 3.5}, "label", 3.5),
        (NumberValue(3.0, 2.0, 4.0), {"label": 1e-05}, "label", 1e-05),
        (NumberValue(3.0, 2.0, 4.0), {"truth": "-3.5", "label": None, "comment": ""}, "label", -3.5),
        (LabelSet.of({"b": 0.9, "a": 0.8}, 0.5), {"label": ["b ", "a", "b"]}, "label", "a|b"),
    ],
)
def test_what_may_be_said(store, inbox, answer, given, kind, value):
    inbox.receive({"prediction_id": answered(store, answer=answer), **given}, ANYONE)
    (vote,) = received(store)
    assert (vote.kind, vote.value) == (kind, value)


DESKS = [f"desk{place}@example.org" for place in range(8)]


def test_a_label_that_the_model_has_is_no_personal_data_whatever_it_looks_like(store, inbox, tmp_path):
    texts = [f"word{place}" for place in range(9)]
    kinds = {
        "text-classification": ([*DESKS, "True"], LabelScores.of(dict.fromkeys(DESKS, 1 / 8))),
        "multi-label-text-classification": (
            [*DESKS[:7], f"{DESKS[0]}|{DESKS[7]}", "True"],
            LabelSet.of({desk: 0.9 - place / 10 for place, desk in enumerate(DESKS)}, 0.5),
        ),
    }
    for number, (task, (labels, answer)) in enumerate(kinds.items(), 1):
        target = find_task(task).target.name
        made = make(task, tmp_path / task, "router", Rows({"text": texts, target: labels}))
        assert register(store, made.path, "router").number == number
        for label in ("desk7@example.org", "anna@example.org", "True"):
            inbox.receive({"prediction_id": answered(store, answer=answer, number=number), "label": label}, ANYONE)
    several = {"label": ["desk7@example.org", "anna@example.org"]}
    inbox.receive({"prediction_id": answered(store, answer=answer, number=number), **several}, ANYONE)
    # A label that nobody knows may be anybody's address, also beside one that the model has.
    said = ["desk7@example.org", "[EMAIL]", "True"]
    assert [vote.value for vote in received(store)] == [*said, *said, "[EMAIL]|desk7@example.org"]


WRONG = {
    "Expected one of label, reward and rating, found none of them."
    " Send the right answer as the label, or how good the answer was as one of the others.": {},
    "Expected one of label, reward and rating, found label and reward."
    " Send the right answer as the label, or how good the answer was as one of the others.": {
        "label": "a",
        "reward": 1,
    },
    "Expected each field once, found two names of the same field. Keep one of the two.": {"label": "a", "truth": "b"},
    "Expected a field of feedback, found 'lable'. Did you mean 'label'?": {"label": "a", "lable": "b"},
    "Expected a number as the reward, found true. Send one such as 0.5, without quotes.": {"reward": True},
    "Expected a whole number from 1 to 5 as the rating, found 6. 5 is the best.": {"rating": 6},
    "Expected the right answer as the label: a text of at most 10,000 characters, or a number, "
    "found a text of 10,001 characters. Send it as the model would have answered it.": {"label": "x" * 10_001},
    "Expected the right answer as the label: a text of at most 10,000 characters, or a number, "
    "found a list or a mapping. Send it as the model would have answered it.": {"label": {"a": 1}},
    "Expected a comment of at most 2,000 characters, found a text of 2,001 characters. Send a shorter text, or none.": {
        "label": "a",
        "comment": "x" * 2001,
    },
    "Expected a source of at most 64 letters, digits and . - _, found a text of 4 characters. "
    "Choose another name, such as my-app.": {
        "label": "a",
        "source": "a b!",
    },
    "Expected person or model as the origin, found a text of 3 characters. Say which of the two has judged.": {
        "label": "a",
        "origin": "dog",
    },
}


@pytest.mark.parametrize("message", WRONG)
def test_what_may_not_be_said(store, inbox, message):
    given = {"prediction_id": new_id(), **WRONG[message]}
    assert refusal(inbox, given).lower() == message.lower()
    assert received(store) == []


def test_everything_wrong_is_told_at_once(inbox):
    with pytest.raises(DataError) as error:
        inbox.receive({"prediction_id": 3, "rating": "5", "comment": 1}, ANYONE, "two words")
    assert [str(problem) for problem in error.value.problems] == [
        (
            "Expected the id that came with the answer in prediction_id, found 3. "
            "Each prediction has its id, and so has the header X-Prediction-Id."
        ),
        "Expected a whole number from 1 to 5 as the rating, found a text of 1 characters. 5 is the best.",
        "Expected a comment of at most 2,000 characters, found 1. Send a shorter text, or none.",
        "Expected an Idempotency-Key of 1 to 128 visible ASCII characters, found something else. A UUID is one.",
    ]


def test_a_number_is_not_corrected_by_a_text(store, inbox):
    one = answered(store, answer=NumberValue(3.0, 2.0, 4.0))
    for text in ("three", "nan", "Infinity", "1e15", "2e99", "1e", "e5", ".", "0x1", "1_0", "1 ", "１", "1" * 16):
        assert refusal(inbox, {"prediction_id": one, "label": text}) == (
            f"Expected a number as the label, since the answer is one, found a text of {len(text)} characters. "
            "Send the number that would have been right."
        )


SPELLED = [
    "1e-05",
    "1.5E-07",
    "-2.5e-300",
    "5e-324",
    "1.000000e+05",
    "1.0E7",
    "1e+014",
    "1e0",
    "123.5e-3",
    ".5",
    "5.",
    "-0",
]


@pytest.mark.parametrize("text", SPELLED)
def test_a_number_in_a_text_is_one_as_python_and_others_write_it(store, inbox, text):
    answer = NumberValue(3.0, 2.0, 4.0)
    inbox.receive({"prediction_id": answered(store, answer=answer), "label": text}, ANYONE)
    (vote,) = received(store)
    assert (vote.value, type(vote.value)) == (float(text), float)


def test_a_whole_number_and_the_same_with_a_point_are_one_label(store, inbox):
    answer = NumberValue(3.0, 2.0, 4.0)
    for label in (4, 4.0, "4"):
        inbox.receive({"prediction_id": answered(store, answer=answer), "label": label}, ANYONE)
    assert {str(vote.value) for vote in received(store)} == {"4.0"}


def test_only_predictions_of_ones_own_tenant(store, inbox, monkeypatch):
    one = answered(store, ANNA)
    old = f"{int(time.time() * 1000) - 86_400_000:012x}" + "0" * 20
    told = "Expected the id of a prediction, found '{}'. Send the id that came with the answer; answers are kept for a time only."
    monkeypatch.setattr(inbox_module, "PAUSES", ())
    # In the first half minute, nobody is told whether such an id is made up, unwritten or another tenant's.
    for who in (CARL, ANYONE):
        for identity in (one, new_id()):
            message = refusal(inbox, {"prediction_id": identity, "label": "no"}, who, kind=ServiceError)
            assert message == "Expected the answer in the journal, found it not there yet. Come again in 1 s."
    inbox.receive({"prediction_id": one, "label": "no"}, BEN)
    monkeypatch.setattr(inbox_module, "YOUNG_SECONDS", 0.0)
    for identity, who in ((one, CARL), (one, ANYONE), (old, ANNA), ("../x", ANNA)):
        message = refusal(inbox, {"prediction_id": identity, "label": "no"}, who, kind=UnknownNameError)
        assert message == told.format(identity)
    inbox.receive({"prediction_id": one, "label": "no"}, OWNER)
    assert len(received(store)) == 2


def test_one_vote_and_a_retry_is_the_same_vote(store, inbox):
    one, other = answered(store, ANNA, count=2)
    given = {"prediction_id": one, "label": "no"}
    first = inbox.receive(given, ANNA, "k1")
    assert inbox.receive(given, ANNA, "k1") == first
    assert refusal(inbox, given, ANNA, kind=ConflictError) == (
        "Expected one vote of a key on a prediction, found a second one. "
        "To send one again safely, send the same Idempotency-Key with it."
    )
    assert refusal(inbox, {"prediction_id": one, "label": "yes"}, ANNA, "k2", ConflictError)
    assert refusal(inbox, {"prediction_id": other, "label": "no"}, ANNA, "k1", ConflictError) == (
        "Expected the feedback that this Idempotency-Key came with before, found another. "
        "Make a new Idempotency-Key for each feedback."
    )
    # Another caller's keys are its own.
    assert inbox.receive(given, BEN, "k1") != first
    assert len(received(store)) == 2


def test_so_many_votes_in_a_day(store):
    inbox = Inbox(store, ServeSettings(votes=3))
    ids = answered(store, ANNA, count=5)
    for one in ids[:3]:
        inbox.receive({"prediction_id": one, "label": "no"}, ANNA, one)
    with pytest.raises(QuotaError) as error:
        inbox.receive({"prediction_id": ids[3], "label": "no"}, ANNA)
    assert str(error.value).startswith(
        "Expected at most 3 feedbacks in 24 hours with the key 'anna', found more. Come again in 86,"
    )
    assert 86_000 < error.value.retry_after <= 86_400
    # A retry is no new vote, and others have votes of their own.
    assert inbox.receive({"prediction_id": ids[0], "label": "no"}, ANNA, ids[0])
    assert inbox.receive({"prediction_id": ids[3], "label": "no"}, BEN)
    with pytest.raises(QuotaError):
        Inbox(store, ServeSettings(votes=0)).receive({"prediction_id": ids[4], "label": "no"}, BEN)


def test_feedback_may_come_before_the_journal_has_written(store, inbox):
    one = new_id()
    journal = Journal(store, ServeSettings().journal)
    journal.record(Entry(one, "r", time.time(), "router", 3, "champion", ANYONE, None, None, YES, 1.0))
    late = threading.Timer(0.2, journal.start)
    late.start()
    assert inbox.receive({"prediction_id": one, "label": "no"}, ANYONE).status == "quarantined"
    late.join()
    journal.close()


def test_made_up_ids_do_not_hold_threads(store, inbox, monkeypatch):
    monkeypatch.setattr(inbox_module, "PAUSES", (3600,))
    one = answered(store)

    async def ask() -> bool:
        made_up = [
            asyncio.create_task(inbox.hear({"prediction_id": new_id(), "label": "no"}, ANYONE)) for _ in range(100)
        ]
        await asyncio.sleep(0)
        await inbox.hear({"prediction_id": one, "label": "no"}, ANYONE)
        waiting = not any(task.done() for task in made_up)
        for task in made_up:
            task.cancel()
        return waiting

    assert asyncio.run(ask())


def test_what_is_kept_is_encrypted_with_a_key(store):
    keys = MasterKeys((new_master_key(),))
    inbox = Inbox(store, ServeSettings(), keys=keys)
    one = answered(store, row={"text": "an otter"}, keys=keys)
    inbox.receive({"prediction_id": one, "label": "a beaver", "comment": "no badger"}, ANYONE)
    (vote,) = received(store, keys=keys)
    assert (vote.value, vote.comment, vote.input) == ("a beaver", "no badger", {"text": "an otter"})
    kept = b"".join(path.read_bytes() for path in store.folder.glob("lingqu.db*"))
    assert not [animal for animal in (b"otter", b"beaver", b"badger") if animal in kept]


def test_no_other_cell_tells_without_the_key_what_was_said(store, monkeypatch):
    """A label is one of a few, so a plain digest of it gives it away; a reason may repeat it word for word."""
    monkeypatch.setenv("LINGQU_ENCRYPTION_KEY", spelled(new_master_key()))
    ids, phone = answered(store, count=4), "13800138042"
    inbox = Inbox(store, ServeSettings())
    inbox.receive({"prediction_id": ids[0], "label": "no", "comment": phone}, ANYONE)
    inbox.receive({"prediction_id": ids[1], "label": "Anna has a badger"}, ANYONE)
    rejected = inbox.receive({"prediction_id": ids[2], "label": "no", "origin": "model"}, ANYONE, "k")
    rows = [{"prediction_id": ids[3], "label": "no"}], [{"text": "an otter", "label": "no"}]
    brought = [add_labels(store, "router", some, who="anna", target="label").taken for some in rows]
    assert (rejected.reason, brought) == ("a model's own answer is no evidence", [1, 1])
    decide_by_rule(store, "router", labels=["yes", "no"])
    with store.database.reading() as connection:
        cells = [str(cell) for row in connection.execute(select(FEEDBACK)) for cell in row]
    heard = [[ids[0], "label", "no", phone], [ids[2], "label", "no", None]]
    heard += [["anna", "file", ids[3], "no"], ["router", "anna", {"text": "an otter"}, "no"]]
    guesses = [digest_of(spell(one).encode())[:32] for one in heard]
    assert not [cell for cell in cells for word in (*guesses, "badger", "evidence") if word in cell]
    assert inbox.receive({"prediction_id": ids[2], "label": "no", "origin": "model"}, ANYONE, "k") == rejected
    reasons = [vote.reason for vote in received(store)]
    assert {"'Anna has a badger' is no label of this model", rejected.reason} <= {*reasons}
    # What a rule says again is no news.
    assert decide_by_rule(store, "router", labels=["yes", "no"]) == 0


def test_feedback_of_before_there_was_a_key_and_under_an_older_one_is_known_again(store, inbox, monkeypatch):
    one, other, older = answered(store, count=3)
    row, old = {"text": "an otter", "label": "no"}, new_master_key()
    said = {id: {"prediction_id": id, "label": "no", "comment": "a beaver"} for id in (one, other, older)}
    add_labels(store, "router", [row], who="anna", target="label")
    first = [inbox.receive(said[id], ANYONE, id) for id in (one, older)]
    with store.database.writing() as connection:
        # As stores kept it once.
        plain = digest_of(spell([older, "label", "no", "a beaver"]).encode())
        connection.execute(update(FEEDBACK).where(FEEDBACK.c.prediction_id == older).values(given=plain))
    first.append(Inbox(store, ServeSettings(), keys=MasterKeys((old,))).receive(said[other], ANYONE, other))
    keys = MasterKeys((new_master_key(), old))
    inbox = Inbox(store, ServeSettings(), keys=keys)
    assert [inbox.receive(said[id], ANYONE, id) for id in (one, older, other)] == first
    monkeypatch.setenv("LINGQU_ENCRYPTION_KEY", " ".join(map(spelled, keys.keys)))
    assert add_labels(store, "router", [row], who="anna", target="label").known == 1
    assert len(received(store)) == 4
    # From a shell that lacks the key nothing is brought, or it would be brought again, and in plain.
    for given, found in ((None, "none"), (new_master_key(), "only 1 other")):
        monkeypatch.setenv("LINGQU_ENCRYPTION_KEY", spelled(given) if given else "")
        with pytest.raises(StoreError, match=f"Expected the key .* encrypted with, found {found}"):
            add_labels(store, "router", [row], who="anna", target="label")
    purge(store, 50, now=time.time() + 100)
    with store.database.reading() as connection:
        assert {*connection.execute(select(FEEDBACK.c.given)).scalars()} == {""}


LIKE_SEALED = ["enc:x", "enc: a b", "enc:", "enc:渠", "not-enc:x", "enc:" + "AQEB" * 30]


def test_no_comment_is_taken_for_an_encrypted_one(store, inbox):
    for one, comment in zip(answered(store, count=len(LIKE_SEALED)), LIKE_SEALED, strict=True):
        inbox.receive({"prediction_id": one, "label": "no", "comment": comment}, ANYONE)
    assert [vote.comment for vote in received(store)] == LIKE_SEALED
    # And the same once there is a key, for what was kept before and for what comes then.
    keys = MasterKeys((new_master_key(),))
    one = answered(store, keys=keys)
    Inbox(store, ServeSettings(), keys=keys).receive(
        {"prediction_id": one, "label": "no", "comment": "enc: a b"}, ANYONE
    )
    assert [vote.comment for vote in received(store, keys=keys)] == [*LIKE_SEALED, "enc: a b"]


def test_comments_of_older_stores_are_read_whatever_they_begin_with(store, inbox):
    older = ["enc:x", "enc: a b", "enc:", '"fine"', "enc:" + "Z" * 100]
    for one in answered(store, count=len(older)):
        inbox.receive({"prediction_id": one, "label": "no", "comment": "as usual"}, ANYONE)
    with store.database.writing() as connection:
        for vote, comment in zip(received(store), older, strict=True):
            connection.exec_driver_sql("UPDATE feedback SET comment = ? WHERE id = ?", (comment, vote.id))
    for keys in (None, MasterKeys((new_master_key(),))):
        assert [vote.comment for vote in received(store, keys=keys)] == older


def test_a_value_that_cannot_be_decrypted_is_told(store, inbox):
    inbox.receive({"prediction_id": answered(store), "label": "no"}, ANYONE)
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE feedback SET value = 'enc:x'")
    for keys in (None, MasterKeys((new_master_key(),))):
        with pytest.raises(StoreError, match="Expected an encrypted record as it was written, found something else"):
            received(store, keys=keys)


def test_inputs_leave_with_their_time_unless_they_were_accepted(store, inbox):
    ids = answered(store, count=2)
    for one in ids:
        inbox.receive({"prediction_id": one, "label": "no", "comment": "a badger"}, ANYONE)
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE feedback SET status = 'accepted' WHERE prediction_id = ?", (ids[0],))
    purge(store, 50, now=time.time() + 100)
    assert [(vote.input, vote.comment) for vote in received(store)] == [
        ({"text": "a parcel"}, "a badger"),
        (None, None),
    ]


def told(receipts: Connection) -> Iterator[tuple[str, str]]:
    """What a giver said before it was killed; a message that was cut off was none."""
    with receipts, suppress(EOFError, OSError):
        while True:
            yield receipts.recv()


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_no_kill_loses_or_doubles_an_acknowledged_vote(store, kills, record_property):
    """F1: each giver is killed in the midst of its work, and the next one repeats what the last one tried."""
    ids = answered(store, count=10 * kills)
    acknowledged: dict[str, str] = {}
    waiting, draw = list(ids), random.Random(0)
    for attempt in range(kills):
        # Repeated and out of order: among what is new, some of what was acknowledged before.
        sent = [*waiting[:2], *list(acknowledged)[-3:], *waiting[2:20]]
        ours, theirs = PROCESSES.Pipe(duplex=False)
        giver = PROCESSES.Process(target=give, args=(store.folder, sent, theirs), daemon=True)
        giver.start()
        theirs.close()
        # After so many receipts, and then at any moment of the next one's making.
        heard = [ours.recv() for _ in range(1 + attempt % 4)][1:]
        time.sleep(draw.random() * 0.02)
        os.kill(giver.pid, signal.SIGKILL)
        giver.join()
        assert giver.exitcode in (-signal.SIGKILL, 0)
        for one, receipt in [*heard, *told(ours)]:
            assert acknowledged.setdefault(one, receipt) == receipt
        waiting = [one for one in waiting if one not in acknowledged]
    assert len(acknowledged) >= kills // 2
    inbox = Inbox(store, ServeSettings(votes=1_000_000))
    for one in ids:
        receipt = inbox.receive({"prediction_id": one, "label": "no"}, ANYONE, one)
        assert acknowledged.setdefault(one, receipt.feedback_id) == receipt.feedback_id
    votes = received(store)
    assert len(votes) == len(ids)
    assert {vote.prediction_id: vote.id for vote in votes} == acknowledged
    record_property("measured", f"{kills} kills, {len(votes):,} votes, none lost, none twice")
