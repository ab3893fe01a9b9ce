"""refimpl.vectors._deflate: any inflate reads it, and its bytes depend on the input alone."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.vectors._deflate import deflate

runs = st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.integers(1, 700)), max_size=8)
patches = runs.map(lambda pieces: b"".join(piece * count for piece, count in pieces))


def inflate(stream: bytes) -> bytes:
    """What zlib makes of it; the stream must end where it says."""
    reader = zlib.decompressobj(-zlib.MAX_WBITS)
    content = reader.decompress(stream)
    assert reader.eof
    assert not reader.unused_data
    return content


@given(
    st.lists(
        st.tuples(st.binary(max_size=400) | patches, st.lists(st.integers(1, 32768) | st.sampled_from([1, 4, 8]), min_size=1, max_size=3)),
        max_size=3,
    )
)
def test_zlib_reads_back_what_was_written(parts):
    assert inflate(deflate(parts)) == b"".join(part for part, _ in parts)


@pytest.mark.parametrize("length", [*range(12), *range(255, 270), *range(514, 522), 1000])
@pytest.mark.parametrize("distance", [1, 4, 8])
def test_runs_of_every_awkward_length_come_back(length, distance):
    data = b"12345678" + bytes(length) + b"end"
    assert inflate(deflate([(data, (distance,))])) == data


@pytest.mark.parametrize("distance", [1, 4, 5, 6, 7, 8, 9, 12, 13, 256, 257, 24576, 24577, 32768])
def test_every_class_of_distance_comes_back(distance):
    block = np.arange(distance, dtype=np.uint32).astype(np.uint8).tobytes()
    data = block * 2 + block[:5]
    assert inflate(deflate([(data, (distance,))])) == data


def test_the_best_distance_is_chosen():
    data = bytes(range(24)) * 50
    assert deflate([(data, (8, 24))]) == deflate([(data, (24,))])
    assert len(deflate([(data, (24,))])) < len(data) / 10


def test_a_nearly_constant_array_becomes_small():
    array = np.full(100_000, 1.5)
    array[::5000] = np.arange(20)
    stream = deflate([(array.tobytes(), (8,))])
    assert inflate(stream) == array.tobytes()
    assert len(stream) < array.nbytes / 100


def test_the_bytes_are_these():
    # Worked out by hand from RFC 1951: 3 bits 011, 'a' 10010001 from the left, a match of 3 at distance 1, end of block.
    assert deflate([(b"aaaa", (1,))]).hex() == "4b040200"
