"""Text as arrays: hashed n-grams for linear models, tokens for networks.

Both read any language without a segmenter: a word is a run of letters and digits, and each Chinese, Japanese or Thai
character is a word of its own, so that word n-grams of Chinese are its character n-grams.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from lingqu.contract import Memory, Rows

if TYPE_CHECKING:
    from lingqu.contract.task import Array, Arrays

# Scripts that are written without spaces: CJK ideographs, kana, Hangul is spaced and stays a word; Thai, Lao, Khmer.
UNSPACED = (
    "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
)
# A character of an unspaced script, a digit, a run of other letters, or a sign; a space counts beside unspaced script,
# where it is a choice (a headline's pause), and beside nothing else. A run of spaces is tried from its first one alone: from
# each of them, a text of nothing but spaces would take time that grows with the square of its length.
WORD = re.compile(
    rf"[{UNSPACED}]|\d|(?:(?![{UNSPACED}\d])\w)+|[^\w\s]|(?<=[{UNSPACED}])\s+|(?<!\s)\s++(?=[{UNSPACED}])"
)


def normalise(text: str) -> str:
    """One spelling for one text: compatibility forms joined (ＡＢＣ is abc), lower case.

    >>> normalise("ＬｉｎｇＱｕ　灵渠")
    'lingqu 灵渠'
    """
    return unicodedata.normalize("NFKC", text).lower()


def words(text: str) -> list[str]:
    """The words of a normalised text between two empty ones, so that a pair can say "begins with" or "ends with".

    Digits stand alone, as years and scores share them; signs are words, for brackets tell a headline and ! a feeling.

    >>> words("it's 很好吃!")
    ['', 'it', "'", 's', ' ', '很', '好', '吃', '!', '']
    """
    found = WORD.findall(text)
    return ["", *found, ""] if found else []


# --- hashed n-grams -------------------------------------------------------------------------------------------------
# The hashing trick (Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning"): an n-gram's column is
# its hash, so there is no vocabulary to keep and no word is unknown. The hash is a polynomial over 64-bit code points,
# taken for a whole batch at once from prefix sums: with S[i] = Σ_{j<i} c_j P^j, the hash of [i, i+n) is
# (S[i+n] − S[i]) P^{−i}; all arithmetic is modulo 2^64, where the odd P has an inverse.

_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)
_SEPARATOR = "\x1f"


def learn_ngrams(rows: Rows, settings: dict[str, Any]) -> Memory:
    """Nothing is learned from the rows: the memory is the settings, with their defaults.

    `buckets` is the number of hash values, 0 being kept for padding. `words`, `short` and `chars` are the lengths of
    n-grams: of words, of words that are all one character long (so three Chinese characters, but not three English
    words), and of characters inside longer words. Of a text the first `max_chars` characters count.
    """
    usual = {"column": "text", "buckets": 1 << 19, "words": [1, 2], "short": [3], "chars": [], "max_chars": 20_000}
    return {**usual, **settings}


def encode_ngrams(rows: Rows, memory: Memory) -> Arrays:
    """Hashed n-grams of the text column (`memory["column"]`): `ids` int32 and `counts` float32, both (rows, most n-grams in a row).

    Ids rise within a row and 0 is padding. A row of no n-grams is all padding.

    >>> arrays = encode_ngrams(Rows({"text": ["a a b", ""]}), learn_ngrams(Rows({}), {"words": [1], "short": []}))
    >>> sorted(arrays["counts"][0].tolist()), arrays["ids"][1].tolist()
    ([1.0, 2.0, 2.0], [0, 0, 0])
    """
    return _padded(*_counted(rows, memory), len(rows))


def encode_kept_ngrams(rows: Rows, memory: Memory, numbers: Array) -> Arrays:
    """As `encode_ngrams`, with `numbers[id]` in the place of each id; n-grams whose number is 0 are left out.

    >>> rows, memory = Rows({"text": ["a b"]}), learn_ngrams(Rows({}), {"words": [1], "short": [], "buckets": 8})
    >>> encode_ngrams(rows, memory)["ids"].tolist()
    [[1, 3, 5]]
    >>> encode_kept_ngrams(rows, memory, np.array([0, 0, 0, 1, 0, 2, 0, 0], np.int32))["ids"].tolist()
    [[1, 2]]
    """
    row, ids, counts = _counted(rows, memory)
    found = numbers[ids]
    kept = np.flatnonzero(found)
    return _padded(row[kept], found[kept], counts[kept], len(rows))


def _counted(rows: Rows, memory: Memory) -> tuple[Array, Array, Array]:
    """The n-grams of all texts: row, bucket and how often, (n-grams,) each; rows rise, and buckets within a row."""
    most = memory["max_chars"]
    # Normalising can make eighteen characters of one (ﷺ), so what comes out has an end of its own.
    texts = [normalise(str(text)[:most])[: 2 * most] for text in rows[memory["column"]]]
    keys = _ngram_keys(texts, memory)
    keys.sort()
    is_first = np.empty(len(keys), bool)
    is_first[:1] = True
    np.not_equal(keys[1:], keys[:-1], out=is_first[1:])
    first = np.flatnonzero(is_first)
    ends = np.append(first[1:], len(keys)) if len(keys) else first
    keys = keys[first]
    return (keys >> np.uint64(32)).astype(np.int64), (keys & np.uint64(0xFFFFFFFF)).astype(np.int32), ends - first


def _padded(row: Array, ids: Array, counts: Array, rows: int) -> Arrays:
    """`ids` int32 and `counts` float32, both (rows, most n-grams in a row), 0 where a row has less."""
    if rows == 1 and len(ids):
        return {"ids": ids.astype(np.int32)[None], "counts": counts.astype(np.float32)[None]}
    lengths = np.bincount(row, minlength=rows)
    place = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    shape = (rows, max(int(lengths.max(initial=0)), 1))
    arrays = {"ids": np.zeros(shape, np.int32), "counts": np.zeros(shape, np.float32)}
    arrays["ids"][row, place] = ids
    arrays["counts"][row, place] = counts
    return arrays


def _ngram_keys(texts: list[str], memory: Memory) -> Array:
    """One key per n-gram occurrence: the row in the high half, the bucket in the low half; uint64."""
    tokens = [words(text) for text in texts]
    flat = list(chain.from_iterable(tokens))
    if not flat:
        return np.empty(0, np.uint64)
    lengths = np.array([len(word) for word in flat], np.int64)
    # One separator before the first word and after each: a character n-gram may hold the edge of a word, as in
    # scikit-learn's char_wb, and a word n-gram of length n is one span from word i to the end of word i + n - 1.
    joined = _SEPARATOR + _SEPARATOR.join(flat) + _SEPARATOR
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    end = np.cumsum(lengths + 1)
    start = end - lengths
    # A batch of one text needs no rows, which is half of the work on a short one.
    row_of = np.repeat(np.arange(len(texts)), [len(found) for found in tokens]) if len(texts) > 1 else None
    begins, ends, rows = _word_spans(start, end, row_of, lengths, memory)
    count = sum(map(len, begins))
    if memory["chars"]:
        for begin, n, row in _inner_spans(start, end, row_of, lengths, memory["chars"]):
            begins.append(begin)
            ends.append(begin + n)
            rows.append(row)
    hashes = _span_hashes(codes, np.concatenate(begins), np.concatenate(ends))
    hashes[count:] += np.uint64(_INNER)
    keys = _buckets(hashes, memory["buckets"])
    return keys if row_of is None else keys | (np.concatenate(rows).astype(np.uint64) << np.uint64(32))


def _word_spans(
    start: Array, end: Array, row_of: Array | None, lengths: Array, memory: Memory
) -> tuple[list[Array], list[Array], list[Array]]:
    """Where the n-grams of words begin and end, and their rows (none for one row)."""
    begins, ends, rows = [], [], []
    for n in sorted({*memory["words"], *memory["short"]}):
        size = max(len(start) - n + 1, 0)
        begin, stop = start[:size], end[n - 1 :]
        chosen = None if row_of is None else row_of[:size] == row_of[n - 1 :]
        if n not in memory["words"]:
            long_before = np.concatenate([[0], np.cumsum(lengths > 1)])
            short = long_before[:size] == long_before[n:]
            chosen = short if chosen is None else chosen & short
        begins.append(begin if chosen is None else begin[chosen])
        ends.append(stop if chosen is None else stop[chosen])
        if row_of is not None:
            rows.append(row_of[:size][chosen])
    return begins, ends, rows


def _inner_spans(
    start: Array, end: Array, row_of: Array | None, lengths: Array, sizes: list[int]
) -> Iterator[tuple[Array, int, Array]]:
    """Where the n-grams of characters inside longer words and at their edges begin, their length, and their rows."""
    spaced = np.flatnonzero(lengths > 1)
    first, last = start[spaced] - 1, end[spaced] + 1
    for n in sizes:
        room = np.maximum(last - first - n + 1, 0)
        before = np.cumsum(room)
        total = int(before[-1]) if len(before) else 0
        begin = np.repeat(first - before + room, room) + np.arange(total)
        yield begin, n, begin if row_of is None else np.repeat(row_of[spaced], room)


KNOWN_POWERS = 1 << 14
_INNER = 0x632BE59BD9B4E019
"""What is added to the hashes of character n-grams, so that they differ from those of words."""


def _span_hashes(codes: Array, begin: Array, end: Array) -> Array:
    """Polynomial hashes of any spans of one code-point array, uint64."""
    size = len(codes)
    powers, inverse = _known_powers() if size < KNOWN_POWERS else _powers(size + 1)
    prefix = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum((codes + np.uint64(1)) * powers[: len(codes)], out=prefix[1:])
    return (prefix[end] - prefix[begin]) * inverse[begin]


@lru_cache(maxsize=1)
def _known_powers() -> tuple[Array, Array]:
    """The powers that short texts need, which are most of the work on one of them."""
    return _powers(KNOWN_POWERS)


def _powers(count: int) -> tuple[Array, Array]:
    """So many powers of the base and of its inverse."""
    powers, inverse = np.full(count, _BASE, np.uint64), np.full(count, _INVERSE, np.uint64)
    powers[0] = inverse[0] = 1
    np.multiply.accumulate(powers, out=powers)
    np.multiply.accumulate(inverse, out=inverse)
    return powers, inverse


def _buckets(hashes: Array, buckets: int) -> Array:
    """The bucket of each hash, from 1; finished by splitmix64, so that its low bits are as good as its high."""
    mixed = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed % np.uint64(buckets - 1) + np.uint64(1)


# --- tokens ---------------------------------------------------------------------------------------------------------


def learn_tokens(rows: Rows, settings: dict[str, Any]) -> Memory:
    """A byte-pair vocabulary (Sennrich et al. 2016) of the training text.

    `vocabulary` is how many tokens at most, with 0 for padding and 1 for unknown; of a text the first `max_tokens`
    count. The memory holds the tokenizer in the format of the `tokenizers` library.
    """
    column, size = settings.get("column", "text"), settings.get("vocabulary", 8000)
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(f"[{UNSPACED}]"), "isolated"),
            pre_tokenizers.Whitespace(),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=["[PAD]", "[UNK]"],
        show_progress=False,
        limit_alphabet=size // 2,
    )
    tokenizer.train_from_iterator((_readable(text) for text in rows[column]), trainer)
    spelled = json.loads(tokenizer.to_str())
    return {
        "column": column,
        "tokenizer": json.dumps(spelled, ensure_ascii=False, sort_keys=True, separators=(",", ":")),
        "vocabulary": tokenizer.get_vocab_size(),
        "max_tokens": settings.get("max_tokens", 256),
    }


def encode_tokens(rows: Rows, memory: Memory) -> Arrays:
    """Tokens of the text column: `tokens` int64 (rows, longest row), 0 where it is padding, and `lengths` int64 (rows,).

    A text without a single token is one unknown token, for a network needs something to read.
    """
    tokenizer = _tokenizer(memory["tokenizer"])
    most = memory["max_tokens"]
    # A token is at most as long as its text: what lies far beyond the last token that counts need not be read.
    encoded = tokenizer.encode_batch([_readable(text)[: most * 32] for text in rows[memory["column"]]])
    ids = [found.ids[:most] or [1] for found in encoded]
    lengths = np.array([len(row) for row in ids], np.int64)
    tokens = np.zeros((len(ids), int(lengths.max(initial=1))), np.int64)
    for place, row in enumerate(ids):
        tokens[place, : len(row)] = row
    return {"tokens": tokens, "lengths": lengths}


def _readable(text: object) -> str:
    """The text without lone surrogates, which no encoder can spell."""
    return str(text).encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=8)
def _tokenizer(spelled: str) -> Tokenizer:
    tokenizer = Tokenizer.from_str(spelled)
    # A text that spells a special token, such as "[PAD]", is text like any other. This setting is not kept in JSON.
    tokenizer.encode_special_tokens = True
    return tokenizer
