"""refimpl.vectors.npz: hostile and broken files are refused before they are unpacked; the same arrays give the same bytes."""

import io
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refimpl.errors import VectorError
from refimpl.vectors import npz
from refimpl.vectors.npz import pack, read_npz, unpack, write_npz

dtypes = st.sampled_from(["<f2", "<f4", "<f8", "<i4", "<i8", "|u1"])
arrays = dtypes.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_dims=4)))
names = st.from_regex(r"[a-z0-9]{1,4}/[a-zA-Z_][a-z0-9_.-]{0,9}", fullmatch=True)


def member(name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def headed(fields: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(fields)) + fields.encode() + data


@given(st.dictionaries(names, arrays, max_size=5))
@settings(deadline=None)  # the first example compiles the writer
def test_arrays_come_back_bit_for_bit(members: dict[str, np.ndarray]) -> None:
    got = unpack(pack(members), "x")
    assert sorted(got) == sorted(members)
    for name, array in members.items():
        assert got[name].dtype == array.dtype
        assert got[name].shape == array.shape
        assert got[name].tobytes() == array.tobytes()


@given(st.dictionaries(names, arrays, max_size=5))
@settings(deadline=None)  # the first example compiles the writer
def test_numpy_and_zipfile_read_what_is_written(members: dict[str, np.ndarray]) -> None:
    content = pack(members)
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None
    with np.load(io.BytesIO(content)) as loaded:
        assert sorted(loaded.files) == sorted(members)
        for name, array in members.items():
            assert loaded[name].tobytes() == array.tobytes()


@given(st.dictionaries(names, arrays, max_size=5), st.booleans())
def test_what_numpy_writes_is_read(members: dict[str, np.ndarray], compressed: bool) -> None:
    out = io.BytesIO()
    save: Any = np.savez_compressed if compressed else np.savez  # the stubs take the unpacked arrays for the option allow_pickle
    save(out, **members)
    got = unpack(out.getvalue(), "x")
    assert {name: array.tobytes() for name, array in got.items()} == {name: array.tobytes() for name, array in members.items()}


def test_fortran_order_big_endian_and_strings_are_read() -> None:
    table = np.arange(6.0).reshape(2, 3)
    for array in (np.asfortranarray(table), table.astype(">f8"), np.array("nö"), np.array(""), np.array(["a", "bc"])):
        got = unpack(member("a.npy", npy(array)), "x")["a"]
        np.testing.assert_array_equal(got, array)
        assert got.dtype.isnative


def test_the_bytes_do_not_depend_on_order_memory_layout_or_zlib(monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    content = pack({"a": table, "b": np.zeros(50)})
    monkeypatch.setattr(zlib, "compressobj", None)
    monkeypatch.setattr(zlib, "compress", None)
    assert pack({"b": np.zeros(50, ">f8"), "a": np.asfortranarray(table)}) == content
    assert zlib.crc32(content) == 2617244795  # pinned: the bytes must stay the same from release to release


def test_constants_shrink_and_random_bytes_stay_stored() -> None:
    noise = np.frombuffer(np.random.default_rng(1).bytes(80_000), np.uint8)
    with zipfile.ZipFile(io.BytesIO(pack({"constant": np.full(1000, 3.5), "noise": noise}))) as archive:
        constant, stored = archive.infolist()
    assert constant.compress_size < 200
    assert (stored.compress_type, stored.compress_size) == (zipfile.ZIP_STORED, 80_128)


def test_rows_that_stay_from_step_to_step_shrink() -> None:
    steps = np.repeat(np.random.default_rng(1).normal(size=(1, 20, 3)), 30, axis=0)
    assert len(pack({"a/expect.param.w": steps})) < steps.nbytes / 10


def test_every_truncation_is_refused() -> None:
    content = pack({"a/param.w": np.arange(30.0), "a/zeros": np.zeros(100)})
    for length in range(len(content)):
        with pytest.raises(VectorError):
            unpack(content[:length], "x")


def test_no_damaged_byte_gives_anything_but_an_error_or_the_same_arrays() -> None:
    arrays = {"a/param.w": np.arange(30.0), "a/zeros": np.zeros(100)}
    content = pack(arrays)
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 0x55
        try:
            got = unpack(bytes(damaged), "x")
        except VectorError:
            continue
        assert {array.tobytes() for array in got.values()} <= {array.tobytes() for array in arrays.values()}


BAD_NAMES = [
    "../a.npy",
    "/a.npy",
    "a/../b.npy",
    "a//b.npy",
    "a\\b.npy",
    "C:a.npy",
    "a",
    "a.txt",
    ".npy",
    "a/.npy",
    "-a.npy",
    "ä.npy",
    "a\n.npy",
    "a/",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_member_name_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(VectorError, match="not a name of a member"):
        unpack(member(name, npy(np.zeros(1))), "x.npz")


BAD_MEMBERS = {
    "pickled": (npy(np.array([{}], dtype=object)), "objects and records"),
    "structured": (npy(np.zeros(2, [("a", "f4")])), "objects and records"),
    "complex": (npy(np.zeros(2, complex)), "objects and records"),
    "bool": (npy(np.zeros(2, bool)), "objects and records"),
    "bytes": (npy(np.array([b"x"])), "objects and records"),
    "not NPY": (b"hello world, hello", "does not start like an NPY"),
    "empty": (b"", "does not start like an NPY"),
    "version 9": (b"\x93NUMPY\x09\0" + bytes(20), "version 9"),
    "header beyond the limit": (b"\x93NUMPY\2\0" + struct.pack("<I", 5000) + bytes(6000), "5012 bytes"),
    "code in the header": (headed("__import__('os').getcwd()"), "may hold"),
    "deep header": (headed("(" * 3000), "may hold"),
    "no shape": (headed("{'descr': '<f4', 'fortran_order': False}"), "may hold"),
    "header that is a list": (headed("['descr', 'fortran_order', 'shape']"), "no mapping of descr"),
    "more keys in the header": (headed("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}", bytes(4)), "no mapping of descr"),
    "order that is a word": (headed("{'descr': '<f4', 'fortran_order': 'False', 'shape': (1,)}", bytes(4)), "fortran_order 'False'"),
    "negative shape": (headed("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"), "shape"),
    "bool shape": (headed("{'descr': '<f4', 'fortran_order': False, 'shape': (True,)}", bytes(4)), "shape"),
    "huge empty shape": (headed("{'descr': '<U0', 'fortran_order': False, 'shape': (67000000, 67000000)}"), "too large"),
    "huge zero shape": (headed("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 99999999999)}"), "shape"),
    "many axes": (headed(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({'1,' * 40})}}", bytes(4)), "shape"),
    "less data than its shape": (headed("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", bytes(8)), "requires"),
    "more data than its shape": (headed("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", bytes(16)), "requires"),
}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(("content", "reason"), BAD_MEMBERS.values(), ids=BAD_MEMBERS)
def test_a_member_that_is_no_plain_array_is_refused(content: bytes, reason: str, method: int) -> None:
    with pytest.raises(VectorError) as caught:
        unpack(member("a/w.npy", content, method), "x.npz")
    assert str(caught.value).startswith("x.npz: a/w: ")
    assert reason in str(caught.value)


def test_a_zip_bomb_is_refused_without_unpacking_it() -> None:
    size = 80 << 20
    bomb = member("a.npy", headed(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({size},)}}", bytes(size)))
    tracemalloc.start()
    with pytest.raises(VectorError, match="would unpack to"):
        unpack(bomb, "x.npz")
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_many_members_that_are_too_large_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "FILE_LIMIT", 1000)
    with pytest.raises(VectorError, match="would unpack to more than 1000"):
        unpack(pack({"a": np.zeros(100), "b": np.zeros(100)}), "x.npz")


def test_a_member_that_declares_less_than_it_unpacks_to_is_refused() -> None:
    content = bytearray(member("a.npy", headed("{'descr': '|u1', 'fortran_order': False, 'shape': (5,)}", bytes(50_000_000))))
    declared = struct.pack("<I", len(headed("{'descr': '|u1', 'fortran_order': False, 'shape': (5,)}", bytes(5))))
    central = content.index(b"PK\1\2")
    content[central + 24 : central + 28] = declared
    tracemalloc.start()
    with pytest.raises(VectorError, match="does not unpack to the"):
        unpack(bytes(content), "x.npz")
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_a_member_that_is_there_twice_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.npy", npy(np.zeros(1)))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", npy(np.ones(1)))
    with pytest.raises(VectorError, match="is there twice"):
        unpack(out.getvalue(), "x.npz")


def test_other_compressors_are_refused() -> None:
    with pytest.raises(VectorError, match="encrypted or compressed"):
        unpack(member("a.npy", npy(np.zeros(1)), zipfile.ZIP_LZMA), "x.npz")


def test_an_encrypted_member_is_refused() -> None:
    content = bytearray(member("a.npy", npy(np.zeros(1))))
    content[content.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(VectorError, match="encrypted or compressed"):
        unpack(bytes(content), "x.npz")


def test_a_file_larger_than_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_npz(tmp_path / "a.npz", {"a": np.zeros(3)})
    monkeypatch.setattr(npz, "FILE_LIMIT", 10)
    with pytest.raises(VectorError, match="at most 10 are read"):
        read_npz(tmp_path / "a.npz")


def test_writing_leaves_one_whole_file_and_failing_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "deep" / "a.npz"
    write_npz(file, {"a": np.arange(3)})
    assert read_npz(file)["a"].tolist() == [0, 1, 2]
    before = file.read_bytes()

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_npz(file, {"a": np.arange(9)})
    assert [path.name for path in file.parent.iterdir()] == ["a.npz"]
    assert file.read_bytes() == before


def test_what_no_reader_would_take_is_not_written() -> None:
    with pytest.raises(VectorError, match="no reader would take it"):
        pack({"a": np.zeros(npz.MEMBER_LIMIT // 8)})
    with pytest.raises(TypeError, match="cannot be written"):
        pack({"a": np.array([object()])})
