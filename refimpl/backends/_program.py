"""Programs in any language: run one once over a directory of vectors, and read the results that it wrote."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..arithmetic import numpy_dtype
from ..case import Case, Golden, Param
from ..errors import HarnessError, UsageError, VectorError
from ..gradients import Array
from ..vectors.inputs import without_answers
from ..vectors.npz import read_npz
from ._states import problems
from .outcome import End, Outcome
from .processes import end, in_words, start

WIDER = {
    "float64": ("float64",),
    "float32": ("float32", "float64"),
    "float16": ("float16", "float32", "float64"),
    "bfloat16": ("float32", "float64"),  # NPZ has no bfloat16
}
"""The dtypes in which results for a case of some dtype may be stored: its own, or one that holds its numbers exactly."""

LISTED = 5
"""How many unknown members a message names."""


@dataclass(frozen=True)
class ProgramRun:
    """What a program made of some goldens: an outcome each, in order. failure: its exit status or signal in words, empty on success."""

    outcomes: Sequence[Outcome]
    failure: str = ""


def judge_program(command: str, vectors: Path, results: Path, goldens: Sequence[Golden], timeout: float) -> ProgramRun:
    """Run a program and read its results; one that fails midway keeps those that it wrote.

    The message of a case without a proper result says how the program ended. Raises HarnessError where it failed and no case has one.
    """
    ended = _run(command, vectors, results, timeout)
    outcomes = list(read_results(results, goldens))
    if not ended.failure:
        return ProgramRun(outcomes)
    proper = [outcome for outcome in outcomes if outcome.end in PROPER]
    if not proper:
        raise HarnessError(
            f"the program {command!r} {ended.failure} and left no result",
            "its own messages are above; a case that it cannot run is reported by SLUG/unsupported",
        )
    told = [outcome if outcome.end in PROPER else replace(outcome, message=f"{outcome.message}; {ended}") for outcome in outcomes]
    return ProgramRun(told, str(ended))


PROPER = (End.STATES, End.RAISED, End.UNSUPPORTED)
"""The ends that the results of a program report."""


@dataclass(frozen=True)
class _Ended:
    """How a program ended. limit: the seconds that it outlasted, or None."""

    status: int
    limit: float | None = None

    @property
    def failure(self) -> str:
        """The exit status or signal in words; empty on success."""
        if self.limit is not None:
            return f"was stopped after {self.limit:g} s"
        if self.status >= 0:
            return f"ended with exit status {self.status}" if self.status else ""
        return f"was {in_words(self.status)}"

    def __str__(self) -> str:
        return f"the program {self.failure}"


def run_program(command: str, vectors: Path, results: Path, timeout: float) -> int:
    """Run `COMMAND VECTORS_DIR RESULTS_DIR` once, without a shell, and give its exit status; what it prints goes to standard error.

    A status below zero names the signal that ended it; a program that outlasts the timeout (in seconds) is killed. Whatever it
    wrote stays. Raises UsageError where there is no such program or directory.
    """
    return _run(command, vectors, results, timeout).status


def _run(command: str, vectors: Path, results: Path, timeout: float) -> _Ended:
    try:
        words = shlex.split(command, posix=os.name == "posix")
    except ValueError as error:
        raise UsageError(f"--program {command!r}: {error}", "quote it as for a shell") from None
    if not words:
        raise UsageError("--program is empty", "give a command: it is called as CMD VECTORS_DIR RESULTS_DIR")
    if not vectors.is_dir():
        raise UsageError(f"no directory {vectors}", "write one with `python -m refimpl.gen`")
    results.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    try:
        process = start([*words, str(vectors), str(results)], subprocess.DEVNULL, 2)  # stdout belongs to refimpl's own report
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"cannot run {words[0]!r}: {reason}", "name a program on PATH, or give its path") from None
    try:
        return _Ended(process.wait(timeout))
    except subprocess.TimeoutExpired:
        print(f"{words[0]}: stopped after {timeout:g} s", file=sys.stderr)
        end(process)
        return _Ended(process.returncode, timeout)
    finally:
        end(process)  # an interrupt goes to the caller, and ends the program too


def read_results(results: Path, goldens: Sequence[Golden]) -> Iterator[Outcome]:
    """The outcome of each golden, in order, from RESULTS_DIR/DIALECT/THEME.npz; an error in one case does not affect the others.

    A result may be stored in its array's dtype or in a wider one, but each value must be representable in the dtype of the array.
    """
    if not results.is_dir():
        raise UsageError(f"no directory {results}", "results lie in RESULTS_DIR/DIALECT/THEME.npz")
    slugs: dict[str, set[str]] = {}
    for golden in goldens:
        slugs.setdefault(_theme_of(golden.case), set()).add(golden.case.slug)
    read = lru_cache(maxsize=1)(lambda theme: _members(results / f"{theme}.npz"))  # goldens come theme by theme
    for golden in goldens:
        theme = _theme_of(golden.case)
        try:
            members = read(theme)
        except FileNotFoundError:
            yield Outcome(golden.case.id, End.CRASHED, message=f"wrote no result: there is no {results / theme}.npz")
        except VectorError as error:
            yield Outcome(golden.case.id, End.MISBEHAVED, message=str(error))
        else:
            yield _outcome(without_answers(golden).case, members.get(golden.case.slug), sorted(members.keys() - slugs[theme]))


def _theme_of(case: Case) -> str:
    return case.id.rpartition("/")[0]


def _members(path: Path) -> dict[str, dict[str, Array]]:
    """The members of a file: slug -> the name behind the slash -> array."""
    if not path.is_file():
        raise FileNotFoundError(path)
    by_slug: dict[str, dict[str, Array]] = {}
    for member, array in read_npz(path).items():
        slug, _, rest = member.partition("/")
        by_slug.setdefault(slug, {})[rest] = array
    return by_slug


def _outcome(case: Case, members: Mapping[str, Array] | None, unknown: list[str]) -> Outcome:
    if members is None:
        others = f"; the file has cases that were not asked for: {', '.join(unknown[:LISTED])}" if unknown else ""
        return Outcome(case.id, End.CRASHED, message=f"wrote no result for {case.slug!r}{others}")
    said = [end for end in SAID if end in members]
    if said and len(members) > 1:
        return Outcome(case.id, End.MISBEHAVED, message=f"{case.slug}/{said[0]} stands beside other members: {', '.join(members)}")
    if said:
        return Outcome(case.id, SAID[said[0]], message=_text(members[said[0]]))
    state: dict[str, dict[str, object]] = {}
    for member, values in members.items():
        array, _, name = member.partition(".")
        state.setdefault(name, {})[array] = values
    complaints = list(problems(state, case, (len(case.record),), lambda dtype: WIDER[dtype]))
    complaints = complaints or list(_foreign_numbers(case, state))
    if complaints:
        return Outcome(case.id, End.MISBEHAVED, message="; ".join(complaints))
    states = {
        param.name: {array: _cast(np.asarray(values), _dtype(param, array)) for array, values in state[param.name].items()}
        for param in case.params
    }
    return Outcome(case.id, End.STATES, states)


def _dtype(param: Param, array: str) -> np.dtype[np.generic]:
    return numpy_dtype(param.dtype_of(array))


SAID = {"error": End.RAISED, "unsupported": End.UNSUPPORTED}
"""Members that replace the arrays of a case, with the end that they report."""


def _text(member: Array) -> str:
    if member.ndim == 0 and member.dtype.kind == "U":
        try:
            return str(member[()])
        except (ValueError, SystemError):  # NumPy holds any 32 bits as a character, and Python does not
            return "(a text with characters that are none)"
    return f"(not a 0-d string: {member.dtype} of shape {member.shape})"


def _foreign_numbers(case: Case, state: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    """A sentence for each array that holds a number which its dtype does not have."""
    for param in case.params:
        for array, member in state[param.name].items():
            values = np.asarray(member)
            back = _cast(values, _dtype(param, array)).astype(values.dtype)
            foreign = np.argwhere((back != values) & ~np.isnan(values))
            if len(foreign):
                at = tuple(int(i) for i in foreign[0])
                dtype = param.dtype_of(array)
                yield f"{array}.{param.name}{list(at)} = {values[at]!r} is no {dtype}; store each state as {dtype} has it"


def _cast(values: Array, dtype: np.dtype[np.generic]) -> Array:
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(dtype)
