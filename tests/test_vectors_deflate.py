"""refimpl.vectors._deflate, _lz77 and _huffman: any inflate reads the stream, its bytes depend on the input alone, and it is short."""

import hashlib
import heapq
import itertools
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refimpl.gradients import Array
from refimpl.vectors import _deflate, _huffman, _lz77
from refimpl.vectors._deflate import BLOCK, DISTANCE_BITS, DISTANCES, FIXED, STORED_BLOCK, TOKEN_BITS, TOKENS, deflate
from refimpl.vectors._huffman import canonical_code, optimal_code
from refimpl.vectors._lz77 import FARTHEST, LITERALS, LONG, LONGEST, SHORTEST, Tokens, tokenize
from refimpl.vectors.npz import pack

runs = st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.integers(1, 700)), max_size=8)
patches = runs.map(lambda pieces: b"".join(piece * count for piece, count in pieces))
skewed = st.lists(st.sampled_from([0] * 20 + [1] * 5 + list(range(256))), max_size=2000).map(bytes)
contents = st.binary(max_size=400) | patches | skewed


def noise(count: int, seed: int = 1) -> bytes:
    """Bytes that are the same with every version of NumPy: those of SHA-256 in counter mode."""
    blocks = (hashlib.sha256(f"{seed} {k}".encode()).digest() for k in range(count // 32 + 1))
    return b"".join(blocks)[:count]


def rows(count: int, width: int, patterns: int) -> Array:
    """Rows of float32 noise, of which `patterns` are different."""
    table = np.frombuffer(noise(patterns * width * 2), np.uint16).reshape(patterns, width) / np.float32(65536)
    return table[np.arange(count) % patterns].astype(np.float32)


def sparse(count: int) -> Array:
    """Mostly zeros."""
    numbers = np.zeros(count)
    numbers[::5000] = np.arange(len(numbers[::5000]))
    return numbers


HEADER = b"\x93NUMPY\1\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }".ljust(127) + b"\n"

KINDS = {
    "nothing": b"",
    "one byte": b"x",
    "a small member": HEADER + rows(2, 3, 2).tobytes(),
    "noise": noise(8000),
    "constant": np.full(1000, 3.5).tobytes(),
    "sparse": sparse(100_000).tobytes(),
    "rows that repeat": HEADER + rows(3000, 8, 13).tobytes(),
    "steps that repeat": HEADER + np.repeat(rows(20, 3, 20)[None], 30, axis=0).tobytes(),
    "indices": HEADER + np.arange(0, 70_000, 7, dtype=np.int64).tobytes(),
    "few values": (np.frombuffer(noise(5000), np.uint8) % 5).astype(np.float32).tobytes(),
    "longer than a stored block": noise(STORED_BLOCK + 10),
    "two blocks": noise(300) * 4000,
}
"""What vectors hold, and the ends of the range of inputs."""


def inflate(stream: bytes) -> bytes:
    """What zlib makes of it; the stream must end where it says."""
    reader = zlib.decompressobj(-zlib.MAX_WBITS)
    content = reader.decompress(stream)
    assert reader.eof
    assert not reader.unused_data
    return content


def stored_size(size: int) -> int:
    """The length of a stream that only stores, with a header of five bytes for each block."""
    return size + 5 * max(1, -(-size // STORED_BLOCK))


def tokens_of(data: bytes) -> Tokens:
    return tokenize(np.frombuffer(data, np.uint8), 0, TOKEN_BITS, DISTANCE_BITS)


def block_type(stream: bytes) -> int:
    return stream[0] >> 1 & 3


@given(contents)
@example(b"")
@example(b"a")
@settings(deadline=None)
def test_zlib_reads_back_what_was_written_and_it_is_no_longer_than_stored(data: bytes) -> None:
    stream = deflate(data)
    assert inflate(stream) == data
    assert len(stream) <= stored_size(len(data))
    assert deflate(data) == stream


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_content_comes_back(kind: str) -> None:
    stream = deflate(KINDS[kind])
    assert inflate(stream) == KINDS[kind]
    assert len(stream) <= stored_size(len(KINDS[kind]))
    assert deflate(bytes(bytearray(KINDS[kind]))) == stream


@pytest.mark.parametrize("length", [*range(12), *range(127, 131), *range(255, 270), *range(514, 522), 1000])
@pytest.mark.parametrize("distance", [1, 4, 8])
def test_runs_of_every_awkward_length_come_back(length: int, distance: int) -> None:
    data = b"12345678"[:distance] * 2 + (b"12345678"[:distance] * length)[:length] + b"end"
    assert inflate(deflate(data)) == data


@pytest.mark.parametrize("distance", [3, 4, 5, 6, 7, 8, 9, 12, 13, 256, 257, 24576, 24577, FARTHEST - 1, FARTHEST])
def test_every_class_of_distance_comes_back(distance: int) -> None:
    data = noise(distance) * 2
    stream = deflate(data)
    assert inflate(stream) == data
    assert len(stream) < distance + distance / 50 + 20  # the second half is matches


def test_nothing_is_looked_for_beyond_the_window() -> None:
    data = noise(FARTHEST + 1) * 2
    assert len(deflate(data)) == stored_size(len(data))


@pytest.mark.parametrize("size", [STORED_BLOCK - 1, STORED_BLOCK, STORED_BLOCK + 1, 2 * STORED_BLOCK + 1])
def test_noise_is_stored_in_as_few_blocks_as_possible(size: int) -> None:
    stream = deflate(noise(size))
    assert inflate(stream) == noise(size)
    assert len(stream) == stored_size(size)


@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + FARTHEST, 3 * BLOCK - 2])
def test_a_match_may_lie_in_the_block_before(size: int) -> None:
    data = (noise(20_000) * (size // 20_000 + 1))[:size]
    stream = deflate(data)
    assert inflate(stream) == data
    assert len(stream) < 20_000 + size / 20


@pytest.mark.parametrize(("kind", "type"), [("noise", 0), ("a small member", 1), ("few values", 2)])
def test_the_shortest_form_of_a_block_is_chosen(kind: str, type: int) -> None:
    assert block_type(deflate(KINDS[kind])) == type


def test_a_distance_code_of_one_symbol_and_one_of_none_come_back() -> None:
    constant = bytes(300_000) + b"\x01"
    assert set(tokens_of(constant).distances) == {0, 1}
    assert inflate(deflate(constant)) == constant
    assert block_type(deflate(constant)) == 2
    without = bytes(byte % 120 for byte in noise(400))
    assert set(tokens_of(without).distances) == {0}
    assert inflate(deflate(without)) == without
    assert block_type(deflate(without)) == 2


def test_a_code_that_the_limit_shortens_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = [1, 1]
    while len(counts) < 20:
        counts.append(counts[-1] + counts[-2])  # Fibonacci numbers make the longest Huffman codes
    letters = np.repeat(np.arange(20, dtype=np.uint8), counts)
    data = letters[np.argsort(np.frombuffer(noise(8 * len(letters)), np.uint64))].tobytes()
    unlimited = deflate(data)
    monkeypatch.setattr(_deflate, "CODE_LIMIT", 9)
    assert inflate(deflate(data)) == data
    assert block_type(unlimited) == block_type(deflate(data)) == 2
    assert len(unlimited) < len(deflate(data)) < 1.05 * len(unlimited)


def test_four_equal_bytes_have_the_fixed_block_of_the_rfc() -> None:
    # Worked out by hand from RFC 1951: 3 bits 011, 'a' 10010001 from the left, a match of 3 at distance 1, end of block.
    assert deflate(b"aaaa").hex() == "4b040200"


PINNED = {
    "nothing": "9b4fb24e",
    "a small member": "e6244529",
    "sparse": "b6e8c3eb",
    "rows that repeat": "79421af0",
    "steps that repeat": "333b1ff2",
    "indices": "2dd9cfb1",
    "few values": "4fe255b1",
    "two blocks": "88143d63",
}
"""The start of the SHA-256 of the stream: the bytes must stay the same from release to release, on every machine."""


@pytest.mark.parametrize("kind", PINNED)
def test_the_bytes_stay_the_same(kind: str) -> None:
    assert hashlib.sha256(deflate(KINDS[kind])).hexdigest()[:8] == PINNED[kind]


FIXED_CODE_ALONE = {
    "a small member": 99,
    "constant": 65,
    "sparse": 5543,
    "rows that repeat": 1429,
    "steps that repeat": 385,
    "indices": 27164,
    "few values": 12922,
}
"""Sizes with the fixed code alone, and matches at the best one of the distances at which an array repeats: an earlier writer's."""


@pytest.mark.parametrize("kind", FIXED_CODE_ALONE)
def test_no_kind_is_larger_than_with_the_fixed_code_and_one_distance(kind: str) -> None:
    assert len(deflate(KINDS[kind])) <= FIXED_CODE_ALONE[kind]


@pytest.mark.parametrize(
    ("shape", "dtype", "limit"), [((66_000, 1), "<f4", 5_000), ((2, 66_000, 1), "<f8", 24_000), ((4, 2, 66_000, 1), "<f4", 40_000)]
)
def test_66000_rows_of_251_patterns_are_a_few_kilobytes(shape: tuple[int, ...], dtype: str, limit: int) -> None:
    table = np.broadcast_to(rows(66_000, 1, 251), shape).astype(dtype)
    assert len(pack({"a/param.w": table})) < limit


def test_stacked_bounds_that_are_the_same_in_every_class_are_stored_once() -> None:
    bounds = rows(60, 5, 60).reshape(1, 3, 20, 5).repeat(4, axis=0)
    assert len(pack({"a/bound.param.w": bounds})) < bounds.nbytes / 2


@given(contents.filter(lambda data: len(data) < 1500))
@settings(deadline=None, max_examples=15)
def test_python_computes_the_same_bytes_as_the_compiled_functions(data: bytes) -> None:
    expected = deflate(data)
    with pytest.MonkeyPatch.context() as patch:
        for module, names in COMPILED.items():
            for name in names:
                patch.setattr(module, name, getattr(module, name).py_func)
        assert deflate(data) == expected


COMPILED = {
    _deflate: ("_runs", "_pack"),
    _huffman: ("_package_merge", "_canonical"),
    _lz77: ("_shortest_path", "_hash", "_along"),
}


# Matches


def bits_of(tokens: Tokens) -> int:
    return int(TOKEN_BITS[tokens.numbers].sum() + DISTANCE_BITS[tokens.distances].sum())


def fewest_bits(data: bytes) -> int:
    """By trying every token at every position, from the end."""
    fewest = [0] * (len(data) + 1)
    for at in range(len(data) - 1, -1, -1):
        totals = [TOKEN_BITS[data[at]] + fewest[at + 1]]
        for distance in range(1, at + 1):
            length = 0
            while at + length < len(data) and data[at + length] == data[at + length - distance]:
                length += 1
                if length >= SHORTEST:
                    totals.append(TOKEN_BITS[LITERALS + length] + DISTANCE_BITS[distance] + fewest[at + length])
        fewest[at] = min(totals)
    return fewest[0]


@given(st.text("ab", max_size=30) | st.text("abc\xff", max_size=90))
@settings(deadline=None)
def test_no_choice_of_tokens_takes_fewer_bits(text: str) -> None:
    data = text.encode("latin-1")
    assert bits_of(tokens_of(data)) == fewest_bits(data)


@given(contents, st.integers(0, 400))
@settings(deadline=None)
def test_tokens_expand_to_the_data(data: bytes, start: int) -> None:
    start = min(start, len(data))
    content = bytearray(data[:start])
    for number, distance in zip(*(part.tolist() for part in tokenize(np.frombuffer(data, np.uint8), start, TOKEN_BITS, DISTANCE_BITS))):
        if distance:
            assert SHORTEST <= number - LITERALS <= LONGEST
            for _ in range(number - LITERALS):
                content.append(content[-distance])
        else:
            content.append(number)
    assert bytes(content) == data


def test_a_long_match_is_taken_whole() -> None:
    tokens = tokens_of(noise(LONG + 50) * 2)
    assert tokens.numbers[-1] == LITERALS + LONG + 50
    assert tokens.distances[-1] == LONG + 50


# Huffman codes

counts = st.lists(st.integers(0, 40) | st.integers(0, 10**6), min_size=1, max_size=60)


def cost(numbers: Sequence[int], lengths: Iterable[int]) -> int:
    return sum(number * int(length) for number, length in zip(numbers, lengths))


def huffman_cost(numbers: Sequence[int]) -> int:
    """The bits that Huffman's own algorithm takes, with codes of any length."""
    heap = [number for number in numbers if number]
    heapq.heapify(heap)
    total = 0
    while len(heap) > 1:
        pair = heapq.heappop(heap) + heapq.heappop(heap)
        total += pair
        heapq.heappush(heap, pair)
    return total


@given(counts)
@settings(deadline=None)
def test_with_room_enough_the_code_is_as_short_as_huffmans(numbers: list[int]) -> None:
    lengths = optimal_code(np.array(numbers), 60).lengths
    assert [length > 0 for length in lengths] == [number > 0 for number in numbers]
    if sum(number > 0 for number in numbers) > 1:
        assert cost(numbers, lengths) == huffman_cost(numbers)
        assert sum(2.0 ** -int(length) for length in lengths if length) == 1


@given(st.lists(st.integers(1, 500), min_size=2, max_size=6), st.integers(3, 4))
@settings(deadline=None)
def test_with_a_limit_no_prefix_code_is_shorter(numbers: list[int], limit: int) -> None:
    lengths = optimal_code(np.array(numbers), limit).lengths
    assert lengths.max() <= limit
    choices = itertools.product(range(1, limit + 1), repeat=len(numbers))
    assert cost(numbers, lengths) == min(cost(numbers, choice) for choice in choices if sum(2.0**-length for length in choice) <= 1)


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=286), st.sampled_from([9, 15]))
@example([2**k for k in range(40)], 15)
@settings(deadline=None)
def test_the_limit_is_kept_and_the_code_is_complete(numbers: list[int], limit: int) -> None:
    lengths = optimal_code(np.array(numbers), limit).lengths
    assert lengths.max() <= limit
    if sum(number > 0 for number in numbers) > 1:
        assert sum(2.0 ** -int(length) for length in lengths if length) == 1


@pytest.mark.parametrize(("numbers", "lengths"), [([0, 0], [0, 0]), ([0, 7, 0], [0, 1, 0]), ([1, 1, 1], [2, 2, 1]), ([1, 1, 2], [2, 2, 1])])
def test_few_symbols_and_ties_have_these_lengths(numbers: list[int], lengths: list[int]) -> None:
    assert optimal_code(np.array(numbers), 15).lengths.tolist() == lengths


def test_the_canonical_code_is_that_of_the_rfc() -> None:
    code = canonical_code([3, 3, 3, 3, 3, 2, 4, 4])  # the example of 3.2.2
    words = [f"{bits:0{length}b}"[::-1] for bits, length in zip(code.codes.tolist(), code.lengths.tolist())]
    assert words == ["010", "011", "100", "101", "110", "00", "1110", "1111"]


@pytest.mark.parametrize(
    ("symbol", "word"),
    [
        (0, "00110000"),
        (143, "10111111"),
        (144, "110010000"),
        (255, "111111111"),
        (256, "0000000"),
        (279, "0010111"),
        (280, "11000000"),
        (287, "11000111"),
    ],
)
def test_the_fixed_code_is_that_of_the_rfc(symbol: int, word: str) -> None:
    code = FIXED.literal_length
    assert f"{code.codes[symbol]:0{code.lengths[symbol]}b}"[::-1] == word


# The tables of 3.2.5


@pytest.mark.parametrize(
    ("length", "symbol", "width", "extra"),
    [
        (3, 257, 0, 0),
        (10, 264, 0, 0),
        (11, 265, 1, 0),
        (12, 265, 1, 1),
        (130, 280, 4, 15),
        (131, 281, 5, 0),
        (257, 284, 5, 30),
        (258, 285, 0, 0),
    ],
)
def test_lengths_have_the_symbols_of_the_rfc(length: int, symbol: int, width: int, extra: int) -> None:
    key = LITERALS + length
    assert (TOKENS.symbols[key], TOKENS.extra.widths[key], TOKENS.extra.values[key]) == (symbol, width, extra)


@pytest.mark.parametrize(
    ("distance", "symbol", "width", "extra"),
    [
        (1, 0, 0, 0),
        (4, 3, 0, 0),
        (5, 4, 1, 0),
        (6, 4, 1, 1),
        (257, 16, 7, 0),
        (24576, 28, 13, 8191),
        (24577, 29, 13, 0),
        (32768, 29, 13, 8191),
    ],
)
def test_distances_have_the_symbols_of_the_rfc(distance: int, symbol: int, width: int, extra: int) -> None:
    assert (DISTANCES.symbols[distance], DISTANCES.extra.widths[distance], DISTANCES.extra.values[distance]) == (symbol, width, extra)
