"""FastAPI with no model at all: what a request costs that is checked and answered."""

from __future__ import annotations

import sys
from uuid import uuid4

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Row(BaseModel):
    """One row."""

    x: float


class Asked(BaseModel):
    """One row to answer."""

    row: Row


class Prediction(BaseModel):
    """An answer of the same form as lingqu's."""

    id: str
    prediction: float
    low: float
    high: float


class Answered(BaseModel):
    """What is answered."""

    model: str
    version: str
    request_id: str
    predictions: list[Prediction]


@app.post("/predict", response_model=Answered)
async def predict(asked: Asked) -> Answered:
    """The number back again."""
    x = asked.row.x
    answer = Prediction(id=uuid4().hex, prediction=x, low=x, high=x)
    return Answered(model="noop", version="1", request_id=uuid4().hex, predictions=[answer])


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
