"""Messages as bytes, without code in them: JSON for the structure, and the arrays behind it as they lie in memory.

    MAGIC, 8 bytes length of the header, 8 bytes length of the body, header (JSON: the message, and dtype and shape of each array), body

A dataclass is written by its name, and only those that are known are read. Nothing is allocated before its size has been checked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from enum import Enum
from typing import Any, BinaryIO

import numpy as np

from ..arithmetic import numpy_dtype
from ..common.arrays import Array, coordinates
from ..gradients import is_element_gradient

MAGIC = b"refimpl2"
LENGTH_BYTES = 8
HEADER_LIMIT = 64 << 20

DTYPES = ("float16", "float32", "float64", "bfloat16", "bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
"""The dtypes of arrays that a message may hold."""


class ChannelError(Exception):
    """The bytes that were received are not a message."""


class Codec:
    """Writes and reads messages of these types. kinds: the dataclasses and enums that a message may hold."""

    def __init__(self, *kinds: type) -> None:
        self._kinds = {kind.__name__: kind for kind in kinds}

    def send(self, stream: BinaryIO, message: object) -> None:
        """Write one message, whole. Raises TypeError, with nothing written, for a message that holds what no message may."""
        arrays: list[Array] = []
        written = self._written(message, arrays)
        header = json.dumps([written, [[array.dtype.name, list(array.shape)] for array in arrays]]).encode("ascii")
        body = sum(array.nbytes for array in arrays)
        _write(stream, MAGIC + len(header).to_bytes(LENGTH_BYTES, "big") + body.to_bytes(LENGTH_BYTES, "big") + header)
        for array in arrays:
            _write(stream, array.tobytes())
        stream.flush()

    def receive(self, stream: BinaryIO, limit: int) -> Any:
        """Read one message whose arrays take at most `limit` bytes.

        Raises EOFError where the other side is gone, ChannelError for bytes that are not a message, and ImportError, after the whole
        message has been read, where this Python lacks the package of a dtype or of a form of gradient.
        """
        start = _exactly(stream, len(MAGIC) + 2 * LENGTH_BYTES)
        if not start.startswith(MAGIC):
            raise ChannelError(f"it begins with {start[:16]!r}")
        lengths = start[len(MAGIC) :]
        header_length, body_length = (int.from_bytes(lengths[k : k + LENGTH_BYTES], "big") for k in (0, LENGTH_BYTES))
        if header_length > HEADER_LIMIT or body_length > limit:
            raise ChannelError(f"a message of {header_length} and {body_length} bytes, where {HEADER_LIMIT} and {limit} are the most")
        header, body = _exactly(stream, header_length), _exactly(stream, body_length)
        try:
            written, described = json.loads(header)
            arrays = list(_arrays(described, body))
            return self._read(written, arrays)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError) as error:
            raise ChannelError(f"{type(error).__name__}: {error}") from None

    def _written(self, value: Any, arrays: list[Array]) -> Any:
        """A value as JSON: a plain value as it is, any other as an object whose only key is its kind."""
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, (np.ndarray, np.generic)):
            if value.dtype.name not in DTYPES:
                raise TypeError(f"an array of dtype {value.dtype} cannot be sent")
            arrays.append(np.asarray(value).astype(value.dtype.newbyteorder("="), copy=False))
            return {"array": len(arrays) - 1}
        if isinstance(value, (tuple, list)):
            return {"list" if isinstance(value, list) else "tuple": [self._written(entry, arrays) for entry in value]}
        if isinstance(value, Mapping):
            return {"mapping": [[self._written(key, arrays), self._written(entry, arrays)] for key, entry in value.items()]}
        kind = type(value).__name__
        if self._kinds.get(kind) is type(value):
            if isinstance(value, Enum):
                return {kind: value.name}
            return {kind: {field.name: self._written(getattr(value, field.name), arrays) for field in fields(value)}}  # type: ignore[arg-type]  # a dataclass, by the table
        if is_element_gradient(value):
            return {"elements": self._written((value.data, tuple(coordinates(value)), value.shape), arrays)}
        raise TypeError(f"a {type(value).__name__} cannot be sent")

    def _read(self, written: Any, arrays: list[Array]) -> Any:
        if not isinstance(written, dict):
            if isinstance(written, list):
                raise ValueError("a bare list")
            return written
        ((kind, value),) = written.items()
        if kind == "array":
            return arrays[_index(value, len(arrays))]
        if kind in ("tuple", "list"):
            entries = (self._read(entry, arrays) for entry in value)
            return tuple(entries) if kind == "tuple" else list(entries)
        if kind == "mapping":
            return {self._read(key, arrays): self._read(entry, arrays) for key, entry in value}
        if kind == "elements":
            return _elements(*self._read(value, arrays))
        known = self._kinds[kind]
        if issubclass(known, Enum):
            return known[value]
        return known(**{name: self._read(entry, arrays) for name, entry in value.items()})


def _index(value: Any, count: int) -> int:
    if type(value) is not int or not 0 <= value < count:
        raise ValueError(f"array {value!r} of {count}")
    return value


def _arrays(described: Any, body: bytearray) -> Iterator[Array]:
    """The arrays behind a header, as views of its body, which they must fill."""
    start = 0
    for name, shape in described:
        if name not in DTYPES or not all(type(length) is int and length >= 0 for length in shape):
            raise ValueError(f"an array of dtype {name!r} and shape {shape!r}")
        dtype = numpy_dtype(name)
        size = math.prod(shape) * dtype.itemsize
        if size > len(body) - start:
            raise ValueError("arrays beyond the end of the message")
        yield np.frombuffer(body, np.uint8, size, start).view(dtype).reshape(shape) if size else np.zeros(shape, dtype)
        start += size
    if start != len(body):
        raise ValueError("bytes behind the last array")


def _elements(data: Array, coords: tuple[Array, ...], shape: tuple[int, ...]) -> Any:
    from scipy.sparse import coo_array  # here, since only this form of gradient needs it

    made = coo_array(shape)
    made.data, made.coords = data, tuple(coords)  # as they are: a case may hold coordinates that scipy refuses
    return made


def _write(stream: BinaryIO, content: bytes) -> None:
    """Write all of it: a stream without a buffer may accept only a part at a time."""
    rest = memoryview(content)
    while rest:
        rest = rest[stream.write(rest) :]


def _exactly(stream: BinaryIO, count: int) -> bytearray:
    """Exactly `count` bytes, in a writeable buffer, since arrays are views of it. It grows as the bytes arrive."""
    content = bytearray()
    while len(content) < count:
        chunk = stream.read(min(count - len(content), 1 << 24))
        if not chunk:
            raise EOFError("the other side closed the channel")
        content += chunk
    return content
