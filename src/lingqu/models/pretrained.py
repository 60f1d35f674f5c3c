"""Pretrained encoders of Hugging Face as model families: frozen, with their top layers trained, by LoRA, or whole.

A text is read by the encoder's own tokenizer; what its layers say of every piece is averaged, and a linear layer
answers:

    pieces → embeddings → layer 1 … layer L → mean over the pieces of the chosen layers → linear

Four rungs, the cheapest first. `encoder-frozen` runs the encoder once over each row and fits the linear layer to the
end: no gradient passes the encoder, and its features are kept for later runs. `encoder-top` cuts the encoder in the
middle: what enters the upper half is computed once and kept, and only the upper half is trained, a third of the work of
training all. `encoder-lora` trains a low-rank addition to each matrix (Hu et al. 2021, arXiv 2106.09685), which is merged
afterwards. `encoder-full` trains every layer; lower layers take shorter strides (Howard and Ruder 2018, arXiv 1801.06146).
The table of pieces stays as it is in all of them: a few thousand rows touch few of its 30,000.

This is the one file that imports transformers and peft, and only when a network is made.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from lingqu.data.ragged import Ragged
from lingqu.errors import Problem, RequestError, missing_package
from lingqu.models.family import Examples, Facts, Family, Settings, Tell
from lingqu.models.features import OpenRows, computed, fit_head
from lingqu.models.hub import Encoder, find_encoder

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

    from lingqu.contract.task import Array


MOST_KEPT = 2_000_000_000
"""Bytes of states that a rung may keep."""


class TextEncoder(nn.Module):
    """Pieces to logits through a pretrained body.

    `taps` are the layers whose mean goes to the head (0 is what enters the first layer); the layers below `cut` and the
    embeddings are not trained. Given `states` in place of `pieces`, the body begins at the cut.
    """

    def __init__(self, config: Mapping[str, Any], outputs: int, *, taps: list[int], cut: int) -> None:
        super().__init__()
        self.body = new_body(config)
        self.cut, self.taps = cut, taps
        self.head = nn.Linear(self.width * len(taps), outputs)
        for held in (self.embeddings, *self.layers[:cut]):
            held.requires_grad_(False)
        self.padding = int(getattr(self.body.config, "pad_token_id", 0) or 0)

    @property
    def width(self) -> int:
        """H, the numbers that a layer gives a piece."""
        return int(self.body.config.hidden_size)

    @property
    def embeddings(self) -> nn.Module:
        """What turns pieces into the states that enter the first layer."""
        return self.body.get_submodule("embeddings")

    @property
    def layers(self) -> nn.ModuleList:
        """The layers of the body, the lowest first."""
        name = "transformer.layer" if hasattr(self.body, "transformer") else "encoder.layer"
        return cast(nn.ModuleList, self.body.get_submodule(name))

    def train(self, mode: bool = True) -> TextEncoder:
        """As ever, but what is not trained has no dropout: it says of a row what it always says."""
        super().train(mode)
        for held in (self.embeddings, *self.layers[: self.cut]):
            held.eval()
        return self

    def enter(self, pieces: Tensor) -> tuple[Tensor, Tensor]:
        """What enters the first layer (B, T, H), and where there is a piece (B, T)."""
        real = pieces > 0  # (B, T)
        ids = torch.where(real, pieces - 1, self.padding)
        states = self.embeddings(input_ids=ids)
        if hasattr(self.body, "embeddings_project"):
            states = self.body.get_submodule("embeddings_project")(states)
        return states, real

    def climb(self, states: Tensor, real: Tensor, start: int) -> Iterator[Tensor]:
        """The states after each layer from `start` on, each (B, T, H)."""
        # Added to the scores of attention: nothing where there is a piece, as good as minus infinity elsewhere.
        mask = torch.where(real, 0.0, -1e4)[:, None, None, :].to(states.dtype)  # (B, 1, 1, T)
        for layer in self.layers[start:]:
            found = layer(states, mask)
            states = found[0] if isinstance(found, tuple) else found
            yield states

    def below(self, pieces: Tensor) -> Tensor:
        """The states that enter the layer at the cut, (B, T, H)."""
        states, real = self.enter(pieces)
        for depth, found in enumerate(self.climb(states, real, 0), 1):
            if depth > self.cut:
                break
            states = found
        return states

    def pooled(self, pieces: Tensor, taps: list[int]) -> Tensor:
        """The mean over the pieces of a row of the states after each of these layers, (B, len(taps), H)."""
        states, real = self.enter(pieces)
        found = {0: states, **dict(enumerate(self.climb(states, real, 0), 1))}
        return torch.stack([mean_over(found[tap], real) for tap in taps], 1)

    def features(self, pieces: Tensor | None = None, states: Tensor | None = None) -> Tensor:
        """What the head sees, (B, len(taps) H)."""
        if states is not None:
            states, real = states.float(), (states != 0).any(-1)
        elif pieces is not None:
            states, real = self.enter(pieces)
        else:
            raise ValueError("pieces or states are needed")
        start = self.cut if pieces is None else 0
        found = {start: states, **dict(enumerate(self.climb(states, real, start), start + 1))}
        return torch.cat([mean_over(found[tap], real) for tap in self.taps], 1)

    def forward(self, pieces: Tensor | None = None, states: Tensor | None = None) -> Tensor:
        """`pieces` int64 (B, T) with 0 for padding, or `states` (B, T, H) with rows of zeros for padding; logits (B, K)."""
        return self.head(self.features(pieces, states))

    @property
    def strides(self) -> dict[str, float]:
        """The share of the learning rate of each parameter: ten for the head, less for every layer further down."""
        depth = {f"body.{_name_of(self.body, layer)}.": place for place, layer in enumerate(self.layers)}
        found = dict.fromkeys((name for name, _ in self.named_parameters()), 1.0)
        for name in found:
            place = next((place for prefix, place in depth.items() if name.startswith(prefix)), len(depth))
            found[name] = 10.0 if name.startswith("head.") else 0.9 ** (len(depth) - 1 - min(place, len(depth) - 1))
        return found


class PixelEncoder(nn.Module):
    """Pictures to logits through a pretrained body; grey ones are shown to it as three equal channels.

    `mean` and `std` are those that the encoder was trained with, so that scaling is part of the graph.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, config: Mapping[str, Any], outputs: int, *, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.body = new_body(config)
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("scale", 1 / (255 * torch.tensor(std).view(1, -1, 1, 1)), persistent=False)
        sizes = getattr(self.body.config, "hidden_sizes", None)
        self.width = int(sizes[-1]) if sizes else 2 * int(self.body.config.hidden_size)
        self.head = nn.Linear(self.width, outputs)

    def features(self, pixels: Tensor) -> Tensor:
        """The first state beside the mean of the others (ViT), or the mean over the picture (ResNet), (B, F)."""
        found = pixels.float().expand(-1, 3, -1, -1)
        found = self.body(pixel_values=(found - self.mean) * self.scale).last_hidden_state
        if found.ndim == 4:  # (B, F, H', W')
            return found.mean((2, 3))
        return torch.cat([found[:, 0], found[:, 1:].mean(1)], 1)  # (B, T, H) to (B, 2 H)

    def pooled(self, pixels: Tensor, taps: list[int]) -> Tensor:
        """The features as if of a single tap, (B, 1, F)."""
        return self.features(pixels)[:, None]

    def forward(self, pixels: Tensor) -> Tensor:
        """`pixels` uint8 (B, C, H, W) with one or three channels; logits (B, K)."""
        return self.head(self.features(pixels))

    @property
    def strides(self) -> dict[str, float]:
        """Ten times the learning rate for the head, which begins from nothing."""
        return {name: 10.0 if name.startswith("head.") else 1.0 for name, _ in self.named_parameters()}


def mean_over(states: Tensor, real: Tensor) -> Tensor:
    """The mean of the states (B, T, H) where `real` (B, T) holds, (B, H).

    >>> mean_over(torch.tensor([[[2.0], [4.0], [9.0]]]), torch.tensor([[True, True, False]])).tolist()
    [[3.0]]
    """
    weights = real.to(states.dtype)[:, :, None]  # (B, T, 1)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


def _name_of(body: nn.Module, wanted: nn.Module) -> str:
    return next(name for name, module in body.named_modules() if module is wanted)


# --- transformers and peft ------------------------------------------------------------------------------------------


@contextmanager
def _quietly(package: str) -> Iterator[None]:
    """Without transformers' bars and reports, and with the install line when it is missing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import transformers

            before = logging.getLogger("transformers").level
            transformers.logging.set_verbosity_error()
            transformers.logging.disable_progress_bar()
            try:
                yield
            finally:
                logging.getLogger("transformers").setLevel(before)
    except ModuleNotFoundError as error:
        if error.name in ("transformers", "peft"):
            raise missing_package(error.name, "pretrained", package) from error
        raise


def _config(config: Mapping[str, Any]) -> PretrainedConfig:
    from transformers import AutoConfig

    plain = {key: value for key, value in config.items() if key != "model_type"}
    return AutoConfig.for_model(config["model_type"], **plain)


def _bare(model_type: str) -> dict[str, bool]:
    """No pooling layer where the encoder has one that nobody asks."""
    return (
        {"add_pooling_layer": False}
        if model_type in ("bert", "camembert", "roberta", "xlm-roberta", "vit", "deit")
        else {}
    )


def new_body(config: Mapping[str, Any]) -> PreTrainedModel:
    """The network of this config with nothing learned yet."""
    with _quietly("a pretrained encoder"):
        from transformers import AutoModel

        # No dtype is taken from the config: weights are float32 here, whatever they were saved as.
        return AutoModel.from_config(_config(config), dtype=torch.float32, **_bare(config["model_type"]))


def load_body(body: nn.Module, encoder: Encoder) -> None:
    """Puts the encoder's weights into its network; RequestError when some are not in the file."""
    with _quietly("a pretrained encoder"):
        from transformers import AutoModel

        found, told = AutoModel.from_pretrained(
            encoder.folder,
            config=_config(encoder.config),
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **_bare(encoder.config["model_type"]),
        )
    absent = sorted({*told["missing_keys"]}) + sorted(str(key) for key in told["mismatched_keys"])
    if absent:
        expected = f"weights for all of the encoder {encoder.reference}"
        found_text = f"none for {absent[0]} and {len(absent) - 1} more" if len(absent) > 1 else f"none for {absent[0]}"
        raise RequestError(Problem(expected, found_text, "Its model.safetensors is not that of its config.json."))
    body.load_state_dict(found.state_dict())


def add_adapters(body: nn.Module, rank: int) -> None:
    """Low-rank additions to every matrix of the layers; only they are trained."""
    with _quietly("LoRA"):
        from peft import LoraConfig, inject_adapter_in_model

        body.requires_grad_(False)
        names = [name for name, module in body.named_modules() if isinstance(module, nn.Linear)]
        if not names:
            raise RequestError(
                Problem("an encoder with matrices for LoRA", "one of convolutions only", "Try train.method: full.")
            )
        inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=names), body)


def merge_adapters(body: nn.Module) -> None:
    """Each low-rank addition added to its matrix, so that the network is what it was, with other weights."""
    from peft.tuners.lora import LoraLayer

    for name, module in list(body.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()  # pyright: ignore[reportCallIssue]
            parent, _, last = name.rpartition(".")
            setattr(body.get_submodule(parent), last, module.get_base_layer())


# --- the families ---------------------------------------------------------------------------------------------------


def build(facts: Facts, settings: Settings) -> TextEncoder | PixelEncoder:
    """The network of these settings, its body not loaded yet."""
    encoder = settings["encoder"]
    if "pixels" in encoder:
        pixels = encoder["pixels"]
        return PixelEncoder(encoder["config"], facts.outputs, mean=pixels["mean"], std=pixels["std"])
    return TextEncoder(encoder["config"], facts.outputs, taps=list(settings["taps"]), cut=settings["cut"])


def bound(family: Family, reference: str) -> Family:
    """The family with this encoder: its tokenizer in the front's settings, its config in the network's."""
    encoder = find_encoder(reference)
    layers = int(encoder.config.get("num_hidden_layers", encoder.config.get("n_layers", 1)))
    sizes = {}
    for size, settings in family.sizes.items():
        chosen = {**settings, "encoder": encoder.to_json(), "taps": [layers], "cut": 0}
        if family.name == "encoder-frozen":
            chosen |= _offered(layers, encoder.front)
        if family.name == "encoder-top":
            chosen["cut"] = layers // 2
        sizes[size] = chosen
    if encoder.front == "pixels":
        if family.name == "encoder-top":
            raise RequestError(
                Problem(
                    "a text encoder for encoder-top", f"{reference}, which reads pictures", "Try train.method: full."
                )
            )
        side = encoder.to_json()["pixels"]["side"]
        fronts: dict[str, Mapping[str, Settings]] = {"pixels": {"small": {"side": side, "exact": True}}}
    else:
        most = int(encoder.config.get("max_position_embeddings", 512)) - 2
        lengths = {"tiny": 64, "small": 128, "medium": 256, "large": 512}
        fronts = {
            "pieces": {
                size: {"tokenizer": encoder.tokenizer(), "max_pieces": min(length, most), "tail": length // 4}
                for size, length in lengths.items()
            }
        }
    transfer = Pretrained(encoder)
    fit = partial(fit_head, transfer.network) if family.fit else None
    return replace(family, fronts=fronts, sizes=sizes, transfer=transfer, fit=fit)


class Pretrained:
    """What is done with an encoder before and after training; one for each encoder."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def network(self, facts: Facts, settings: Settings) -> nn.Module:
        """The network of these settings with the encoder's weights in it."""
        made = build(facts, settings)
        load_body(made.body, self.encoder)
        return made

    def start(self, network: nn.Module, settings: Settings) -> None:
        """Puts the encoder's weights into the network, and adapters where it is trained by them."""
        body = network.get_submodule("body")
        load_body(body, self.encoder)
        if "rank" in settings:
            add_adapters(body, settings["rank"])

    def prepare(self, part: Examples, facts: Facts, settings: Settings, *, rows: OpenRows, tell: Tell) -> Examples:
        """The rows as training reads them: features or states where these layers stay as they are, computed once.

        States that would fill more than 2 GB are not kept: the lower half is then run anew each time.
        """
        if "offered" not in settings and not settings["cut"]:
            return part
        half = runs_half()
        reader = _loaded(self.encoder.reference, self.encoder.sha256, settings["cut"]).eval()
        what = {"encoder": self.encoder.sha256, "config": dict(self.encoder.config), "half": half}
        if "offered" in settings:
            what |= {"layers": settings["offered"], "pool": "mean"}
            run, name = partial(_pooled, reader, settings["offered"]), "features"
        else:
            what |= {"layers": settings["cut"], "pool": "none"}
            lower = cast(TextEncoder, reader)
            run, name = partial(_below, lower), "states"
            if _entries(part) * lower.width * 2 > MOST_KEPT:
                return part
        found = computed(run, part, rows(what), half=half, tell=tell)
        if name == "states":
            return Examples({name: found}, part.targets)
        return Examples({name: found.values}, part.targets)

    def finish(self, network: nn.Module) -> None:
        """Merges adapters, so that the network has the names and the shape it is rebuilt with."""
        merge_adapters(network.get_submodule("body"))


@lru_cache(maxsize=1)
def _loaded(reference: str, _sha256: str, cut: int) -> TextEncoder | PixelEncoder:
    """A network that only reads, kept while one rung after another asks for it."""
    encoder = find_encoder(reference)
    made = build(Facts(1, "regression", {}), {"encoder": encoder.to_json(), "taps": [cut], "cut": cut})
    load_body(made.body, encoder)
    return made


def _pooled(network: TextEncoder | PixelEncoder, taps: list[int], batch: dict[str, Tensor]) -> tuple[Tensor, Array]:
    """The features of a batch, each row's as one entry: (B, 1, taps, H)."""
    (array,) = batch.values()
    found = network.pooled(array, taps)[:, None]
    return found, np.ones(len(found), np.int64)


def _below(network: TextEncoder, batch: dict[str, Tensor]) -> tuple[Tensor, Array]:
    """The states of a batch at the cut, and how many pieces each row has."""
    pieces = batch["pieces"]
    return network.below(pieces), (pieces > 0).sum(1).numpy()


def _entries(part: Examples) -> int:
    return sum(len(held.values) if isinstance(held, Ragged) else len(held) for held in part.arrays.values())


def runs_half() -> bool:
    """Whether this processor multiplies bfloat16 matrices itself; where it does, encoders run almost twice as fast."""
    supported: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return supported


def _offered(layers: int, front: str) -> dict[str, Any]:
    """The layers whose features are computed, and the choices of them that validation rows decide between."""
    offered = (
        sorted({layers, *(max(1, layers - layers * step // 6) for step in (1, 2, 3))}) if front == "pieces" else [1]
    )
    return {"offered": offered, "choices": [[offered[-1]], offered[-2:], offered], "taps": offered[-1:]}


_TRAINING = {
    "least_steps": 200,
    "weight_decay": 0.01,
    "schedule": "one-cycle",
    "smoothing": 0.0,
    "patience": 0,
    "bf16": True,
}
_FRONTS: Mapping[str, Mapping[str, Settings]] = {"pieces": {}, "pixels": {}}
_HEAD = {"strengths": [0.003, 0.01, 0.03, 0.1, 0.3, 1.0]}

FROZEN = Family(
    name="encoder-frozen",
    about="A pretrained encoder as it is, and a linear layer fitted to what it says.",
    fronts=_FRONTS,
    sizes={"small": _HEAD},
    build=build,
    fit=partial(fit_head, build),
    bind=bound,
)
TOP = Family(
    name="encoder-top",
    about="A pretrained encoder whose upper half is trained; the lower half is computed once.",
    fronts=_FRONTS,
    sizes={
        "tiny": {"epochs": 1, "batch_size": 32, "learning_rate": 2e-4, **_TRAINING},
        "small": {"epochs": 2, "batch_size": 32, "learning_rate": 2e-4, **_TRAINING},
        "medium": {"epochs": 3, "batch_size": 32, "learning_rate": 2e-4, **_TRAINING},
    },
    build=build,
    bind=bound,
)
LORA = Family(
    name="encoder-lora",
    about="A pretrained encoder with low-rank additions that are trained, then merged.",
    fronts=_FRONTS,
    sizes={
        "tiny": {"rank": 4, "epochs": 1, "batch_size": 32, "learning_rate": 1e-3, **_TRAINING},
        "small": {"rank": 8, "epochs": 3, "batch_size": 32, "learning_rate": 1e-3, **_TRAINING},
    },
    build=build,
    bind=bound,
)
FULL = Family(
    name="encoder-full",
    about="A pretrained encoder, trained whole.",
    fronts=_FRONTS,
    sizes={
        "tiny": {"epochs": 1, "batch_size": 32, "learning_rate": 2e-4, **_TRAINING},
        "small": {"epochs": 2, "batch_size": 32, "learning_rate": 2e-4, **_TRAINING},
        "medium": {"epochs": 3, "batch_size": 32, "learning_rate": 1e-4, **_TRAINING},
    },
    build=build,
    bind=bound,
)
