"""Draws lungs.npz: 160 pictures of 28 x 28 pixels that remind of chest X-rays, half of them with a shadow in one lung.

Nobody's body is in them, and nothing medical can be learned from them. Run it to draw them anew: python draw.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE, FINE = 28, 112


def chest(shadow: bool, draw: np.random.Generator) -> np.ndarray:
    """One picture, uint8 (28, 28): a bright body, two dark lungs crossed by ribs, and maybe a bright shadow."""
    picture = Image.new("L", (FINE, FINE), int(draw.integers(10, 30)))
    brush = ImageDraw.Draw(picture)
    brush.rounded_rectangle([8, 6, FINE - 8, FINE], 30, int(draw.integers(150, 180)))
    lift, width = int(draw.integers(-5, 6)), int(draw.integers(13, 18))
    lungs = [(x + int(draw.integers(-3, 4)), 56 + lift) for x in (34, 78)]
    dark = int(draw.integers(40, 65))
    for x, y in lungs:
        brush.ellipse([x - width, y - 36, x + width, y + 36], dark)
    for rib in range(26, 92, 13):
        brush.line([(14, rib + lift), (56, rib - 6 + lift), (98, rib + lift)], dark + 45, 3)
    if shadow:
        x, y = lungs[int(draw.integers(0, 2))]
        size = int(draw.integers(8, 14))
        x, y = x + int(draw.integers(-5, 6)), y + int(draw.integers(-14, 22))
        brush.ellipse([x - size, y - size, x + size, y + size], int(draw.integers(120, 160)))
    soft = picture.filter(ImageFilter.GaussianBlur(3)).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.clip(np.asarray(soft) + draw.normal(0, 6, (SIDE, SIDE)), 0, 255).astype(np.uint8)


def draw(rows: int = 160, seed: int = 0) -> dict[str, np.ndarray]:
    """Pictures `x` uint8 (rows, 28, 28) and findings `y` (rows,): 0 clear, 1 shadow."""
    generator = np.random.default_rng(seed)
    which = np.arange(rows) % 2
    return {"x": np.stack([chest(bool(one), generator) for one in which]), "y": which.astype(np.uint8)}


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).with_name("lungs.npz"), **draw())
