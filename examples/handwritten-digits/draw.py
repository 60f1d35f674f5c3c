"""Draws digits.npz: 240 pictures of 16 x 16 pixels, each a digit written by a shaking hand.

Run it to draw them anew: python draw.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

# Each digit as strokes, a stroke as points in a square of side 10.
STROKES = {
    0: [[(5, 1), (8, 3), (8, 7), (5, 9), (2, 7), (2, 3), (5, 1)]],
    1: [[(3, 3), (5, 1), (5, 9)]],
    2: [[(2, 3), (4, 1), (7, 1), (8, 3), (2, 9), (8, 9)]],
    3: [[(2, 1), (7, 1), (8, 3), (5, 5), (8, 7), (6, 9), (2, 9)]],
    4: [[(6, 9), (6, 1), (2, 6), (8, 6)]],
    5: [[(8, 1), (3, 1), (2, 5), (6, 4), (8, 6), (6, 9), (2, 9)]],
    6: [[(7, 1), (3, 4), (2, 7), (4, 9), (7, 8), (7, 6), (3, 6)]],
    7: [[(2, 1), (8, 1), (4, 9)]],
    8: [[(5, 5), (2, 3), (5, 1), (8, 3), (5, 5), (2, 7), (5, 9), (8, 7), (5, 5)]],
    9: [[(8, 4), (5, 5), (3, 3), (5, 1), (8, 2), (8, 5), (6, 9)]],
}
SIDE, FINE = 16, 96


def digit(which: int, hand: np.random.Generator) -> np.ndarray:
    """One picture, uint8 (16, 16): the strokes turned, stretched and moved a little, with a pen of its own width."""
    angle, slant = hand.normal(0, 0.12), hand.normal(0, 0.15)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shape = turn @ np.array([[1, slant], [0, 1]]) * hand.uniform(0.75, 1.0, 2)
    middle = 5 + hand.normal(0, 0.4, 2)
    paper = Image.new("L", (FINE, FINE))
    pen = ImageDraw.Draw(paper)
    for stroke in STROKES[which]:
        points = (np.array(stroke) - 5 + hand.normal(0, 0.25, (len(stroke), 2))) @ shape.T + middle
        pen.line([tuple(point) for point in points * FINE / 10], 255, int(hand.integers(9, 16)), joint="curve")
    return np.asarray(paper.resize((SIDE, SIDE), Image.Resampling.BOX))


def draw(rows: int = 240, seed: int = 0) -> dict[str, np.ndarray]:
    """Pictures `x` uint8 (rows, 16, 16) and digits `y` (rows,)."""
    hand = np.random.default_rng(seed)
    which = np.arange(rows) % 10
    return {"x": np.stack([digit(int(one), hand) for one in which]), "y": which.astype(np.uint8)}


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).with_name("digits.npz"), **draw())
