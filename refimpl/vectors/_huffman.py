"""Huffman codes as DEFLATE defines them (RFC 1951, section 3.2.2): canonical, of limited length, and determined by the counts alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..gradients import Array
from ..kernels.compiling import jit


class HuffmanCode(NamedTuple):
    """By symbol, its code and the number of bits in it; 0 for a symbol without a code.

    The first bit of a code stands lowest, since it enters the stream first (section 3.1.1); the RFC writes codes the other way round.
    """

    codes: Array
    lengths: Array


def optimal_code(counts: Array, limit: int) -> HuffmanCode:
    """The code that takes the fewest bits for symbols which occur so often, none of its codes longer than `limit` bits.

    Of symbols that occur equally often, the larger have the shorter codes. A single symbol has a code of one bit (section 3.2.7).
    `limit` bits must suffice to number the symbols.
    """
    used = np.flatnonzero(counts)
    order = used[np.argsort(counts[used], kind="stable")]
    lengths = np.zeros(len(counts), np.int64)
    lengths[order] = _package_merge(counts[order], limit)
    return canonical_code(lengths)


def canonical_code(lengths: Sequence[int] | Array) -> HuffmanCode:
    """The one code that section 3.2.2 derives from its lengths."""
    lengths = np.asarray(lengths, np.int64)
    return HuffmanCode(_canonical(lengths), lengths)


@jit
def _package_merge(weights, limit):  # type: ignore[no-untyped-def]  # typed by the compiler
    """The lengths of the optimal code for ascending weights, by package-merge (Larmore and Hirschberg 1990).

    Each level takes the items of the one before in pairs, and merges the pairs with the symbols by weight, symbols first. A symbol
    then has as many bits as there are levels at which it is among the 2n - 2 lightest items of the last level, or in a pair of those.
    """
    n = len(weights)
    lengths = np.ones(n, np.int64)
    if n <= 1:
        return lengths
    symbols = np.zeros((limit, 2 * n), np.int64)  # how many symbols are among the first k items of each list
    items, size = np.zeros(2 * n, np.int64), 0
    merged = np.zeros(2 * n, np.int64)
    for level in range(limit):
        symbol, pairs = 0, size // 2
        size = n + pairs
        for k in range(size):
            pair = k - symbol
            weight = items[2 * pair] + items[2 * pair + 1] if pair < pairs else 0
            if symbol < n and (pair == pairs or weights[symbol] <= weight):
                weight = weights[symbol]
                symbol += 1
            merged[k] = weight
            symbols[level, k + 1] = symbol
        items, merged = merged, items
    lengths[:] = 0
    taken = 2 * n - 2
    for level in range(limit - 1, -1, -1):
        among = symbols[level, taken]
        for symbol in range(among):
            lengths[symbol] += 1
        taken = 2 * (taken - among)
    return lengths


@jit
def _canonical(lengths):  # type: ignore[no-untyped-def]  # typed by the compiler
    """The codes in the three steps of section 3.2.2, the first bit of each lowest."""
    longest = 0
    for length in lengths:
        longest = max(longest, length)
    count = np.zeros(longest + 1, np.int64)
    for length in lengths:
        count[length] += length > 0
    next_code = np.zeros(longest + 1, np.int64)
    for length in range(1, longest + 1):
        next_code[length] = (next_code[length - 1] + count[length - 1]) << 1
    codes = np.zeros(len(lengths), np.int64)
    for symbol in range(len(lengths)):
        length = lengths[symbol]
        for k in range(length):
            codes[symbol] |= (next_code[length] >> k & 1) << length - 1 - k
        next_code[length] += 1
    return codes
