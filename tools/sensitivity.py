"""The smallest relative error in each hyper-parameter that some vector notices, per dialect, dtype and numerics class.

    python tools/sensitivity.py [--vectors DIR] [--dialect NAME]... [--json FILE]

A setting that is off by d is noticed where the exact result with it, in balls, leaves the stored bound. Which case and element
notice first is estimated from the derivative; the error itself is bisected in balls, so that the figure is proven: this vector
notices it. Beside it stand the figures of the first edition, and exit code 1 says that some figure is not as sharp.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from refimpl.arithmetic import CLASSES
from refimpl.arithmetic.balls import Ball, midpoint
from refimpl.case import KINDS, Case, Golden
from refimpl.common.cli import guarded, output_file, say, write_text
from refimpl.dialects import Deviation, Dialect, Hyper, Picks, dialect
from refimpl.errors import NOT_CONFORMANT, OK
from refimpl.gradients import Array
from refimpl.reference import FIELDS, ONE, trajectory
from refimpl.vectors import read_vectors

ROLES = ("lr", "beta1", "beta2", "eps", "weight_decay", "loss_scale")

FIRST_EDITION = {
    ("torch.SparseAdam", "float32", "tensor-faithful"): {"lr": 2.2e-6, "beta1": 6.7e-8, "beta2": 6.0e-8, "eps": 6.5e-5},
    ("torch.SparseAdam", "float32", "exact-ieee"): {"lr": 8.7e-7, "beta1": 2e-9, "beta2": 3.6e-11, "eps": 1.1e-6},
}
"""What the first edition's vectors noticed (evidence/faults-2.md, D)."""

PROBE = 2.0**-80  # far below every bound, far above the 256 bits that balls carry

CANDIDATES = 3  # so many cases, those that should notice first, are bisected for each figure

LARGEST = 20_000  # elements times steps


@dataclass(frozen=True)
class Noticed:
    """The smallest relative error that was found, and the case that notices it."""

    error: float
    case: str


Key = tuple[str, str, str, str]
"""Dialect, dtype, class, role."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, default=Path("vectors"), metavar="DIR")
    parser.add_argument("--dialect", action="append", default=[], metavar="NAME", help="default: all that DIR holds")
    parser.add_argument("--json", type=output_file, metavar="FILE")
    options = parser.parse_args(arguments)
    names = [dialect(name).name for name in options.dialect]
    goldens = [golden for golden in read_vectors(options.vectors, names).goldens if _is_measured(golden)]
    noticed = measured(goldens)
    print(table(noticed))
    if options.json:
        rows = [
            dict(zip(("dialect", "dtype", "class", "role"), key), error=notice.error, case=notice.case) for key, notice in noticed.items()
        ]
        write_text(options.json, json.dumps(rows, indent=1) + "\n")
    blunt = list(_blunter(noticed))
    print("\n".join(blunt) if blunt else "nowhere less sharp than the first edition")
    return NOT_CONFORMANT if blunt else OK


def _is_measured(golden: Golden) -> bool:
    case = golden.case
    return case.error is None and sum(param.value.size for param in case.params) * len(case.steps) <= LARGEST


def measured(goldens: Sequence[Golden]) -> dict[Key, Noticed]:
    """The smallest error noticed, by dialect, dtype, class and role."""
    estimates: dict[Key, list[tuple[float, int]]] = {}
    for number, golden in enumerate(goldens):
        plain = exact(golden.case, "lr", 0.0)
        for role in _roles(golden.case):
            moved = exact(golden.case, role, PROBE)
            for numerics_class in CLASSES:
                error = estimate(golden, plain, moved, numerics_class)
                if error < 1:
                    estimates.setdefault((golden.case.dialect, golden.case.dtype, numerics_class, role), []).append((error, number))
        if number % 50 == 49:
            say(f"{number + 1} of {len(goldens)} cases")
    noticed = {}
    for key, candidates in estimates.items():
        bisected = [
            (bisect(goldens[number], key[3], key[2], error), goldens[number].case.id) for error, number in sorted(candidates)[:CANDIDATES]
        ]
        noticed[key] = Noticed(*min(bisected))
    return noticed


def _roles(case: Case) -> Iterator[str]:
    """The roles that a relative error can change: those of which some value is not zero."""
    table = dialect(case.dialect)
    known = {role for parameter in table.parameters.values() for role in parameter.roles}
    hypers = [table.resolve(group.hyper)[0] for group in case.groups]
    yield from (role for role in ROLES if role in known and any(getattr(hyper, role) for hyper in hypers))


Exact = dict[tuple[str, str], list[Any]]
"""(parameter, array) to the balls at each recorded step."""


class Marked(float):
    """A hyper-parameter that is off."""


class Off(Ball):
    """Balls in which the marked hyper-parameter is off by a relative error, which may be smaller than a double can express."""

    def __init__(self, error: float) -> None:
        super().__init__()
        self.error = error

    def scalar(self, value: float) -> Any:
        exact = super().scalar(value)
        return exact * (1 + super().scalar(self.error)) if isinstance(value, Marked) else exact


class Marking:
    """A dialect whose hyper-parameters of one role are marked."""

    def __init__(self, table: Dialect, role: str) -> None:
        self.table, self.role = table, role

    def __getattr__(self, name: str) -> Any:
        return getattr(self.table, name)

    def resolve(self, settings: Mapping[str, Any], deviations: tuple[Deviation, ...] = (), grad_scale: float = 1.0) -> tuple[Hyper, Picks]:
        hyper, picks = self.table.resolve(settings, deviations, grad_scale)
        marked: dict[str, Any] = {self.role: Marked(getattr(hyper, self.role))}
        return replace(hyper, **marked), picks


def exact(case: Case, role: str, error: float) -> Exact:
    """The exact result where the hyper-parameter of this role is off by a relative error."""
    results: Exact = {}
    table: Any = Marking(dialect(case.dialect), role)
    for number, states in enumerate(trajectory(case, Off(error), table, (), ONE), start=1):
        if number in case.record:
            for name, state in states.items():
                for array, field in FIELDS.items():
                    results.setdefault((name, array), []).append(getattr(state, field).copy())
    return results


def _elements(golden: Golden, numerics_class: str) -> Iterator[tuple[tuple[str, str], int, Array, Array]]:
    """Per array and recorded step: value and bound of the elements that stay within the range (elsewhere the bound is infinite)."""
    for name, arrays in golden.expected.items():
        for array, expected in arrays.items():
            for at, value in enumerate(expected.value):
                bound = expected.bound[numerics_class][at].astype(np.float64)
                if expected.allowed is not None:
                    bound = np.where(expected.allowed[at] == KINDS["finite"], bound, np.inf)
                yield (name, array), at, value.reshape(-1), bound.reshape(-1)


def estimate(golden: Golden, plain: Exact, moved: Exact, numerics_class: str) -> float:
    """About how large an error has to be, from the derivative at the exact result; infinite where nothing moves."""
    least = math.inf
    for key, at, _, bound in _elements(golden, numerics_class):
        with np.errstate(all="ignore"):
            slope = np.abs(midpoint(moved[key][at] - plain[key][at])).reshape(-1) / PROBE
            needed = np.where((slope > 0) & np.isfinite(bound), bound / slope, np.inf)
        least = min(least, float(needed.min(initial=math.inf)))
    return least


def notices(golden: Golden, role: str, error: float, numerics_class: str) -> bool:
    """Whether some element of the exact result with this error is proven to lie outside its bound."""
    moved = exact(golden.case, role, error)
    for key, at, value, bound in _elements(golden, numerics_class):
        balls = moved[key][at].reshape(-1)
        distance = np.array([float(abs(ball - float(center)).abs_lower()) for ball, center in zip(balls, np.nan_to_num(value))])
        if (distance > bound).any():
            return True
    return False


def bisect(golden: Golden, role: str, numerics_class: str, about: float) -> float:
    """The smallest error, in one direction or the other, that this vector notices, to four digits; it does notice what is returned."""
    best = math.inf
    for way in (1.0, -1.0):
        low, high = about / 4, about * 2
        while high < min(best, 1.0) and not notices(golden, role, way * high, numerics_class):
            high *= 4
        if high >= min(best, 1.0):
            continue
        while high / low > 1 + 1e-4:
            middle = math.sqrt(low * high)
            if notices(golden, role, way * middle, numerics_class):
                high = middle
            else:
                low = middle
        best = min(best, high)
    return best


def table(noticed: Mapping[Key, Noticed]) -> str:
    """A line per dialect, dtype and class: of each role, what is noticed, and in brackets what the first edition noticed."""
    lines = [["dialect", "dtype", "class", *ROLES]]
    for group in dict.fromkeys(key[:3] for key in sorted(noticed, key=lambda key: (key[0], key[1], CLASSES.index(key[2])))):
        before = FIRST_EDITION.get(group, {})
        lines.append(
            [*group]
            + [
                (f"{noticed[(*group, role)].error:.1e}" if (*group, role) in noticed else "-")
                + (f" ({before[role]:.1e})" if role in before else "")
                for role in ROLES
            ]
        )
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    texts = ["  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in lines]
    places = [f"{', '.join(key)}: {notice.case}" for key, notice in noticed.items()]
    return "\n".join([*texts, "", "noticed by", *places])


def _blunter(noticed: Mapping[Key, Noticed]) -> Iterator[str]:
    for group, roles in FIRST_EDITION.items():
        for role, before in roles.items():
            now = noticed.get((*group, role))
            if now is not None and now.error > before * 1.05:  # the old figures have two digits
                yield f"less sharp than the first edition: {', '.join(group)}, {role}: {now.error:.2e}, not {before:.2e}"


if __name__ == "__main__":
    sys.exit(guarded(Path(__file__).name, main))
