"""Which of these things is this text about? Any number of labels for one text: tags, topics, symptoms, complaints.

>>> from lingqu.contract import Front
>>> task = MultiLabelTextClassification()
>>> rows = task.toy(8)
>>> memory = task.learn(rows, Front("ngrams", {"buckets": 256}))
>>> memory["labels"], rows["labels"][:4]
(['delivery', '价格', '质量'], ['delivery', '价格', 'delivery|价格', '质量'])
"""

from __future__ import annotations

import random
from typing import Any

from lingqu.contract import JOINT, Rows, Text
from lingqu.data.label_sets import LabelSetTask


class MultiLabelTextClassification(LabelSetTask):
    """Text → Labels.

    >>> MultiLabelTextClassification().outputs({"labels": ["a", "b", "c"]})
    3
    """

    name = "multi-label-text-classification"
    about = "Any number of labels for one text: tags, topics, symptoms, complaints."
    columns = (Text("text", "The text to label."),)
    fronts = ("ngrams", "tokens")
    ladder = ("ngram-linear", "textcnn", "bilstm")

    def toy(self, rows: int = 48, seed: int = 0) -> Rows:
        words = {
            "delivery": ["the parcel came late", "it was shipped to the wrong house", "快递太慢了"],
            "价格": ["far too expensive", "the price is unfair", "价格太高"],
            "质量": ["it broke at once", "the seam is open", "质量很差"],
        }
        draw = random.Random(seed)
        made: list[dict[str, Any]] = []
        for number in range(rows):
            # Every mix in turn, from one label to all three; now and then none.
            chosen = [label for place, label in enumerate(words) if (number % 7 + 1) >> place & 1]
            if number % 20 == 19:
                chosen = []
            said = [draw.choice(words[label]) for label in chosen] or ["thank you 谢谢"]
            made.append({"text": ", ".join(said) + f" {draw.randrange(1000)}", "labels": JOINT.join(sorted(chosen))})
        return Rows.from_dicts(made)
