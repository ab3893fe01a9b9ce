"""The LZ77 step of DEFLATE (RFC 1951, section 4): bytes as literals and as matches, pairs (length, distance) that repeat earlier bytes.

The choice is a shortest path: positions between bytes are nodes, a literal leads one byte on, a match as many as it is long, and an
edge weighs the bits that it takes under the fixed Huffman code. Dynamic codes, whose lengths are known only afterwards, take what is
best under the fixed one; a second search with their lengths saved 0.03 % of the golden vectors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..gradients import Array
from ..kernels.compiling import jit

SHORTEST, LONGEST = 3, 258
"""The lengths that a match may have."""

FARTHEST = 1 << 15
"""The largest distance of a match."""

LITERALS = 256
"""A token is numbered by its byte if it is a literal, and by LITERALS + length if it is a match."""

BUCKETS = 1 << 15
"""Of the hash table of three bytes."""

CANDIDATES = 32
"""Earlier positions that are tried for a match, the nearest first: with 16 the golden vectors take 0.1 % more, with 64 0.02 % less."""

LONG = 128
"""A match of so many bytes is taken whole, and none is looked for inside it: without this, repeated rows take 40 times as long."""


class Tokens(NamedTuple):
    """Literals and matches in the order of the stream. numbers: see LITERALS; distances: 0 for a literal."""

    numbers: Array
    distances: Array


def tokenize(data: Array, start: int, token_bits: Array, distance_bits: Array) -> Tokens:
    """The tokens for data[start:] that take the fewest bits; matches may reach back to what stands before it.

    token_bits: by the number of a token, without its distance; distance_bits: by distance.
    """
    lengths, distances = _shortest_path(data, start, token_bits, distance_bits)
    return Tokens(*_along(data[start:], lengths, distances))


@jit
def _shortest_path(data, start, token_bits, distance_bits):  # type: ignore[no-untyped-def]  # typed by the compiler
    """For each position from `start` on, the length and the distance (0: a literal) of the last token on the shortest path to it."""
    size = len(data) - start
    bits = np.full(size + 1, np.iinfo(np.int64).max)  # of the shortest path to each position that is known so far
    bits[0] = 0
    lengths, distances = np.zeros(size + 1, np.int32), np.zeros(size + 1, np.int32)
    newest = np.full(BUCKETS, -1, np.int32)  # the last position with each hash
    older = np.zeros(FARTHEST, np.int32)  # the position before with the same hash, by position modulo FARTHEST
    at = 0
    following = start  # the next position that the path is continued from
    while following < len(data):
        while at < following:
            if at + SHORTEST <= len(data):
                bucket = _hash(data, at)
                older[at % FARTHEST] = newest[bucket]
                newest[bucket] = at
            at += 1
        node = at - start
        total = bits[node] + token_bits[data[at]]
        if total < bits[node + 1]:
            bits[node + 1], lengths[node + 1], distances[node + 1] = total, 1, 0
        following = at + 1
        limit = min(LONGEST, len(data) - at)
        if limit < SHORTEST:
            continue
        longest = SHORTEST - 1
        candidate = newest[_hash(data, at)]
        for _ in range(CANDIDATES):
            distance = at - candidate
            if candidate < 0 or distance > FARTHEST or longest == limit:
                break
            if data[candidate + longest] == data[at + longest]:  # otherwise this match is no longer than the longest so far
                length = 0
                while length < limit and data[candidate + length] == data[at + length]:
                    length += 1
                for part in range(longest + 1 if length < LONG else length, length + 1):
                    total = bits[node] + token_bits[LITERALS + part] + distance_bits[distance]
                    if total < bits[node + part]:
                        bits[node + part], lengths[node + part], distances[node + part] = total, part, distance
                longest = max(longest, length)
                if longest >= LONG:
                    following = at + longest
                    break
            candidate = older[candidate % FARTHEST]
    return lengths, distances


@jit
def _hash(data, at):  # type: ignore[no-untyped-def]  # typed by the compiler
    """The bucket of the three bytes at a position."""
    return (np.int64(data[at]) << 10 ^ np.int64(data[at + 1]) << 5 ^ np.int64(data[at + 2])) % BUCKETS


@jit
def _along(data, lengths, distances):  # type: ignore[no-untyped-def]  # typed by the compiler
    """Numbers and distances of the tokens on the path, which is followed from its end."""
    count, end = 0, len(data)
    while end > 0:
        end -= lengths[end]
        count += 1
    numbers, chosen = np.zeros(count, np.int64), np.zeros(count, np.int64)
    end = len(data)
    for k in range(count - 1, -1, -1):
        start = end - lengths[end]
        numbers[k] = LITERALS + lengths[end] if distances[end] else data[start]
        chosen[k] = distances[end]
        end = start
    return numbers, chosen
