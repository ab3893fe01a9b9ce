"""What every report says of a failed case: the first wrong element, how far off it is, and the commands to look into it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator

from ..arithmetic import CPU_CLASS
from ..common.text import position, ratio
from ..judging.verdict import ArrayVerdict, CaseVerdict, Mismatch, Report
from ..vectors.places import here


def facts(mismatch: Mismatch) -> Iterator[tuple[str, str]]:
    """What a mismatch says, as (label, value): what was got, what was expected, and how far apart they are."""
    yield "got", repr(mismatch.got)
    yield "expected", repr(mismatch.expected) + (f" (allowed: {mismatch.allowed})" if mismatch.allowed else "")
    error = mismatch.got - mismatch.expected
    if math.isfinite(error):
        yield "error", f"{error:.6g}, {ratio(mismatch.ratio)} bounds of {mismatch.bound:.6g}"
    else:
        yield "error", "not a number of the kind that is expected here"


def place(mismatch: Mismatch) -> str:
    """Which element of which array, at which step."""
    return f"{mismatch.array} of {mismatch.param!r}, step {mismatch.step}, {position(mismatch.index)}"


def place_and_facts(mismatch: Mismatch) -> str:
    """All that a mismatch says, a line each."""
    return "\n".join([place(mismatch), *(f"{label}: {value}" for label, value in facts(mismatch))])


def rerun_command(verdict: CaseVerdict, report: Report) -> str:
    """The command that judges this case alone; "" where the report does not know its own."""
    command = report.environment.get("command")
    return f"{command} --case {shlex.quote(verdict.case_id)}" if command is not None else ""


def explain_command(verdict: CaseVerdict, report: Report) -> str:
    """The command that explains the first wrong element of a case; "" where there is none."""
    if not verdict.mismatch:
        return ""
    row, *col = verdict.mismatch.index or (None,)
    words = {
        "--step": verdict.mismatch.step,
        "--param": verdict.mismatch.param,
        "--row": row,
        "--col": ",".join(map(str, col)) or None,
        "--class": None if report.required == CPU_CLASS else report.required,
        "--vectors": None if report.vectors in ("", str(here())) else report.vectors,
    }
    options = [word for name, value in words.items() if value is not None for word in (name, str(value))]
    return shlex.join(["refimpl", "explain", verdict.case_id, *options])


def worst(arrays: Iterable[ArrayVerdict], name: str, numerics_class: str) -> float | None:
    """The largest |error|/bound of the arrays of this name; nan counts as the largest, None where there is none."""
    ratios = [array.worst[numerics_class] for array in arrays if array.array == name and numerics_class in array.worst]
    return next((value for value in ratios if math.isnan(value)), max(ratios, default=None))
