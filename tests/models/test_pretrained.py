"""Encoders made here, with random weights: each rung learns, leaves torch, and computes each row once."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_encoders import BERT, save_encoder

from lingqu.contract import Front, Rows
from lingqu.errors import RequestError
from lingqu.models import find_family
from lingqu.models.family import Facts
from lingqu.store import Store
from lingqu.tasks import find_task
from lingqu.train import rung

pytestmark = pytest.mark.heavy

TEXT = find_task("text-classification")
PICTURES = find_task("image-classification")
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
BODIES = {
    "roberta": {**BERT, "model_type": "roberta", "pad_token_id": 0, "max_position_embeddings": 140},
    "electra": {**BERT, "model_type": "electra", "embedding_size": 8},
    "distilbert": {
        "model_type": "distilbert", "vocab_size": 13, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32,
    },
}  # fmt: skip
EYES = {
    "vit": {"model_type": "vit", "image_size": 32, "patch_size": 8, **SMALL},
    "dinov2": {"model_type": "dinov2", "image_size": 32, "patch_size": 8, **SMALL},
    "resnet": {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
    "convnext": {"model_type": "convnext", "hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2},
}  # fmt: skip


def told(rows: int, seed: int = 0) -> Rows:
    """Food or sport, said by one of its words among others."""
    draw = np.random.default_rng(seed)
    words = [["soup", "rice", "salty"], ["team", "won", "match"]]
    texts = [
        " ".join(
            draw.permutation([draw.choice(words[row % 2]), *draw.choice(["the", "good", "bad"], draw.integers(1, 6))])
        )
        for row in range(rows)
    ]
    return Rows({"text": texts, "label": [("food", "sport")[row % 2] for row in range(rows)]})


def climb(tmp_path: Path, recipe: str, task=TEXT, rows=None, valid=None, **settings):
    """One rung as `lingqu run` climbs it, and the bundle's answer compared with the network's."""
    from lingqu.bundle.write import write_candidate
    from lingqu.data.accept import columns_of, learn_limits
    from lingqu.spec import TrainSettings

    rows, valid = rows or told(60), valid or told(40, 1)
    kinds = {"text": "text"} if task is TEXT else {"image": "image"}
    store = Store.open(tmp_path / "store")
    said: list[str] = []
    found = rung.climb(
        task, recipe, train=rows, valid=valid, kinds={**kinds, "label": "category"}, size="tiny",
        settings=TrainSettings(**settings), seconds=60.0, store=store, work=tmp_path / "work",
        tell=lambda _, sentence: said.append(sentence),
    )  # fmt: skip
    network, memory = rung.restore(json.loads(json.dumps(found)), store)
    limits = learn_limits(rows, columns_of(task, kinds), {})
    bundle = write_candidate(
        tmp_path / "bundle", task=task, family=recipe, network=network, memory=memory, columns=limits, rows=valid
    )
    assert bundle.manifest["parity"]["largest_difference"] < 1e-4
    right = np.mean(
        [answer.label == label for answer, label in zip(bundle.predict(valid), valid["label"], strict=True)]
    )
    return right, said, found


@pytest.mark.parametrize("family", ["encoder-frozen", "encoder-top", "encoder-lora", "encoder-full"])
def test_each_rung_learns_and_leaves_torch(family, tmp_path):
    folder = save_encoder(tmp_path / "bert")
    settings = {} if family == "encoder-frozen" else {"epochs": 40, "learning_rate": 0.003}
    rows = told(60)
    # A body with random weights knows nothing that new rows share; what is tried is that each rung learns at all.
    right, _, found = climb(tmp_path, f"{family}:{folder}", rows=rows, valid=rows, **settings)
    assert right >= 0.9
    # What is kept names no place on this machine, and no adapter is left in it.
    assert str(tmp_path) not in json.dumps(found["settings"])
    assert not any("lora" in name for name in rung.restore(found, Store.open(tmp_path / "store"))[0].state_dict())


@pytest.mark.parametrize("body", BODIES)
def test_other_text_encoders(body, tmp_path):
    folder = save_encoder(tmp_path / body, BODIES[body])
    for family in ("encoder-frozen", "encoder-top"):
        climb(tmp_path / family, f"{family}:{folder}", epochs=1)


@pytest.mark.parametrize("eye", EYES)
def test_image_encoders(eye, tmp_path):
    folder = save_encoder(tmp_path / eye, EYES[eye])
    rows, valid = PICTURES.toy(40), PICTURES.toy(40, 1)
    right, _, _ = climb(tmp_path / "frozen", f"encoder-frozen:{folder}", PICTURES, rows, valid)
    assert right > 0.7
    climb(tmp_path / "full", f"encoder-full:{folder}", PICTURES, rows, valid, epochs=1)


def test_only_new_rows_are_computed(tmp_path):
    folder = save_encoder(tmp_path / "bert")
    rows = told(60)
    _, said, _ = climb(tmp_path, f"encoder-frozen:{folder}", rows=rows)
    fresh = len({*rows["text"]})
    assert f"encoding {fresh} of 60 rows, the others are kept" in said
    more = rows.followed_by(Rows({"text": ["soup soup soup the", "won won won the"], "label": ["food", "sport"]}))
    _, said, _ = climb(tmp_path, f"encoder-frozen:{folder}", rows=more)
    assert [line for line in said if "kept" in line] == ["encoding 2 of 62 rows, the others are kept"]
    # The next rung is cut elsewhere: nothing of it is kept yet.
    _, said, _ = climb(tmp_path, f"encoder-top:{folder}", rows=more, epochs=1)
    assert f"encoding {fresh + 2} of 62 rows, the others are kept" in said


def test_states_at_the_cut_give_what_the_whole_gives(tmp_path):
    """Trained from kept float16 states or from pieces: the same network, to the precision of what is kept."""
    folder = save_encoder(tmp_path / "bert")
    family = find_family(f"encoder-top:{folder}")
    memory = TEXT.learn(told(8), Front("pieces", family.front_settings("tiny", "pieces")))
    facts = Facts(2, "classification", memory["front"])
    assert family.build and family.transfer
    network = family.build(facts, family.settings("tiny")).eval()
    family.transfer.start(network, family.settings("tiny"))
    pieces = torch.from_numpy(TEXT.encode(told(8), memory)["pieces"])
    with torch.no_grad():
        states = network.below(pieces) * (pieces > 0)[:, :, None]
        assert torch.allclose(network(states=states.half()), network(pieces=pieces), atol=2e-3)
    frozen = {name for name, held in network.named_parameters() if not held.requires_grad}
    assert {name.split(".")[3] for name in frozen if ".layer." in name} == {"0", "1"}
    assert {name for name in network.strides if network.strides[name] == 10} == {"head.weight", "head.bias"}


def test_weights_that_are_not_all_there(tmp_path):
    folder = save_encoder(tmp_path / "bert")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 5}))
    with pytest.raises(RequestError) as caught:
        climb(tmp_path, f"encoder-frozen:{folder}")
    assert str(caught.value).startswith(
        f"Expected weights for all of the encoder {folder}, found none for encoder.layer.4"
    )


def test_loading_runs_no_code_and_opens_no_socket(tmp_path):
    """An encoder that is loaded reads its own folder; nothing is fetched, and no file of the folder is executed."""
    import sys

    folder = save_encoder(tmp_path / "bert")
    (folder / "modeling_theirs.py").write_text("raise SystemExit('ran')")
    seen: list[str] = []
    on = [True]

    def watch(event: str, arguments: tuple) -> None:
        if on[0] and (event in ("socket.connect", "os.system", "subprocess.Popen") or "pickle" in event):
            seen.append(event)

    sys.addaudithook(watch)
    network = find_family(f"encoder-full:{folder}")
    assert network.build and network.transfer
    facts = Facts(2, "classification", {})
    network.transfer.start(network.build(facts, network.settings("tiny")), network.settings("tiny"))
    on[0] = False
    assert seen == []
