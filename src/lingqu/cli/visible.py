r"""What users wrote, as a terminal may show it: it cannot move the cursor, rename the window or fill the clipboard.

>>> visible("a \x1b]0;b\x07 \x9b2J"), visible("渠\tb\n")
('a ␛]0;b␇ �2J', '渠\tb\n')
"""

from __future__ import annotations

import re

_SEEN = {
    **{code: 0x2400 + code for code in range(0x20) if code not in (0x09, 0x0A)},
    0x7F: 0x2421,
    # The other controls have no picture, nor have the signs that turn the order of what stands beside them: marks,
    # embeddings, overrides and isolates (Unicode Standard Annex 9).
    **dict.fromkeys(
        (*range(0x80, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), 0xFFFD
    ),
}
_OBEYED = re.compile(f"[{''.join(map(chr, _SEEN))}]")


def visible(text: str) -> str:
    """The text with a picture in the place of each sign that a terminal would obey; tabs and line ends stay."""
    return text if _OBEYED.search(text) is None else text.translate(_SEEN)
