"""FastAPI, torch and transformers: one request at a time through the network.

    python -m tools.peers.fastapi_transformer PORT FOLDER [--plain]

One text at a time with all threads in torch is the faster way of the two on two cores; `--plain` leaves requests to
FastAPI's pool of threads, as its documentation does.
"""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from tools.peers.network import Classifier

app = FastAPI()
model = Classifier(Path(sys.argv[2]), threads=os.cpu_count() or 1)
alone = ThreadPoolExecutor(1)


class Row(BaseModel):
    """One row."""

    text: str


class Asked(BaseModel):
    """One row to classify."""

    row: Row


def answer(text: str) -> dict[str, Any]:
    """The answer in the form that the client checks."""
    label, confidence = model([text])[0]
    return {"predictions": [{"prediction": label, "confidence": confidence}]}


if "--plain" in sys.argv:

    @app.post("/predict")
    def predict(asked: Asked) -> dict[str, Any]:
        """The label of one text, in a thread of FastAPI's pool."""
        return answer(asked.row.text)
else:

    @app.post("/predict")
    async def predict_in_turn(asked: Asked) -> dict[str, Any]:
        """The label of one text, in turn."""
        return await asyncio.get_running_loop().run_in_executor(alone, answer, asked.row.text)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
