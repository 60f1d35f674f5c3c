"""Checkpoints: all that a run needs to go on as if it had never stopped, in files that cannot be half-written.

One file holds tensors (safetensors) and the rest as JSON in its header; its name carries the SHA-256 of its bytes. The
two newest are kept: should the newest be damaged, the one before it is used and the user is told. There is no random
state to keep, for each step draws its own from (seed, epoch, step).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lingqu.store.atomic import write_bytes

KEPT = 2
_NAME = re.compile(r"checkpoint-(\d{9})-([0-9a-f]{64})\.safetensors")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Named tensors and plain JSON values, as of one step."""

    step: int
    tensors: dict[str, Tensor]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run, in a folder of their own.

    >>> import tempfile, torch
    >>> kept = Checkpoints(Path(tempfile.mkdtemp()))
    >>> kept.save(Checkpoint(7, {"w": torch.ones(2)}, {"best": 0.5}))
    >>> found, complaints = kept.newest()
    >>> found.step, found.state, complaints
    (7, {'best': 0.5}, [])
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._serial = max((serial for serial, _, _ in self._files()), default=0)

    def save(self, checkpoint: Checkpoint) -> None:
        """Writes a checkpoint so that it is there whole or not at all, then removes the third newest."""
        told = json.dumps({"step": checkpoint.step, "state": checkpoint.state}, sort_keys=True)
        data = save({name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()}, {"lingqu": told})
        # Numbered by writing, not by step: after a roll-back the newest one is of an earlier step.
        self._serial += 1
        write_bytes(self.folder / f"checkpoint-{self._serial:09d}-{hashlib.sha256(data).hexdigest()}.safetensors", data)
        for _, _, path in self._files()[KEPT:]:
            path.unlink(missing_ok=True)

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest whole checkpoint, and one sentence for each damaged one that was passed over."""
        complaints = []
        for _, digest, path in self._files():
            if hashlib.sha256(path.read_bytes()).hexdigest() == digest:
                return _read(path), complaints
            complaints.append(f"The checkpoint {path.name} is damaged; training goes on from the one before it.")
        return None, complaints

    def _files(self) -> list[tuple[int, str, Path]]:
        """(serial, digest, path) of every checkpoint, the newest first."""
        found = [(match, path) for path in self.folder.glob("checkpoint-*") if (match := _NAME.fullmatch(path.name))]
        return sorted(((int(match[1]), match[2], path) for match, path in found), reverse=True)


def _read(path: Path) -> Checkpoint:
    with safe_open(path, framework="pt") as held:
        told = json.loads(held.metadata()["lingqu"])
        return Checkpoint(told["step"], {name: held.get_tensor(name) for name in held.keys()}, told["state"])  # noqa: SIM118


def below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under a prefix, by the rest of their names.

    >>> import torch
    >>> below({"best/w": torch.ones(1), "network/w": torch.zeros(1)}, "best")
    {'w': tensor([1.])}
    """
    return {name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(f"{prefix}/")}


def network_tensors(network: nn.Module, prefix: str) -> dict[str, Tensor]:
    """A copy of the network's weights under a prefix, so that training on does not change them."""
    return {f"{prefix}/{name}": value.detach().clone() for name, value in network.state_dict().items()}


def restore_network(network: nn.Module, tensors: Mapping[str, Tensor], prefix: str) -> None:
    """Puts back what `network_tensors` took."""
    network.load_state_dict(below(tensors, prefix))
