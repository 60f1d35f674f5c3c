"""LitServe with dynamic batching over the same network.

python -m tools.peers.litserve_transformer PORT FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import litserve


class Api(litserve.LitAPI):
    """Texts in batches of at most 16, padded to their longest."""

    def setup(self, device: str) -> None:
        """Load the network in the worker."""
        from tools.peers.network import Classifier

        self.model = Classifier(Path(sys.argv[2]), threads=os.cpu_count() or 1)

    def decode_request(self, request, **_):  # noqa: ANN001, ANN003, ANN201  # an annotation would be read as its schema
        """The text of a request."""
        return request["row"]["text"]

    def batch(self, inputs: list[str]) -> list[str]:
        """A list of texts is a batch already."""
        return inputs

    def predict(self, x: list[str], **_: Any) -> list[tuple[str, float]]:
        """A label and its probability for each text."""
        return self.model(x)

    def unbatch(self, output: list[tuple[str, float]]) -> list[tuple[str, float]]:
        """One answer a request."""
        return output

    def encode_response(self, output: tuple[str, float], **_: Any) -> dict[str, Any]:
        """The answer in the form that the client checks."""
        return {"predictions": [{"prediction": output[0], "confidence": output[1]}]}


if __name__ == "__main__":
    server = litserve.LitServer(Api(max_batch_size=16, batch_timeout=0.005), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False)
