"""Small encoders on disk, made here: random weights, a vocabulary of a few words, and what may be wrong with them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "soup", "team", "won", "salty", "good", "bad", "match", "rice"]
BERT: dict[str, Any] = {
    "model_type": "bert",
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
}


def save_files(folder: Path, config: dict[str, Any] | None = None, *, leave_out: tuple[str, ...] = ()) -> Path:
    """A folder that looks like an encoder; its weights are one number, for nothing here loads them."""
    folder.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    files = {
        "config.json": json.dumps({**BERT, **(config or {})}).encode(),
        "model.safetensors": struct.pack("<Q", len(header)) + header + b"\0\0\0\0",
        "tokenizer.json": tokenizer().encode(),
        "preprocessor_config.json": json.dumps({"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3}).encode(),
    }
    for name, data in files.items():
        if name not in leave_out:
            (folder / name).write_bytes(data)
    return folder


def tokenizer() -> str:
    """A tokenizer.json that knows WORDS, and puts [CLS] and [SEP] around a text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    made = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.add_special_tokens(WORDS[:4])
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    # As published tokenizers do: cut at 4 and pad to 4, which must not be what happens here.
    made.enable_truncation(4)
    made.enable_padding(length=4)
    return made.to_str()


def save_encoder(folder: Path, config: dict[str, Any] | None = None, **processor: Any) -> Path:
    """A real encoder with random weights, saved as transformers saves one."""
    import torch
    from transformers import AutoConfig, AutoModel

    settings = dict(config or BERT)
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model(settings.pop("model_type"), **settings)).save_pretrained(folder)
    (folder / "tokenizer.json").write_text(tokenizer())
    shown = {"size": {"shortest_edge": 32}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3, **processor}
    (folder / "preprocessor_config.json").write_text(json.dumps(shown))
    return folder
