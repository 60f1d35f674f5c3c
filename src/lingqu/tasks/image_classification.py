"""Which of these kinds of picture is this? One label for one picture.

>>> from lingqu.contract import Front
>>> task = ImageClassification()
>>> rows = task.toy(4)
>>> memory = task.learn(rows, Front("pixels", {"side": 32}))
>>> task.encode(rows, memory)["pixels"].shape, memory["labels"]
((4, 1, 8, 8), ['across', 'down'])
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Pillow

from lingqu.contract import Image, Rows
from lingqu.data.labels import LabelTask


class ImageClassification(LabelTask):
    """Image → Label.

    >>> ImageClassification().decode({"logits": np.array([[0.0, 3.0]])}, {"labels": ["cat", "dog"]})[0].label
    'dog'
    """

    name = "image-classification"
    about = "One label for one picture: digits, products, defects, X-rays."
    columns = (Image("image", "The picture to classify."),)
    fronts = ("pixels",)
    ladder = ("logistic", "cnn", "resnet")

    def toy(self, rows: int = 48, seed: int = 0) -> Rows:
        draw = np.random.default_rng(seed)
        images: list[bytes] = []
        for number in range(rows):
            pixels = draw.integers(0, 60, (8, 8), dtype=np.uint8)
            place = draw.integers(1, 7)
            pixels[(place, slice(None)) if number % 2 == 0 else (slice(None), place)] = 220
            buffer = io.BytesIO()
            Pillow.fromarray(pixels).save(buffer, "PNG")
            images.append(buffer.getvalue())
        return Rows({"image": images, "label": [("across", "down")[number % 2] for number in range(rows)]})
