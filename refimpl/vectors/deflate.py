"""A DEFLATE writer (RFC 1951) whose output depends on nothing but its input.

zlib, zlib-ng and their versions compress the same bytes differently, and golden files must come out the same everywhere. This
one emits a single block with the fixed Huffman code, and only literals and runs: matches at one distance per part. That is enough
for what vectors hold (padding, constants, rows that stay from step to step), and any inflate reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

LONGEST, SHORTEST, FARTHEST = 258, 3, 32768


@dataclass(frozen=True)
class Tokens:
    """Codes in the order of the stream: `value` holds `width` bits, the first of them lowest."""

    value: Bits
    width: Bits

    @property
    def bits(self) -> int:
        return int(self.width.sum())


def deflate(parts: Sequence[tuple[bytes, Sequence[int]]]) -> bytes:
    """The DEFLATE stream of the parts one after the other; each has distances to choose from, of which the best is taken.

    A match never reaches into an earlier part. The distances must lie between 1 and 32768.
    """
    return _pack([_OPENING, *(_tokens(part, distances) for part, distances in parts), _END_OF_BLOCK])


def _tokens(part: bytes, distances: Sequence[int]) -> Tokens:
    """The part as literals, and matches at the one of the distances that takes the fewest bits; the first one of equals."""
    data = np.frombuffer(part, np.uint8)
    widths = np.concatenate([_NO_BITS, np.cumsum(_LITERALS.width[data])])  # of the literals before each byte
    matches = {distance: _matches(data, distance) for distance in distances}
    best = min(distances, key=lambda distance: _bits(widths, distance, *matches[distance]))
    at, length = matches[best]
    edges = np.zeros(len(data) + 1, np.int8)
    edges[at] += 1
    edges[at + length] -= 1
    alone = np.flatnonzero(np.cumsum(edges[:-1], dtype=np.int8) == 0)  # a byte inside a match has no code of its own
    far = _distance(best)
    value = np.concatenate([_LITERALS.value[data[alone]], _LENGTHS.value[length] | (far.value << _LENGTHS.width[length])])
    width = np.concatenate([_LITERALS.width[data[alone]], _LENGTHS.width[length] + far.width])
    order = np.argsort(np.concatenate([alone, at]), kind="stable")
    return Tokens(value[order], width[order])


def _bits(widths: Bits, distance: int, at: Places, length: Places) -> int:
    """The bits of a part with these matches. widths: (n + 1,), those of the literals before each byte and before the end."""
    inside = (widths[at + length] - widths[at]).sum()
    return int(widths[-1] - inside + _LENGTHS.width[length].sum()) + len(at) * _distance(distance).bits


def _matches(data: npt.NDArray[np.uint8], distance: int) -> tuple[Places, Places]:
    """Where matches start, and their lengths: each run of bytes that repeat those before, cut into pieces of 258."""
    same = np.zeros(len(data) + 2, np.int8)
    same[1 + distance : -1] = data[distance:] == data[:-distance]
    edges = np.flatnonzero(np.diff(same))
    start, run = edges[::2], edges[1::2] - edges[::2]
    whole, rest = run // LONGEST, run % LONGEST
    first = np.repeat(np.cumsum(whole) - whole, whole)
    at = np.repeat(start, whole) + LONGEST * (np.arange(whole.sum()) - first)
    ends = rest >= SHORTEST
    return (
        np.concatenate([at, (start + LONGEST * whole)[ends]]),
        np.concatenate([np.full(len(at), LONGEST, np.int64), rest[ends]]),
    )


def _pack(chosen: Sequence[Tokens]) -> bytes:
    value = np.concatenate([tokens.value for tokens in chosen])
    width = np.concatenate([tokens.width for tokens in chosen])
    end = np.cumsum(width)
    start = end - width
    word = (start >> np.uint64(5)).astype(np.int64)
    shifted = value << (start & np.uint64(31))  # at most 31 + 31 bits
    # Codes share no bits, so that adding is or-ing, and sums below 2^32 are exact in the doubles of bincount.
    count = int(word[-1]) + 2
    low = np.bincount(word, (shifted & np.uint64(0xFFFFFFFF)).astype(np.float64), count)
    high = np.bincount(word + 1, (shifted >> np.uint64(32)).astype(np.float64), count)
    return (low + high).astype("<u4").tobytes()[: (int(end[-1]) + 7) // 8]


def _table(pairs: Sequence[tuple[int, int]]) -> Tokens:
    return Tokens(np.array([value for value, _ in pairs], np.uint64), np.array([width for _, width in pairs], np.uint64))


def _huffman(code: int, width: int) -> tuple[int, int]:
    """A Huffman code as a value: it enters the stream from its highest bit, unlike every other number."""
    return int(f"{code:0{width}b}"[::-1], 2), width


def _symbol(symbol: int) -> tuple[int, int]:
    """A literal or length symbol in the fixed code (RFC 1951, 3.2.6)."""
    for first, after, base, width in ((0, 144, 0x30, 8), (144, 256, 0x190, 9), (256, 280, 0, 7), (280, 288, 0xC0, 8)):
        if first <= symbol < after:
            return _huffman(base + symbol - first, width)
    raise ValueError(symbol)


def _ranges(widths: Sequence[int], start: int) -> list[tuple[int, int]]:
    """(base, extra bits) of consecutive codes that cover 2^extra numbers each."""
    bases = [start]
    for width in widths[:-1]:
        bases.append(bases[-1] + (1 << width))
    return list(zip(bases, widths))


_LENGTH_CODES = _ranges([0] * 8 + [extra for extra in range(1, 6) for _ in range(4)], SHORTEST)
_DISTANCE_CODES = _ranges([0] * 4 + [extra for extra in range(1, 14) for _ in range(2)], 1)


def _length(length: int) -> tuple[int, int]:
    if length < SHORTEST:
        return 0, 0
    if length == LONGEST:  # has a code of its own, 285
        return _symbol(285)
    code = max(k for k, (base, _) in enumerate(_LENGTH_CODES) if base <= length)
    base, extra = _LENGTH_CODES[code]
    value, width = _symbol(257 + code)
    return value | (length - base) << width, width + extra


@cache
def _distance(distance: int) -> Tokens:
    code = max(k for k, (base, _) in enumerate(_DISTANCE_CODES) if base <= distance)
    base, extra = _DISTANCE_CODES[code]
    value, width = _huffman(code, 5)
    return _table([(value | (distance - base) << width, width + extra)])


_LITERALS = _table([_symbol(byte) for byte in range(256)])
_LENGTHS = _table([_length(length) for length in range(LONGEST + 1)])
_NO_BITS = np.zeros(1, np.uint64)
_OPENING = _table([(0b011, 3)])  # the last block, fixed code
_END_OF_BLOCK = _table([_symbol(256)])
