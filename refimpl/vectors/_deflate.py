"""A DEFLATE writer (RFC 1951) whose output depends on nothing but its input.

zlib, zlib-ng and their versions compress the same bytes differently, and golden files must come out the same everywhere. This
one emits a single block with the fixed Huffman code, and only literals and runs: matches at one distance per part. That is enough
for what vectors hold (padding, constants, rows that stay from step to step), and any inflate reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

LONGEST, SHORTEST, FARTHEST = 258, 3, 32768

SHORT = 256
"""Parts of up to so many bytes are remembered with their codes: the headers of arrays, which come again and again."""


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
    return _pack([_OPENING, *(_part(part, tuple(distances)) for part, distances in parts), _END_OF_BLOCK])


def _part(part: bytes, distances: tuple[int, ...]) -> Tokens:
    return (_repeated if len(part) <= SHORT else _tokens)(part, distances)


@dataclass(frozen=True)
class Matches:
    """Where matches at one distance start, in ascending order, their lengths, and the bits of the part with them."""

    distance: int
    at: Places
    length: Places
    bits: int


def _tokens(part: bytes, distances: tuple[int, ...]) -> Tokens:
    """The part as literals, and matches at the one of the distances that takes the fewest bits; the first one of equals."""
    data = np.frombuffer(part, np.uint8)
    wide = np.zeros(len(data) + 1, np.int32)
    np.cumsum(data >= _NINE_BITS, dtype=np.int32, out=wide[1:])  # literals of nine bits before each byte; all others have eight
    best = min((_matches(data, distance, wide) for distance in distances), key=lambda matches: matches.bits)
    at, length = best.at, best.length
    if not len(at):
        return Tokens(_LITERALS.value[data], _LITERALS.width[data])
    edges = np.zeros(len(data) + 1, np.int8)
    edges[at] += 1
    edges[at + length] -= 1
    coded = np.cumsum(edges[:-1], dtype=np.int8) == 0  # a byte inside a match has no code of its own
    coded[at] = True
    places = np.flatnonzero(coded)
    matched = np.searchsorted(places, at)
    byte = data[places]
    value, width = _LITERALS.value[byte], _LITERALS.width[byte]
    far = _distance(best.distance)
    value[matched] = _LENGTHS.value[length] | (far.value << _LENGTHS.width[length])
    width[matched] = _LENGTHS.width[length] + far.width
    return Tokens(value, width)


_repeated = lru_cache(maxsize=4096)(_tokens)  # most members of a file share a few headers


def _matches(data: npt.NDArray[np.uint8], distance: int, wide: npt.NDArray[np.int32]) -> Matches:
    """Each run of bytes that repeat those before, cut into pieces of 258. wide: (n + 1,), the literals of nine bits before each byte."""
    same = np.zeros(len(data) + 2, bool)
    np.equal(data[distance:], data[:-distance], out=same[1 + distance : -1])
    if not (same[1:-2] & same[2:-1] & same[3:]).any():  # what a small array mostly is; the rest costs more than this
        return Matches(distance, _NOWHERE, _NOWHERE, int(8 * len(data) + wide[-1]))
    edges = np.flatnonzero(same[1:] != same[:-1])
    start, run = edges[::2], edges[1::2] - edges[::2]
    long = run >= SHORTEST
    start, run = start[long], run[long]
    whole, rest = run // LONGEST, run % LONGEST
    ends = rest >= SHORTEST
    pieces = whole + ends
    piece = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)  # of its run
    at = np.repeat(start, pieces) + LONGEST * piece
    length = np.where(piece < np.repeat(whole, pieces), LONGEST, np.repeat(rest, pieces))
    literals = 8 * length.sum() + (wide[at + length] - wide[at]).sum(dtype=np.int64)  # bits of the literals that matches replace
    codes = _LENGTHS.width[length].sum() + len(at) * _distance(distance).bits
    return Matches(distance, at, length, int(8 * len(data) + wide[-1] - literals + codes))


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
_NOWHERE = np.zeros(0, np.int64)
_NINE_BITS = 144  # the first literal whose code has nine bits
_OPENING = _table([(0b011, 3)])  # the last block, fixed code
_END_OF_BLOCK = _table([_symbol(256)])
