"""The formats that a kernel stores: half precision is widened to float32 when it is read, and rounded when it is written.

Numba has neither float16 nor bfloat16 on a CPU. A kernel takes their bits as integers, whose type tells the format. The conversions are
a few operations on 32 bits, without a branch and the same on every CPU; a loop with them is vectorised.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ..gradients import Array


class Format(NamedTuple):
    """arithmetic: what a kernel computes in; bits: the integers that it takes the numbers as, None where it takes them as they are."""

    arithmetic: np.dtype[Any]
    bits: np.dtype[Any] | None = None


FORMATS: Mapping[np.dtype[Any], Format] = {
    np.dtype(np.float32): Format(np.dtype(np.float32)),
    np.dtype(np.float64): Format(np.dtype(np.float64)),
    np.dtype(np.float16): Format(np.dtype(np.float32), np.dtype(np.int16)),
    np.dtype(ml_dtypes.bfloat16): Format(np.dtype(np.float32), np.dtype(np.uint16)),
}
"""By dtype, in native byte order."""


def kernel_view(array: Array) -> Array:
    """The array as a kernel takes it: one of half precision as its bits, in the same memory."""
    bits = FORMATS[array.dtype].bits
    return array if bits is None else array.view(bits)


Builder = Any
Value = Any

WORD, SHORT, FLOAT = ir.IntType(32), ir.IntType(16), ir.FloatType()

REBIAS = (127 - 15) << 23
"""The difference between the exponents that float32 and float16 write for the same number, where a float32 has its exponent."""

MINUS_14, SIXTEEN, ONE_HALF = (127 - 14) << 23, (127 + 16) << 23, (127 - 1) << 23
"""2^-14, below which a float16 is subnormal, 2^16, from which on none is finite, and 0.5: the bits of the float32."""

INF = 0xFF << 23
"""The bits of an infinite float32, without its sign; those of nan are larger."""


def word(bits: int) -> Value:
    return ir.Constant(WORD, bits)


def from_bfloat16(b: Builder, bits: Value) -> Value:
    """Every bfloat16 is the first half of a float32."""
    return b.bitcast(b.shl(b.zext(bits, WORD), word(16)), FLOAT)


def to_bfloat16(b: Builder, number: Value) -> Value:
    """To nearest, ties to even; a carry out of the largest number makes it infinite."""
    bits = b.bitcast(number, WORD)
    size = b.and_(bits, word(0x7FFFFFFF))
    first_half = b.lshr(bits, word(16))
    odd = b.and_(first_half, word(1))
    rounded = b.lshr(
        b.add(bits, b.add(odd, word(0x7FFF))), word(16)
    )  # what is dropped carries if it is more than a half, or the tie is odd
    nan = b.or_(b.and_(first_half, word(0x8000)), word(0x7FC0))
    return b.trunc(b.select(b.icmp_unsigned(">", size, word(INF)), nan, rounded), SHORT)


def from_float16(b: Builder, bits: Value) -> Value:
    """A subnormal float16 is a whole multiple of 2^-24: a product, in which no subnormal float32 occurs that a CPU may take as zero."""
    wide = b.zext(bits, WORD)
    size = b.and_(wide, word(0x7FFF))
    rebased = b.add(b.shl(size, word(13)), word(REBIAS))
    normal = b.select(b.icmp_unsigned(">=", size, word(0x7C00)), b.add(rebased, word(REBIAS)), rebased)  # infinite, or nan
    subnormal = b.bitcast(b.fmul(b.sitofp(size, FLOAT), ir.Constant(FLOAT, 2.0**-24)), WORD)
    unsigned = b.select(b.icmp_unsigned("<", size, word(0x0400)), subnormal, normal)
    return b.bitcast(b.or_(unsigned, b.shl(b.and_(wide, word(0x8000)), word(16))), FLOAT)


def to_float16(b: Builder, number: Value) -> Value:
    """To nearest, ties to even; infinite from 65520 on. Below 2^-14, the sum with 0.5 rounds to a multiple of its last bit, 2^-24."""
    bits = b.bitcast(number, WORD)
    size = b.and_(bits, word(0x7FFFFFFF))
    odd = b.and_(b.lshr(size, word(13)), word(1))
    normal = b.lshr(b.add(b.sub(size, word(REBIAS)), b.add(odd, word(0x0FFF))), word(13))
    sum_with_half = b.fadd(b.bitcast(size, FLOAT), ir.Constant(FLOAT, 0.5))
    subnormal = b.sub(b.bitcast(sum_with_half, WORD), word(ONE_HALF))
    finite = b.select(b.icmp_unsigned("<", size, word(MINUS_14)), subnormal, normal)
    other = b.select(b.icmp_unsigned(">", size, word(INF)), word(0x7E00), word(0x7C00))
    unsigned = b.select(b.icmp_unsigned(">=", size, word(SIXTEEN)), other, finite)
    return b.trunc(b.or_(unsigned, b.and_(b.lshr(bits, word(16)), word(0x8000))), SHORT)


WIDEN: Mapping[Any, Callable[[Builder, Value], Value]] = {types.int16: from_float16, types.uint16: from_bfloat16}
NARROW: Mapping[Any, Callable[[Builder, Value], Value]] = {types.int16: to_float16, types.uint16: to_bfloat16}
"""The type of an array of bits to the conversion of an element."""


@intrinsic  # type: ignore[untyped-decorator]  # numba has no types
def read(_: Any, array: Any, at: Any) -> Any:
    """The number at a place of an array of floats, or of an array of bits."""
    widen = WIDEN.get(array.dtype)

    def generate(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        stored = context.get_function(operator.getitem, array.dtype(array, at))(builder, arguments)
        return widen(builder, stored) if widen else stored

    return (types.float32 if widen else array.dtype)(array, at), generate


@intrinsic  # type: ignore[untyped-decorator]
def write(_: Any, array: Any, at: Any, number: Any) -> Any:
    """array[at] <- number, a float32 that is rounded to the format where the array holds bits."""
    narrow = NARROW.get(array.dtype)

    def generate(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        place, value = arguments[:2], arguments[2]
        setitem = context.get_function(operator.setitem, types.void(array, at, array.dtype))
        return setitem(builder, (*place, narrow(builder, value) if narrow else value))

    return types.void(array, at, types.float32 if narrow else array.dtype), generate
