"""Which of these kinds of text is this? Sentiment, topic, intent, spam: one label for one text, in any language.

>>> from lingqu.contract import Front
>>> task = TextClassification()
>>> rows = task.toy(8)
>>> memory = task.learn(rows, Front("ngrams", {"buckets": 256}))
>>> memory["labels"], task.targets(rows, memory).tolist()
(['food', 'sport'], [0, 1, 0, 1, 0, 1, 0, 1])
"""

from __future__ import annotations

import random
from typing import Any

from lingqu.contract import Rows, Text
from lingqu.data.labels import LabelTask


class TextClassification(LabelTask):
    """Text → Label.

    >>> TextClassification().outputs({"labels": ["a", "b", "c"]})
    3
    """

    name = "text-classification"
    about = "One label for one text: topic, sentiment, intent, spam."
    columns = (Text("text", "The text to classify."),)
    fronts = ("ngrams", "tokens", "pieces")
    ladder = ("ngram-linear", "textcnn", "bilstm")

    def toy(self, rows: int = 48, seed: int = 0) -> Rows:
        words: dict[str, list[list[str]]] = {
            "food": [
                ["the soup", "this rice", "红烧肉"],
                ["tastes salty", "is sweet", "很好吃"],
                ["with bread", "at dinner", "配米饭"],
            ],
            "sport": [
                ["our team", "the runner", "足球队"],
                ["won the match", "scored twice", "赢了比赛"],
                ["in extra time", "on the track", "在球场"],
            ],
        }
        draw = random.Random(seed)
        made: list[dict[str, Any]] = []
        for number in range(rows):
            label = ("food", "sport")[number % 2]
            text = " ".join(draw.choice(part) for part in words[label])
            made.append({"text": f"{text} {draw.randrange(1000)}", "label": label})
        return Rows.from_dicts(made)
