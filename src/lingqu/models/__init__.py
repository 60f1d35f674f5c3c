"""Networks that know nothing but tensors, one family a file, found by name.

The table holds names only; a family's file (and with it torch) is imported on first use. A team's own family enters
through the entry point group `lingqu.models`, whose value is "module:attribute" of a `Family`.

>>> "cnn" in family_names()
True
>>> find_family("boosting").front
'table'
"""

from __future__ import annotations

import os
from importlib import import_module

from lingqu.contract.outside import installed
from lingqu.errors import Problem, UnknownNameError, missing_package, near
from lingqu.models.family import Examples, Facts, Family, Fitted

# Threads of OpenMP that wait for each other spin by default; with one busy neighbour on two cores that is many times
# slower. It is read when torch or LightGBM is loaded, which happens below this package only.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__all__ = ["FAMILIES", "IN_SHORT", "Examples", "Facts", "Family", "Fitted", "family_names", "find_family"]

FAMILIES: dict[str, str] = {
    "ngram-linear": "lingqu.models.ngram_linear:FAMILY",
    "logistic": "lingqu.models.linear:LOGISTIC",
    "linear": "lingqu.models.linear:LINEAR",
    "tree": "lingqu.models.tree:FAMILY",
    "boosting": "lingqu.models.boosting:FAMILY",
    "by-hand": "lingqu.models.by_hand:FAMILY",
    "blend": "lingqu.models.blend:FAMILY",
    "mlp": "lingqu.models.mlp:FAMILY",
    "cnn": "lingqu.models.cnn:FAMILY",
    "resnet": "lingqu.models.resnet:FAMILY",
    "textcnn": "lingqu.models.textcnn:FAMILY",
    "rnn": "lingqu.models.recurrent:RNN",
    "gru": "lingqu.models.recurrent:GRU",
    "lstm": "lingqu.models.recurrent:LSTM",
    "bilstm": "lingqu.models.recurrent:BILSTM",
    "transformer": "lingqu.models.transformer:FAMILY",
    "encoder-frozen": "lingqu.models.pretrained:FROZEN",
    "encoder-top": "lingqu.models.pretrained:TOP",
    "encoder-lora": "lingqu.models.pretrained:LORA",
    "encoder-full": "lingqu.models.pretrained:FULL",
}

_CLASSES, _NUMBERS, _SETS = "classification", "regression", "multilabel"
_ALL = (_CLASSES, _SETS, _NUMBERS)
IN_SHORT: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ngram-linear": (("ngrams",), _ALL),
    "logistic": (("table", "pixels"), (_CLASSES,)),
    "linear": (("table",), (_NUMBERS,)),
    "tree": (("table",), (_CLASSES, _NUMBERS)),
    "boosting": (("table",), (_CLASSES, _NUMBERS)),
    "by-hand": (("table", "pixels"), (_CLASSES, _NUMBERS)),
    "blend": (("table",), (_CLASSES, _NUMBERS)),
    "mlp": (("table",), _ALL),
    **dict.fromkeys(("cnn", "resnet"), (("pixels",), _ALL)),
    **dict.fromkeys(("textcnn", "rnn", "gru", "lstm", "bilstm", "transformer"), (("tokens",), _ALL)),
}
"""The fronts and kinds of our own families, so that a spec is checked without importing any of them."""

_TRAINING_PACKAGES = ("torch", "sklearn", "lightgbm", "scipy", "safetensors")


def family_names() -> list[str]:
    """Every family's name: ours, then those of installed packages."""
    return [*FAMILIES, *sorted(point.name for point in installed("lingqu.models"))]


def find_family(name: str) -> Family:
    """The family of this name; UnknownNameError with the nearest right name.

    A family that needs an encoder has its id or folder behind a colon: `encoder-full:owner/name@commit`.

    >>> find_family("text-cnn")
    Traceback (most recent call last):
        ...
    lingqu.errors.UnknownNameError: Expected a model family that lingqu knows, found 'text-cnn'. Did you mean 'textcnn'?
    """
    name, _, encoder = name.partition(":")
    where = FAMILIES.get(name)
    if where is None:
        where = next((point.value for point in installed("lingqu.models") if point.name == name), None)
    if where is None:
        raise UnknownNameError(Problem("a model family that lingqu knows", repr(name), near(name, family_names())))
    module, _, attribute = where.partition(":")
    try:
        family: Family = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name in _TRAINING_PACKAGES:
            raise missing_package(error.name, "train", f"the model family {name}") from error
        raise
    return family.bind(family, encoder) if family.bind and encoder else family
