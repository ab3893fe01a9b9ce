"""The state of one optimizer as another keeps it: moments, and counts or powers of the betas, so that training can go on there.

`Dialect.state` says what each implementation calls its arrays and what it counts (see `refimpl.dialects.layouts`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .dialects import Dialect, Hyper, dialect
from .dialects.layouts import Layout
from .dialects.stages import Amsgrad, Counter
from .errors import InvalidState, UsageError
from .gradients import Array

State = Mapping[str, Mapping[str, Any]]
"""Parameter name -> the name of an array or count, in the words of the implementation -> its value."""


def convert(state: State, a: str, b: str, *, hyper: Mapping[str, Any] | None = None, count: int | None = None) -> dict[str, dict[str, Any]]:
    """The state of optimizer `a` as optimizer `b` keeps it: the moments copied, the steps taken counted in `b`'s way.

    state: per parameter, the arrays and counts of `a` under its own names (`refimpl.dialect(a).state`). A count that the optimizer has
    once stands with every parameter, here and in what is returned; a parameter that has had no gradient may have nothing.
    hyper: the settings, in the names of `a` or of `b`; the defaults for the rest. count: the steps taken, where the state does not tell.

    Raises InvalidState for what `b` has no place for, and says what can be done about it.

    >>> state = {"w": {"exp_avg": [0.1], "exp_avg_sq": [0.01], "step": 2}}
    >>> convert(state, "torch.Adam", "mindspore.Adam", hyper={"betas": (0.5, 0.25)})
    {'w': {'moment1': array([0.1]), 'moment2': array([0.01]), 'beta1_power': 0.25, 'beta2_power': 0.0625}}
    """
    source, target = dialect(a), dialect(b)
    ours, theirs = (_layout(table, hyper or {}) for table in (source, target))
    numbers = _numbers(source, target, hyper or {})
    _check_moments(source, target)
    entries = {name: _read(name, entry, source, ours, numbers, count) for name, entry in state.items()}
    if ours.per == "optimizer":
        _check_shared({name: entry for name, entry in entries.items() if entry.arrays}, source, "convert the state of each optimizer apart")
    if theirs.per != "row":
        entries = {name: _with_one_count(entry, source, target) for name, entry in entries.items()}
    if theirs.per == "optimizer":
        _check_shared(entries, target, f"make one {b} per count, convert these apart, and leave out parameters that are never trained")
    return {name: _written(entry, source, target, theirs, numbers) for name, entry in entries.items()}


def _layout(table: Dialect, hyper: Mapping[str, Any]) -> Layout:
    if table.state is None:
        raise InvalidState(f"how {table.name} keeps its state is not described", "add `state` to its row in refimpl/dialects")
    own = {name: value for name, value in hyper.items() if name in table.parameters}
    counts_rows = table.resolve(table.defaults() | own)[1].counter is Counter.ROW
    if counts_rows != (table.state.per == "row"):
        raise InvalidState(f"with these settings {table.name} counts the steps of each row: how it keeps that is not described")
    return table.state


def _numbers(a: Dialect, b: Dialect, hyper: Mapping[str, Any]) -> Hyper:
    """The numbers that counts are computed with: what is set, else A's default, else B's."""
    unknown = [name for name in hyper if name not in {*a.parameters, *b.parameters}]
    if unknown:
        raise UsageError(f"neither {a.name} nor {b.name} has {', '.join(unknown)}", f"{a.name} has {', '.join(a.parameters)}")
    numbers: dict[str, float] = {}
    for table, settings in ((b, b.defaults()), (a, a.defaults()), (b, hyper), (a, hyper)):
        for name, parameter in table.parameters.items():
            if name in settings and parameter.roles:
                values = settings[name] if len(parameter.roles) > 1 else (settings[name],)
                numbers.update(zip(parameter.roles, map(float, values)))
    return Hyper(**numbers)  # type: ignore[arg-type]  # roles are the fields that hold a number


def _check_moments(a: Dialect, b: Dialect) -> None:
    for stage in ("second", "moments"):
        mine, theirs = getattr(a.picks, stage), getattr(b.picks, stage)
        if mine is not theirs:
            raise InvalidState(
                f"{a.name} keeps other moments than {b.name}: {mine.value}, not {theirs.value}",
                f"neither follows from the other: start {b.name} anew, with a warm-up of the learning rate",
            )


@dataclass(frozen=True)
class _Entry:
    """The state of one parameter: arrays under the names of the vectors, counts by what they hold, and t.

    t: per row where rows are counted; None where the counts do not tell it, lost says why then. No arrays: it has had no gradient.
    """

    name: str
    arrays: Mapping[str, Array]
    counts: Mapping[str, Any]
    t: Any
    lost: str = ""


def _read(name: str, entry: Mapping[str, Any], a: Dialect, layout: Layout, numbers: Hyper, count: int | None) -> _Entry:
    if not entry:
        return _Entry(name, {}, {}, 0)
    arrays = {own: array for array, own in layout.arrays.items()}
    optional = {layout.arrays.get("max_exp_avg_sq")}
    unknown = [key for key in entry if key not in arrays and key not in layout.counts]
    missing = [key for key in (*arrays, *layout.counts) if key not in entry and key not in optional]
    if unknown or missing:
        reason = f"{', '.join(missing)} is missing" if missing else f"{a.name} keeps no {', '.join(map(str, unknown))}"
        raise InvalidState(f"{name}: {reason}", f"{a.name} keeps {', '.join((*arrays, *layout.counts))}")
    read_count = READ.get(layout.per, _single)
    counts = {held: read_count(f"{name}: {own}", entry[own]) for own, held in layout.counts.items()}
    t = _steps(counts, numbers)
    told = ", ".join(f"{held} = {value!r}" for held, value in counts.items())
    lost = f"{name}: no number of steps gives {told} (powers vanish, and a change of the betas leaves others)" if told else ""
    return _Entry(
        name,
        {arrays[own]: np.asarray(value).copy() for own, value in entry.items() if own in arrays},
        counts,
        count if t is None else t,
        lost or f"{name}: {a.name} does not count its steps",
    )


def _single(where: str, value: Any) -> Any:
    values = np.asarray(value).reshape(-1)
    if values.size != 1:
        raise InvalidState(
            f"{where} holds {values.size} values, where one is expected", "a count per row is kept by dialects that count rows"
        )
    return values[0].item()


def _same_everywhere(where: str, value: Any) -> Any:
    values = np.unique(np.asarray(value))
    if values.size > 1:
        raise InvalidState(f"{where} holds different counts, {values.min()} to {values.max()}", "one number in every element is expected")
    return values[0].item() if values.size else 0


def _row_counts(where: str, value: Any) -> Array:
    return np.asarray(value).reshape(-1).astype(np.int64)


READ: Mapping[str, Callable[[str, Any], Any]] = {"row": _row_counts, "element": _same_everywhere}
"""What has counts of its own, to how they are read; elsewhere a count is a single number."""


def _with_one_count(entry: _Entry, a: Dialect, b: Dialect) -> _Entry:
    """The same with one count for all rows; raises InvalidState unless all of them have it."""
    if not isinstance(entry.t, np.ndarray):
        return entry
    if len(np.unique(entry.t)) > 1:
        raise InvalidState(
            f"{entry.name}: {a.name} has counted {entry.t.min()} to {entry.t.max()} steps, depending on the row; {b.name} has one count",
            f"no count is right for every row: stay with {a.name}, or start {b.name} anew",
        )
    t = int(entry.t[0]) if len(entry.t) else 0
    return replace(entry, counts={"t": t}, t=t)


def _check_shared(entries: Mapping[str, _Entry], keeper: Dialect, hint: str) -> None:
    """Refuse different counts of parameters whose optimizer has one."""
    by_count = {repr(entry.counts if entry.t is None else entry.t): name for name, entry in entries.items()}
    if len(by_count) > 1:
        counted = ", ".join(f"{count} for {name}" for count, name in list(by_count.items())[:3])
        raise InvalidState(f"{keeper.name} has one count for all of its parameters, and these differ: {counted}", hint)


def _written(entry: _Entry, a: Dialect, b: Dialect, layout: Layout, numbers: Hyper) -> dict[str, Any]:
    """The entry in the names of B."""
    if "max_exp_avg_sq" in entry.arrays:
        _check_maximum(a, b)
    arrays = {layout.arrays[array]: value for array, value in entry.arrays.items()}
    return arrays | {own: _counted(entry, held, layout, numbers) for own, held in layout.counts.items() if arrays}


def _counted(entry: _Entry, held: str, layout: Layout, numbers: Hyper) -> Any:
    """What B counts: the same number where A has it, so that a power keeps its rounding; else what follows from t."""
    if layout.per == "row" and isinstance(entry.t, np.ndarray):
        return entry.counts[held]
    if held != "t" and held in entry.counts:
        value = entry.counts[held]
    elif entry.t is None:
        raise InvalidState(entry.lost, "pass count=, the number of steps that the optimizer has made")
    else:
        value = OF_COUNT[held](entry.t, numbers)
    shape = entry.arrays["exp_avg"].shape
    return np.full(FILLED[layout.per](shape), value) if layout.per in FILLED else value


FILLED: Mapping[str, Callable[[tuple[int, ...]], tuple[int, ...]]] = {"row": lambda shape: shape[:1], "element": lambda shape: shape}
"""What has counts of its own, to the shape of the array that holds them; elsewhere a count is a number."""


def _check_maximum(a: Dialect, b: Dialect) -> None:
    mine, theirs = _amsgrad(a), _amsgrad(b)
    if theirs is Amsgrad.OFF:
        raise InvalidState(
            f"{b.name} has no amsgrad, and no place for the maximum", "leave the maximum out of the state to go on without it"
        )
    if mine is not theirs:
        raise InvalidState(
            f"{a.name} keeps the {mine.value}, {b.name} the {theirs.value}: neither follows from the other",
            f"leave the maximum out of the state, and let {b.name} begin a new one from zero",
        )


def _amsgrad(table: Dialect) -> Amsgrad:
    """What its amsgrad keeps when it is on; OFF where it has none."""
    picks = [table.picks.amsgrad, *(parameter.when_true.get("amsgrad", Amsgrad.OFF) for parameter in table.parameters.values())]
    return next((pick for pick in picks if pick is not Amsgrad.OFF), Amsgrad.OFF)


POWERS: Mapping[str, tuple[str, int]] = {
    "beta1^t": ("beta1", 0),
    "beta2^t": ("beta2", 0),
    "beta1^(t+1)": ("beta1", 1),
    "beta2^(t+1)": ("beta2", 1),
}
"""A count that is a power: its base, and what is added to t in the exponent."""


def _steps(counts: Mapping[str, Any], numbers: Hyper) -> Any:
    """The steps that counts stand for; None where they do not tell, or contradict each other."""
    if "t" in counts:
        return counts["t"] if isinstance(counts["t"], np.ndarray) else int(counts["t"])
    told = set()
    for held, (base, shift) in POWERS.items():
        beta = getattr(numbers, base)
        if held in counts and not _has_vanished(counts[held], beta):
            exponent = exponent_of(counts[held], beta)
            told.add(None if exponent is None or exponent < shift else exponent - shift)
    return told.pop() if len(told) == 1 else None


SMALLEST, ROUNDING = (float(x) for x in (np.finfo(np.float32).smallest_normal, np.finfo(np.float32).eps))
"""The smallest number that float32 has with all of its digits, and the distance from 1 to the next."""


def _has_vanished(power: float, beta: float) -> bool:
    """Whether a power has lost its digits: the correction is 1 from there on, but the steps cannot be computed."""
    return 0 <= power < SMALLEST or beta == 0


def exponent_of(power: float, beta: float) -> int | None:
    """The n for which beta^n is this power; None where there is none.

    A power is rounded once, or it is a product in float32 that was rounded in each step: one that began at 1 and one that began at beta
    are the same products. Products drift by up to n roundings, which may be several n; so these are made again, and looked up.
    """
    if power == 1:
        return 0
    if not (0 < beta < 1 and SMALLEST <= power < 1):
        return None
    bases = (beta, float(np.float32(beta)))
    nearest = round(math.log(power) / math.log(beta))
    if any(abs(base**nearest - power) <= 2 * ROUNDING * power for base in bases):
        return nearest
    longest = nearest + math.ceil(nearest * nearest * ROUNDING) + 1 if nearest < LONGEST else 0
    products = np.multiply.accumulate(np.full(longest, beta, np.float32))
    exact = np.flatnonzero(products == np.float32(power))
    return int(exact[0]) + 1 if len(exact) else None


LONGEST = 2_000_000
"""Products in float32 are looked up to about this many: those of a beta of 0.9999 vanish after 900,000."""


def momentum_product(beta1: float, momentum_decay: float, t: int) -> float:
    """NAdam's mu(1)...mu(t), where mu(k) = beta1 (1 - 0.96^(k momentum_decay)/2), in double."""
    product = 1.0
    for k in range(1, t + 1):
        product *= beta1 * (1.0 - 0.5 * 0.96 ** (k * momentum_decay))
        if product == 0.0:  # it stays so, and t may be in the millions
            break
    return product


OF_COUNT: Mapping[str, Callable[[int, Hyper], float]] = {
    "t": lambda t, numbers: t,
    "beta1^t": lambda t, numbers: numbers.beta1**t,
    "beta2^t": lambda t, numbers: numbers.beta2**t,
    "beta1^(t+1)": lambda t, numbers: numbers.beta1 ** (t + 1),
    "beta2^(t+1)": lambda t, numbers: numbers.beta2 ** (t + 1),
    "mu(1)...mu(t)": lambda t, numbers: momentum_product(numbers.beta1, numbers.momentum_decay, t),
    "0.96^t": lambda t, numbers: 0.96**t,
    "t beta2^t/(1-beta2^t)": lambda t, numbers: t * numbers.beta2**t / (1.0 - numbers.beta2**t) if t else 1.0,
}
"""What a count holds after t steps (see layouts.COUNTED)."""
