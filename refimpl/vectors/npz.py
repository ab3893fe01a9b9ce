"""NPZ files: read with checks against hostile content, written so that the same arrays give the same bytes on every machine."""

from __future__ import annotations

import ast
import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..common.files import replace_file
from ..errors import VectorError
from ..gradients import Array
from .text import read_bytes

MEMBER_LIMIT = 64 << 20
FILE_LIMIT = 512 << 20
HEADER_LIMIT = 4096

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_MEMBER = re.compile(rf"{_PART}(/{_PART})*\.npy")
_DTYPE = re.compile(r"[<>|](f[248]|[iu][1248]|U[0-9]{1,6})")
_LOCAL, _CENTRAL, _END = "<4s5H3I2H", "<4s6H3I5H2I", "<4s4H2IH"
_STORED, _DEFLATED = 0, 8
_DOS_1980 = 0x21  # 1 January 1980: the earliest date that a zip can hold


def read_npz(file: Path) -> dict[str, Array]:
    """The arrays of an NPZ by member name, without `.npy`. Raises VectorError before anything suspect is unpacked.

    Refused: names that could leave a directory, members that are repeated, encrypted, truncated, larger than MEMBER_LIMIT or
    of another size than both the zip and the NPY header say, files larger than FILE_LIMIT, object and structured dtypes.
    """
    return unpack(read_bytes(file, FILE_LIMIT), file)


def unpack(content: bytes, file: object) -> dict[str, Array]:
    """`read_npz` of the bytes of a file; `file` names it in errors."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members, directory = archive.infolist(), archive.start_dir
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError, EOFError, IndexError, struct.error) as error:
        raise VectorError(file, "", f"is not a whole NPZ file: {error}", "it may be truncated; fetch or generate it again") from None
    if sum(member.file_size for member in members) > FILE_LIMIT:
        raise VectorError(file, "", f"would unpack to more than {FILE_LIMIT} bytes")
    arrays: dict[str, Array] = {}
    ends: list[tuple[int, int]] = []
    for member in members:
        name = member.filename.removesuffix(".npy")
        if not _MEMBER.fullmatch(member.orig_filename):
            raise VectorError(
                file, repr(member.orig_filename), "is not a name of a member", "names are made of a-z 0-9 _ . - and /, and end in .npy"
            )
        if name in arrays:
            raise VectorError(file, name, "is there twice")
        payload = _Payload(content, member, file, name)
        arrays[name] = _array(payload)
        ends.append((member.header_offset, payload.end))
    _refuse_hidden(content, sorted(ends), directory, file)
    return arrays


def _refuse_hidden(content: bytes, ends: Sequence[tuple[int, int]], directory: int, file: object) -> None:
    """Refuse a member that the zip's directory does not list: one changed bit there would silently remove an array."""
    starts = [*(start for start, _ in ends), directory]
    for before, after in zip([0, *(end for _, end in ends)], starts):
        if b"PK\3\4" in content[before:after]:
            raise VectorError(
                file, "", f"holds a member at byte {content.index(b'PK' + bytes((3, 4)), before)} that its directory does not list"
            )


class _Payload:
    """The bytes of one member, unpacked only as far as they are read."""

    def __init__(self, content: bytes, member: zipfile.ZipInfo, file: object, name: str) -> None:
        self.file, self.name, self.member = file, name, member
        if member.file_size > MEMBER_LIMIT:
            raise self.refuse(f"would unpack to {member.file_size} bytes, and at most {MEMBER_LIMIT} are read")
        if member.flag_bits & 1 or member.compress_type not in (_STORED, _DEFLATED):
            raise self.refuse("is encrypted or compressed with something else than DEFLATE")
        header = content[member.header_offset : member.header_offset + struct.calcsize(_LOCAL)]
        if len(header) < struct.calcsize(_LOCAL) or header[:4] != b"PK\3\4":
            raise self.refuse("has no local header")
        name_length, extra_length = struct.unpack(_LOCAL, header)[-2:]
        start = member.header_offset + len(header) + name_length + extra_length
        if content[start - extra_length - name_length : start - extra_length] != member.orig_filename.encode("utf-8", "surrogateescape"):
            raise self.refuse("has another name in its own header")
        self.end = start + member.compress_size
        self.packed = memoryview(content)[start : self.end]
        if len(self.packed) < member.compress_size or (member.compress_type == _STORED and len(self.packed) != member.file_size):
            raise self.refuse("is truncated")

    def refuse(self, reason: str) -> VectorError:
        return VectorError(self.file, self.name, reason)

    def head(self) -> bytes:
        """The first bytes, as many as a header may have: all of a small member, which is unpacked once."""
        if self.member.file_size <= HEADER_LIMIT:
            return self.whole()
        if self.member.compress_type == _STORED:
            return bytes(self.packed[:HEADER_LIMIT])
        return self._inflate(HEADER_LIMIT)[0]

    def whole(self) -> bytes:
        """All bytes: exactly as many as the zip declares, with the checksum that it declares."""
        if self.member.compress_type == _STORED:
            content, complete = bytes(self.packed), True
        else:
            content, complete = self._inflate(self.member.file_size + 1)
        if not complete or len(content) != self.member.file_size:
            raise self.refuse(f"does not unpack to the {self.member.file_size} bytes that the zip declares")
        if zlib.crc32(content) != self.member.CRC:
            raise self.refuse("is damaged: its checksum is wrong")
        return content

    def _inflate(self, limit: int) -> tuple[bytes, bool]:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            return stream.decompress(self.packed, limit), stream.eof
        except zlib.error as error:
            raise self.refuse(f"does not unpack: {error}") from None


def _array(payload: _Payload) -> Array:
    head = payload.head()
    try:
        dtype, fortran, shape, start = _header(head[: _header_length(head)])
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError, struct.error) as error:
        raise payload.refuse(f"is not an array that vectors may hold: {error}") from None
    needed = start + math.prod(shape) * dtype.itemsize
    if needed != payload.member.file_size:
        raise payload.refuse(f"its NPY header requires {needed} bytes, and the zip declares {payload.member.file_size}")
    content = head if len(head) == payload.member.file_size else payload.whole()
    flat = np.frombuffer(content, dtype, offset=start) if needed > start else np.zeros(math.prod(shape), dtype)
    array = flat.reshape(shape, order="F" if fortran else "C")
    return array if dtype.isnative and array.flags.aligned else np.require(array, dtype.newbyteorder("="), "A")


def _header_length(head: bytes) -> int:
    if head[:6] != b"\x93NUMPY" or len(head) < 12:
        raise ValueError("it does not start like an NPY file")
    length = 10 + struct.unpack_from("<H", head, 8)[0] if head[6] == 1 else 12 + struct.unpack_from("<I", head, 8)[0]
    if head[6] not in (1, 2, 3) or length > len(head):
        raise ValueError(f"NPY version {head[6]}, or a header of {length} bytes")
    return int(length)


@lru_cache(maxsize=1024)  # most members of a file share a few headers
def _header(head: bytes) -> tuple[np.dtype[Any], bool, tuple[int, ...], int]:
    fields = ast.literal_eval(head[10 if head[6] == 1 else 12 :].decode("latin-1").strip())
    if not isinstance(fields, dict) or fields.keys() != {"descr", "fortran_order", "shape"}:
        raise ValueError("its header is no mapping of descr, fortran_order and shape")
    descr, fortran, shape = fields["descr"], fields["fortran_order"], fields["shape"]
    if not isinstance(fortran, bool):
        raise ValueError(f"fortran_order {fortran!r}")
    if not isinstance(descr, str) or not _DTYPE.fullmatch(descr):
        raise ValueError(f"dtype {descr!r}; numbers and strings of fixed size are read, objects and records are not")
    if not isinstance(shape, tuple) or len(shape) > 32 or not all(type(n) is int and 0 <= n <= MEMBER_LIMIT for n in shape):
        raise ValueError(f"shape {shape!r}")
    if math.prod(n for n in shape if n) > MEMBER_LIMIT:
        raise ValueError(f"shape {shape!r} is too large")
    return np.dtype(descr), fortran, shape, len(head)


def write_npz(file: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays as an NPZ, all or nothing. Members are sorted by name; see `pack`."""
    write_atomically(file, pack(arrays))


def pack(arrays: Mapping[str, Array], compress: bool = True) -> bytes:
    """An NPZ as bytes that depend on the arguments alone: fixed dates, sorted members, no compressor but our own."""
    names = sorted(arrays)
    if len(names) > 0xFFFF:
        raise VectorError("NPZ", "", f"{len(names)} members do not fit into one file", "split the theme")
    out, directory, at = [], [], 0
    for name in names:
        array, head = _npy(np.asarray(arrays[name]))
        data = array.tobytes()
        if len(head) + len(data) > MEMBER_LIMIT:
            raise VectorError("NPZ", name, f"is larger than {MEMBER_LIMIT} bytes, and no reader would take it", "record fewer steps")
        plain = head + data
        packed = _deflated(plain) if compress else plain
        method, payload = (_DEFLATED, packed) if len(packed) < len(plain) else (_STORED, plain)
        path = f"{name}.npy".encode("ascii")
        common = (20, 0, method, 0, _DOS_1980, zlib.crc32(plain), len(payload), len(plain), len(path), 0)
        local = struct.pack(_LOCAL, b"PK\3\4", *common) + path
        directory.append(struct.pack(_CENTRAL, b"PK\1\2", 20, *common, 0, 0, 0, 0, at) + path)
        out += [local, payload]
        at += len(local) + len(payload)
    central = b"".join(directory)
    end = struct.pack(_END, b"PK\5\6", 0, 0, len(names), len(names), len(central), at, 0)
    return b"".join([*out, central, end])


def _deflated(content: bytes) -> bytes:
    from ._deflate import deflate  # its Numba is slow to import, is needed by no reader, and may be missing where results are judged

    return deflate(content)


def _npy(array: Array) -> tuple[Array, bytes]:
    """An array in the order of its bytes in an NPY, and the header."""
    array = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    shape = "(" + ", ".join(map(str, array.shape)) + ("," if array.ndim == 1 else "") + ")"
    fields = f"{{'descr': '{array.dtype.str}', 'fortran_order': False, 'shape': {shape}, }}"
    if not _DTYPE.fullmatch(array.dtype.str):
        raise TypeError(f"dtype {array.dtype} cannot be written")
    padded = fields.encode("ascii").ljust(-(len(fields) + 11) % 64 + len(fields)) + b"\n"
    return array, b"\x93NUMPY\1\0" + struct.pack("<H", len(padded)) + padded


def write_atomically(file: Path, content: bytes) -> None:
    """Write a file of a vector directory, readable by all, whole or not at all; missing directories are made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_file(file, content, 0o644)
