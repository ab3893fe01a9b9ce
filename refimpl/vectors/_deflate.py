"""A DEFLATE writer (RFC 1951) whose output depends on nothing but its input. Sections of the RFC stand in parentheses.

zlib, zlib-ng and their versions compress the same bytes differently, and golden files must come out the same everywhere. This one
uses integers only, and settles every tie. Any inflate reads it.

`_lz77` turns the bytes into tokens (4), `_huffman` makes the codes of a block (3.2.2), and this module writes the blocks (3.2.3).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

import numpy as np

from ..gradients import Array
from ..kernels.compiling import jit
from ._huffman import HuffmanCode, canonical_code, optimal_code
from ._lz77 import FARTHEST, LITERALS, LONGEST, SHORTEST, Tokens, tokenize

BLOCK = 1 << 20
"""Bytes of the input per compressed block. It bounds the memory that the search takes; shorter blocks repeat the codes more often."""

STORED_BLOCK = 0xFFFF
"""The most bytes that a stored block may have (3.2.4)."""

END_OF_BLOCK = 256
"""The literal/length symbol behind the last token of a block."""

NO_DISTANCE = 30
"""The distance symbol of a literal: one that never gets a code."""

CODE_LIMIT, CODE_LENGTH_LIMIT = 15, 7
"""The most bits that a code of each alphabet may have (3.2.7)."""


class Fields(NamedTuple):
    """Numbers in the order of the stream: of each value so many bits, the lowest first (3.1.1)."""

    values: Array
    widths: Array

    @property
    def bits(self) -> int:
        return int(self.widths.sum())


NO_FIELDS = Fields(np.zeros(0, np.int64), np.zeros(0, np.int64))


class Symbols(NamedTuple):
    """By number or distance of a token, its symbol and the extra bits behind the code of that (3.2.5)."""

    symbols: Array
    extra: Fields

    def encoded(self, keys: Array, code: HuffmanCode) -> Fields:
        """Code and extra bits for each of the keys."""
        symbols = self.symbols[keys]
        lengths = code.lengths[symbols]
        return Fields(code.codes[symbols] | self.extra.values[keys] << lengths, lengths + self.extra.widths[keys])

    def widths(self, code: HuffmanCode) -> Array:
        """How many bits each key takes."""
        return code.lengths[self.symbols] + self.extra.widths


class Counts(NamedTuple):
    """How often each symbol of the two alphabets occurs in a block."""

    literal_length: Array
    distance: Array


class Codes(NamedTuple):
    """The Huffman codes of the two alphabets."""

    literal_length: HuffmanCode
    distance: HuffmanCode


class Form(NamedTuple):
    """A form that a block may have: its BTYPE (3.2.3), its codes, and the tables in front of it that describe them."""

    type: int
    codes: Codes
    tables: Fields

    def bits(self, counts: Counts) -> int:
        """How many bits a block of these symbols takes, less the header and the extra bits, which are the same in every form."""
        return self.tables.bits + sum(int(count @ code.lengths) for count, code in zip(counts, self.codes))


def deflate(data: bytes) -> bytes:
    """The bytes as a DEFLATE stream: compressed, or stored where that is shorter."""
    return min(_compressed(data), _stored(data), key=len)


def _stored(data: bytes) -> bytes:
    """The bytes as they are, in stored blocks (3.2.4)."""
    pieces = [data[start : start + STORED_BLOCK] for start in _starts(data, STORED_BLOCK)]
    final = [False] * (len(pieces) - 1) + [True]
    return b"".join(struct.pack("<BHH", last, len(piece), len(piece) ^ 0xFFFF) + piece for last, piece in zip(final, pieces))


def _compressed(data: bytes) -> bytes:
    """The bytes in blocks with Huffman codes."""
    content = np.frombuffer(data, np.uint8)
    return _packed(chain.from_iterable(_block(content, start) for start in _starts(data, BLOCK)))


def _starts(data: bytes, size: int) -> range:
    """Where blocks of a size begin; no bytes are one block, too."""
    return range(0, max(len(data), 1), size)


def _block(content: Array, start: int) -> tuple[Fields, ...]:
    """The block of the bytes from `start` on, with the fixed codes or with codes of its own (dynamic), whichever takes fewer bits."""
    end = min(start + BLOCK, len(content))
    history = max(start - FARTHEST, 0)
    tokens = tokenize(content[history:end], start - history, TOKEN_BITS, DISTANCE_BITS)
    counts = _counts(tokens)
    codes = Codes(*(optimal_code(count, CODE_LIMIT) for count in counts))
    forms = Form(1, FIXED, NO_FIELDS), Form(2, codes, _tables(codes))
    form = min(forms, key=lambda form: form.bits(counts))
    header = _fields((end == len(content), 1), (form.type, 2))  # BFINAL, BTYPE
    return header, form.tables, _encoded(tokens, form.codes)


def _counts(tokens: Tokens) -> Counts:
    """The symbols of the tokens and of the end of the block."""
    literal_length = np.bincount(TOKENS.symbols[tokens.numbers], minlength=len(FIXED.literal_length.lengths))
    literal_length[END_OF_BLOCK] = 1
    distance = np.bincount(DISTANCES.symbols[tokens.distances], minlength=NO_DISTANCE + 1)
    distance[NO_DISTANCE] = 0
    return Counts(literal_length, distance)


def _encoded(tokens: Tokens, codes: Codes) -> Fields:
    """The literals and lengths, each with the distance that belongs to it, and the end of the block."""
    number, distance = TOKENS.encoded(tokens.numbers, codes.literal_length), DISTANCES.encoded(tokens.distances, codes.distance)
    code = codes.literal_length
    return Fields(
        np.append(number.values | distance.values << number.widths, code.codes[END_OF_BLOCK]),
        np.append(number.widths + distance.widths, code.lengths[END_OF_BLOCK]),
    )


def _tables(codes: Codes) -> Fields:
    """The lengths of both codes in one sequence, themselves coded (3.2.7)."""
    literal_lengths = codes.literal_length.lengths[: max(_used(codes.literal_length), 257)]
    distance_lengths = codes.distance.lengths[: max(_used(codes.distance), 1)]
    symbols, repeats = _runs(np.append(literal_lengths, distance_lengths))
    code = optimal_code(np.bincount(symbols, minlength=len(CODE_LENGTH_EXTRA)), CODE_LENGTH_LIMIT)
    lengths = code.lengths[CODE_LENGTH_ORDER]
    lengths = lengths[: max(int(np.flatnonzero(lengths)[-1]) + 1, 4)]
    head = _fields((len(literal_lengths) - 257, 5), (len(distance_lengths) - 1, 5), (len(lengths) - 4, 4))  # HLIT, HDIST, HCLEN
    width = code.lengths[symbols]
    return Fields(
        np.concatenate([head.values, lengths, code.codes[symbols] | repeats << width]),
        np.concatenate([head.widths, np.full(len(lengths), 3), width + CODE_LENGTH_EXTRA[symbols]]),
    )


def _used(code: HuffmanCode) -> int:
    """How many symbols there are up to the last that has a code."""
    return int(np.flatnonzero(code.lengths)[-1]) + 1 if code.lengths.any() else 0


@jit
def _runs(lengths):  # type: ignore[no-untyped-def]  # typed by the compiler
    """Code lengths as symbols of the code length alphabet (3.2.7), each with its extra bits.

    16 repeats the length before 3 to 6 times; 17 and 18 are 3 to 10 and 11 to 138 zeros.
    """
    symbols, extra = np.zeros(len(lengths), np.int64), np.zeros(len(lengths), np.int64)
    count = start = 0
    while start < len(lengths):
        length = lengths[start]
        again = start > 0 and lengths[start - 1] == length
        run = 1
        while start + run < len(lengths) and lengths[start + run] == length:
            run += 1
        if length == 0 and run >= 11:
            run = min(run, 138)
            symbols[count], extra[count] = 18, run - 11
        elif length == 0 and run >= 3:
            symbols[count], extra[count] = 17, run - 3
        elif again and run >= 3:
            run = min(run, 6)
            symbols[count], extra[count] = 16, run - 3
        else:
            run = 1
            symbols[count] = length
        start += run
        count += 1
    return symbols[:count], extra[:count]


def _packed(fields: Iterable[Fields]) -> bytes:
    """The fields one after the other, and zeros up to a whole byte."""
    values, widths = (np.concatenate(arrays) for arrays in zip(*fields))
    stream: Array = _pack(values, widths, np.zeros((int(widths.sum()) + 7) // 8, np.uint8))
    return stream.tobytes()


@jit
def _pack(values, widths, stream):  # type: ignore[no-untyped-def]  # typed by the compiler
    """Fill the stream, bytes from their lowest bit (3.1.1)."""
    waiting = bits = at = 0  # at most 7 bits of the fields before, and 48 of this one
    for k in range(len(values)):
        waiting |= values[k] << bits
        bits += widths[k]
        while bits >= 8:
            stream[at] = waiting & 0xFF
            waiting >>= 8
            bits -= 8
            at += 1
    if bits:
        stream[at] = waiting
    return stream


def _fields(*pairs: tuple[int, int]) -> Fields:
    """A field per pair (value, width)."""
    values, widths = np.array(pairs, np.int64).T
    return Fields(values, widths)


def _symbols(first: int, symbol: int, widths: Iterable[int], rest: int) -> Symbols:
    """A table of 3.2.5: consecutive symbols that stand for 2^width keys each, from `first` on; keys below it have the symbol `rest`."""
    rows = [(rest, 0, 0)] * first
    for width in widths:
        rows += [(symbol, extra, width) for extra in range(1 << width)]
        symbol += 1
    symbols, values, extra_widths = np.array(rows, np.int64).T.copy()
    return Symbols(symbols, Fields(values, extra_widths))


def _tokens() -> Symbols:
    """Bytes are their own symbols; lengths of matches have 257 to 285, of which the last has no extra bits."""
    lengths = _symbols(SHORTEST, 257, [0] * 8 + [extra for extra in range(1, 6) for _ in range(4)], rest=0)
    symbols = np.append(np.arange(LITERALS), lengths.symbols[: LONGEST + 1])
    extra = [np.append(np.zeros(LITERALS, np.int64), part[: LONGEST + 1]) for part in lengths.extra]
    symbols[-1], extra[0][-1], extra[1][-1] = 285, 0, 0
    return Symbols(symbols, Fields(*extra))


TOKENS = _tokens()
DISTANCES = _symbols(1, 0, [0] * 4 + [extra for extra in range(1, 14) for _ in range(2)], rest=NO_DISTANCE)

FIXED = Codes(canonical_code([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8), canonical_code([5] * NO_DISTANCE + [0]))
"""The codes of 3.2.6."""

TOKEN_BITS, DISTANCE_BITS = TOKENS.widths(FIXED.literal_length), DISTANCES.widths(FIXED.distance)

CODE_LENGTH_EXTRA = np.array([0] * 16 + [2, 3, 7])
CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
"""How many extra bits the symbols of the code length alphabet have, and in which order their lengths are written (3.2.7)."""
