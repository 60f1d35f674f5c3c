"""The same encoder and head that the bundle was exported from, as transformers and torch run it."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer

from lingqu.models.hub import MINILM, find_encoder


class Classifier:
    """Texts to labels. `folder` holds head.safetensors and head.json (labels, the layers that the head sees).

    float32, padded to the longest text of a batch, inference mode, layers above the highest that the head sees left out.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        kept = json.loads((folder / "head.json").read_text())
        self.labels, self.taps, self.most = kept["labels"], kept["taps"], kept["max_pieces"]
        weights = load_file(folder / "head.safetensors")
        encoder = find_encoder(MINILM).folder
        self.tokenizer = AutoTokenizer.from_pretrained(encoder)
        self.body = AutoModel.from_pretrained(encoder).eval()
        self.body.encoder.layer = self.body.encoder.layer[: max(self.taps)]
        self.head = nn.Linear(weights["weight"].shape[1], weights["weight"].shape[0])
        self.head.load_state_dict(weights)

    @torch.inference_mode()
    def __call__(self, texts: list[str]) -> list[tuple[str, float]]:
        """A label and its probability for each text."""
        given = self.tokenizer(texts, padding=True, truncation=True, max_length=self.most, return_tensors="pt")
        states = self.body(**given, output_hidden_states=True).hidden_states
        real = given["attention_mask"][..., None].float()
        pooled = torch.cat([_mean(states[tap], real) for tap in self.taps], 1)
        chances, places = self.head(pooled).softmax(1).max(1)
        return [(self.labels[place], float(chance)) for place, chance in zip(places.tolist(), chances, strict=True)]


def _mean(states: Tensor, real: Tensor) -> Tensor:
    return (states * real).sum(1) / real.sum(1)
