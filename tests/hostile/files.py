"""Files that were changed: vectors with and without renewed hashes, results, waivers. Refused by name, or read as they are; never more."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from refimpl.backends import read_results
from refimpl.backends.outcome import End
from refimpl.case import Golden
from refimpl.errors import RefimplError, VectorError
from refimpl.judging.compare import judge
from refimpl.judging.verdict import Status
from refimpl.judging.waivers import read_waivers
from refimpl.vectors import read_vectors
from refimpl.vectors._manifest import hash_arrays, hash_bytes
from refimpl.vectors.npz import read_npz

from . import Entry
from .backends import vectors

THEME = "torch.SparseAdam/duplicates"


def entries(count: int, seed: int = 0) -> Iterator[Entry]:
    """So many mutations, a quarter of each kind; the same for the same seed."""
    kinds = (_raw, _renewed, _results, _waivers)
    for number in range(count):
        yield Entry(f"mutation {number} of seed {seed}", "file", partial(kinds[number % len(kinds)], random.Random(f"{seed}/{number}")))


def mutated(content: bytes, chance: random.Random) -> bytes:
    """One to four changes: bits, bytes, cuts, repetitions, numbers that a format counts with."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(changed) + 1)
        until = min(at + chance.choice((1, 2, 4, 16, 200)), len(changed))
        MUTATIONS[chance.randrange(len(MUTATIONS))](changed, at, until, chance)
    return bytes(changed)


def _flip(changed: bytearray, at: int, until: int, chance: random.Random) -> None:
    if at < len(changed):
        changed[at] ^= 1 << chance.randrange(8)


def _put(changed: bytearray, at: int, until: int, chance: random.Random) -> None:
    changed[at:until] = chance.choice(WORDS)


def _cut(changed: bytearray, at: int, until: int, chance: random.Random) -> None:
    del changed[at:until]


def _end(changed: bytearray, at: int, until: int, chance: random.Random) -> None:
    del changed[at:]


def _repeat(changed: bytearray, at: int, until: int, chance: random.Random) -> None:
    changed[at:at] = changed[at:until] * chance.choice((1, 2, 50))


def _random(changed: bytearray, at: int, until: int, chance: random.Random) -> None:
    changed[at:until] = chance.randbytes(until - at)


MUTATIONS: tuple[Callable[[bytearray, int, int, random.Random], None], ...] = (_flip, _put, _cut, _end, _repeat, _random)
WORDS = (
    b"", b"\0", b"\xff" * 4, b"\xff" * 8, b"PK\3\4", b"PK\1\2", b"PK\5\6", b"\x93NUMPY", b"-1", b".nan", b".inf", b"1e999", b"null", b"&a ",
    b"*a", b"!!python/object:os.system", b"[" * 99, b"{" * 99, b"- ", b"\n", b": ", b"'", b'"', b"\x1b[2J", b"\xed\xa0\x80", b"..", b"/",
    b"True",
)  # fmt: skip


@cache
def _goldens() -> dict[str, Golden]:
    return {golden.case.id: golden for golden in read_vectors(vectors())}


def _copy(directory: str) -> Path:
    return Path(shutil.copytree(vectors(), Path(directory, "vectors")))


def _raw(chance: random.Random) -> None:
    """Any file: refused, or one that says the same (in spaces that no hash covers, in pages for people)."""
    with tempfile.TemporaryDirectory() as directory:
        copy = _copy(directory)
        file = chance.choice(sorted(file for file in copy.rglob("*") if file.suffix in (".yaml", ".npz")))
        file.write_bytes(mutated(file.read_bytes(), chance))
        try:
            read = {golden.case.id: golden for golden in read_vectors(copy)}
        except RefimplError:
            return
        assert read.keys() == _goldens().keys(), "cases have come or gone"
        for id, golden in read.items():
            assert _bits(golden) == _bits(_goldens()[id]), f"{id} says something else"


def _bits(golden: Golden) -> str:
    parts = [repr((case.id, case.groups, [step.hyper for step in case.steps], case.record, case.error)) for case in (golden.case,)]
    for name, arrays in golden.expected.items():
        parts += [f"{name} {array} {value.value.tobytes()!r}" for array, value in arrays.items()]
    return "".join(parts) + "".join(param.value.tobytes().hex() for param in golden.case.params)


def _renewed(chance: random.Random) -> None:
    """A theme whose hashes were made anew: refused, or read as some vector; nothing else is raised."""
    with tempfile.TemporaryDirectory() as directory:
        copy = _copy(directory)
        file = copy / f"{THEME}{chance.choice(('.yaml', '.npz'))}"
        old = _hash(file)
        file.write_bytes(mutated(file.read_bytes(), chance))
        manifest = copy / "MANIFEST.yaml"
        try:
            manifest.write_text(manifest.read_text(encoding="utf-8").replace(old, _hash(file)), encoding="utf-8")
            for golden in read_vectors(copy, ["torch.SparseAdam"]):
                assert golden.case.id.startswith("torch.SparseAdam/"), golden.case.id
        except RefimplError:
            return


def _hash(file: Path) -> str:
    return hash_arrays(read_npz(file)) if file.suffix == ".npz" else hash_bytes(file.read_bytes())


@cache
def _right_results() -> bytes:
    """The exact results of a theme, rounded to its dtype, as a program writes them."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "results.npz")
        members: dict[str, Any] = {}
        for id, golden in _goldens().items():
            if id.startswith(f"{THEME}/"):
                for name, arrays in golden.expected.items():
                    members.update(
                        {f"{golden.case.slug}/{array}.{name}": value.value.astype(np.float32) for array, value in arrays.items()}
                    )
        np.savez(file, **members)
        return file.read_bytes()


def _results(chance: random.Random) -> None:
    """Results: what is judged as passed has the numbers that were right before."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, f"{THEME}.npz")
        file.parent.mkdir()
        file.write_bytes(mutated(_right_results(), chance))
        goldens = [golden for id, golden in _goldens().items() if id.startswith(f"{THEME}/")]
        for golden, outcome in zip(goldens, read_results(Path(directory), goldens)):
            verdict = judge(golden, outcome, "tensor-faithful")
            if verdict.status is Status.PASSED:
                assert outcome.end is End.STATES
                assert not verdict.not_shown, f"{golden.case.id} passed without {verdict.not_shown}"


WAIVERS = b"""# known failures
- case: "torch.SparseAdam/duplicates/*"
  reason: our kernel does not merge repeated rows yet
  link: https://example.org/issues/17
  deviation: duplicates-last-wins
- {case: '*', reason: all, link: 'http://example.org/1'}
"""


def _waivers(chance: random.Random) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "waivers.yaml")
        file.write_bytes(mutated(WAIVERS, chance))
        try:
            for waiver in read_waivers(file):
                assert waiver.reason.strip(), waiver
        except VectorError as error:
            raise AssertionError(f"{error}") from None
        except RefimplError:
            return
