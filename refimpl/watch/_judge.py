"""Judging one call: the kernel clears what is certainly right, the proof decides about the rest; what must not change keeps its bits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..arithmetic import CLASSES, FORMATS
from ..arithmetic.roundings import tensor_rounding
from ..backends.outcome import End, Outcome
from ..case import ARRAYS, Golden, computed_format, ratios
from ..dialects import dialect
from ..dialects.stages import Counter
from ..gradients import Array
from ..judging.compare import judge
from ..judging.verdict import CaseVerdict
from ..oracle import expectations
from ._least import plan_of
from ._step import Fact, Sample, Watched, case_of

PROVEN = 256
"""Elements of a call that the proof looks at, at most: those that are the farthest from what was expected, and a few of float64."""

CONTROL = 16
"""Elements of a call that the proof looks at although the kernel has cleared them, where it is asked to say which class is attained."""

NOTHING: Array = np.zeros(0, np.int64)
"""No row."""

Chosen = dict[str, Array]
"""Name of a parameter -> which rows of its sample."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """What was found in one call.

    elements: sampled elements that the call updates, of which the kernel cleared some, some were proven, and some are left: not judged;
    worst: array -> the largest |error|/bound (of what the kernel cleared, at most that); facts: what is wrong without arithmetic;
    failing: the rows outside their bound; attained: the class of the elements that the proof looked at, None where there are none, or it
    admits no class; compared: elements that must keep their bits, and were compared; population, drawn: the elements (of sparse
    gradients: rows) that the call updates, and how many of them were drawn and judged.
    """

    number: int
    elements: int
    cleared: int
    proven: int
    left: int
    worst: Mapping[str, float]
    facts: tuple[Fact, ...] = ()
    failing: Chosen = field(default_factory=dict)
    attained: str | None = None
    compared: int = 0
    population: int = 0
    drawn: int = 0

    @property
    def failed(self) -> bool:
        return bool(self.facts or self.failing)


def judge_call(watched: Watched, required: str, control: bool = False) -> Judgement:
    """Judge every sampled element of a call. control: the proof also looks at a few elements that the kernel cleared."""
    facts = (*watched.facts, *(fact for sample in watched.samples for fact in _facts(watched, sample)))
    worst: dict[str, float] = {}
    doubtful: list[tuple[float, str, int]] = []
    calm: list[tuple[str, int]] = []
    elements = cleared = population = drawn = 0
    margin = _margin()
    for sample in watched.samples:
        if sample.gradient is None or watched.skipped or not sample.updated or not sample.width or not _counts_are_whole(sample):
            continue
        by_row = _cleared(watched, sample, required)
        elements += sample.updated * sample.width
        population += sample.population
        drawn += sample.drawn
        size, far = np.full(sample.updated, np.inf), np.arange(sample.updated)
        if by_row is not None:
            largest = by_row.max(axis=1, initial=0.0)
            if (largest <= margin).all():  # as nearly always: no need to look at each row
                far = NOTHING
            else:
                size = by_row.max(axis=0)
                far = np.flatnonzero(~(size <= margin))
                largest = np.delete(by_row, far, axis=1).max(axis=1, initial=0.0)
            cleared += (sample.updated - len(far)) * sample.width
            for array, ratio in zip(ARRAYS, largest.tolist()):
                if array in sample.after and len(far) < sample.updated:
                    worst[array] = max(worst.get(array, 0.0), ratio)
            if control:
                near = np.setdiff1d(np.arange(sample.updated), far)
                calm += [(sample.name, int(row)) for row in near[: max(1, CONTROL // sample.width)]]
        doubtful += [(np.inf if np.isnan(size[row]) else float(size[row]), sample.name, int(row)) for row in far]
    shuffled = np.random.default_rng(watched.number).permutation(len(doubtful))  # of elements that no kernel has compared, any
    rows = sorted((doubtful[k] for k in shuffled), key=lambda entry: -entry[0])
    widths = {sample.name: sample.width for sample in watched.samples}
    chosen = _within(PROVEN, [(name, row) for _, name, row in rows], widths)
    both = _together(chosen, _within(CONTROL, calm, widths))
    failing: Chosen = {}
    classes: list[str | None] = []
    for part in by_format(watched, both):
        _, verdict, outside, ratio_of = proven(watched, part, required)
        failing |= outside
        classes.append(verdict.attained)
        for array, largest in ratio_of.items():
            worst[array] = max(worst.get(array, 0.0), largest)
    attained = max((str(name) for name in classes), key=CLASSES.index) if classes and None not in classes else None
    size_of = sum(len(some) * widths[name] for name, some in chosen.items())
    return Judgement(
        number=watched.number,
        elements=elements,
        cleared=cleared,
        proven=size_of,
        left=elements - cleared - size_of,
        worst=worst,
        facts=facts,
        failing=failing,
        attained=attained,
        compared=sum(_still(watched, sample) for sample in watched.samples),
        population=population,
        drawn=max(drawn - max(len(rows) - sum(map(len, chosen.values())), 0), 0),
    )


def proven(watched: Watched, chosen: Mapping[str, Array], required: str) -> tuple[Golden, CaseVerdict, Chosen, dict[str, float]]:
    """The proof: the exact result and the bound of these rows, the verdict, the rows outside, and the worst |error|/bound per array."""
    golden, outcome = golden_of(watched, chosen, "watch", "A sample.")
    verdict = judge(golden, outcome, required)
    failing: Chosen = {}
    worst: dict[str, float] = {}
    for name, arrays in outcome.states.items():
        outside = np.zeros(len(chosen[name]), bool)
        for array, got in arrays.items():
            if array in golden.expected[name]:
                ratio = ratios(got, golden.expected[name][array], required)[0].reshape(len(outside), -1).max(axis=1)
                outside |= ratio > 1
                worst[array] = max(worst.get(array, 0.0), float(ratio.max(initial=0.0)))
        if outside.any():
            failing[name] = chosen[name][outside]
    return golden, verdict, failing, worst


def by_format(watched: Watched, chosen: Mapping[str, Array]) -> list[Chosen]:
    """The chosen rows, apart for each format that a parameter is computed in: a case has one for all of its parameters."""
    parts: dict[str, Chosen] = {}
    for sample in watched.samples:
        if sample.name in chosen:
            parts.setdefault(format_of(watched, sample), {})[sample.name] = chosen[sample.name]
    return list(parts.values())


def format_of(watched: Watched, sample: Sample) -> str:
    """What a step of this parameter computes in."""
    gradient = [] if sample.gradient is None else [str(sample.gradient.dtype)]
    return computed_format({*(watched.dtype_of(sample, array) for array in sample.after), *gradient})


def golden_of(watched: Watched, chosen: Mapping[str, Array], slug: str, about: str) -> tuple[Golden, Outcome]:
    """A vector of these rows, and what the implementation gave for it."""
    case, states = case_of(watched, chosen, f"{watched.dialect}/watch/{slug}", about)
    golden = Golden(case, expectations(case), "step" if any(param.exp_avg is not None for param in case.params) else "trajectory")
    shown = {name: {array: got for array, got in arrays.items() if array in golden.expected[name]} for name, arrays in states.items()}
    return golden, Outcome(case.id, End.STATES, shown)


def _margin() -> float:
    from ._kernel import MARGIN

    return MARGIN


def _counts_are_whole(sample: Sample) -> bool:
    return float(sample.counts[0]).is_integer() and sample.counts[0] >= 0


def _cleared(watched: Watched, sample: Sample, required: str) -> Array | None:
    """|error|/bound per array and updated row, at most that; None where the kernel does not compute the step."""
    assert sample.gradient is not None
    table = dialect(watched.dialect)
    hyper, picks = table.resolve(watched.settings[sample.group], (), watched.grad_scale)
    kept = [array for array in ARRAYS if array in sample.after]
    formats = {array: watched.dtype_of(sample, array) for array in kept}
    computed_in = format_of(watched, sample)
    plan = plan_of(watched.dialect, hyper, picks, int(sample.counts[0]) + 1, computed_in, required)
    arrays = ARRAYS if plan is not None and plan.amsgrad else ARRAYS[:3]
    if plan is None or not set(arrays) <= set(kept):
        return None
    from ._kernel import ratios_of

    n, width = sample.updated, sample.width
    before = [_float32(sample.before.get(array), n, width) for array in arrays]
    after = [_float32(sample.after[array], n, width) for array in arrays]
    gradient, error = _merged(sample, plan.rounding)
    return ratios_of(plan, before, gradient, after, _narrower(formats, computed_in, required), error, width)


def _float32(array: Array | None, n: int, width: int) -> Array:
    """The updated rows, flat; moments that are not there yet are zero. Every narrower format is exact in float32."""
    if array is None:
        return np.zeros(n * width, np.float32)
    return np.ascontiguousarray(array[:n], np.float32).reshape(-1)


def _merged(sample: Sample, rounding: float) -> tuple[Array, Array]:
    """The gradient of each updated row, and less than the error that a sum of its occurrences in the format is granted.

    Of c occurrences `Bounded` charges (c - 2) roundings of the sum of all |g|, and one of the sum.
    """
    values = np.asarray(sample.gradient)
    if sample.dense or (len(sample.rows) == sample.updated and (sample.rows == np.arange(sample.updated)).all()):
        return np.ascontiguousarray(values[: sample.updated], np.float32).reshape(-1), np.zeros(0)
    total, size = np.zeros((2, sample.updated, sample.width))
    np.add.at(total, sample.rows, values.astype(np.float64))
    np.add.at(size, sample.rows, np.abs(values.astype(np.float64)))
    more = np.bincount(sample.rows, minlength=sample.updated)[:, None] - 1
    error = rounding * (np.maximum(more - 1, 0) * size + (more > 0) * np.abs(total))
    return total.reshape(-1), error.reshape(-1)


def _narrower(formats: Mapping[str, str], computed_in: str, required: str) -> Array:
    """What the conversion of each array to its own dtype adds, relative (half of the largest rounding) and absolute."""
    kept = np.zeros((4, 2))
    for index, array in enumerate(ARRAYS):
        if formats.get(array, computed_in) != computed_in:
            rounding = tensor_rounding(FORMATS[formats[array]])
            kept[index] = float(rounding.relative[CLASSES.index(required), 0, 0]) / 2, FORMATS[formats[array]].smallest
    return kept


def _facts(watched: Watched, sample: Sample) -> Iterator[Fact]:
    """What is wrong with the count, and with what must keep its bits."""
    before, after = sample.counts
    moves = sample.gradient is not None and not watched.skipped
    advance = _advance(watched, sample)
    if advance is not None and after != before + advance:
        why = "that leaves the call out" if watched.skipped else "without a gradient" if sample.gradient is None else "with a gradient"
        yield Fact(sample.name, "step", f"the step count of {sample.name!r} is {after:g} after a call {why}, and was {before:g}")
    for array in ARRAYS[1:3]:
        if moves and array not in sample.after:
            yield Fact(sample.name, array, f"there is no {array} of {sample.name!r} after a call with a gradient")
    start = sample.updated if moves else 0
    if start == len(sample.places):
        return
    for array, got in sample.after.items():
        old = sample.before.get(array)
        same = _bits(got[start:]) == (_bits(np.zeros_like(got[start:])) if old is None else _bits(old[start:]))
        if not same.all():
            row = int(np.argwhere(~same)[0][0]) + start
            what = "a row that the gradient does not store" if moves else "a parameter that the call leaves out"
            yield Fact(sample.name, array, f"{array} of {sample.name!r} changes at {int(sample.places[row])}, {what}")


def _advance(watched: Watched, sample: Sample) -> int | None:
    """By how much the call must raise the count, as the dialect counts; None where the sample does not tell."""
    if watched.skipped:
        return 0
    counter = dialect(watched.dialect).resolve(watched.settings[sample.group], (), watched.grad_scale)[1].counter
    is_stored = sample.gradient is not None and sample.population > 0
    if counter is Counter.CALL_NONEMPTY:
        return 1 if any(other.gradient is not None and other.population for other in watched.samples) else None
    by_counter = {Counter.CALL: True, Counter.PARAMETER: sample.gradient is not None, Counter.PARAMETER_NONEMPTY: is_stored}
    return int(by_counter[counter]) if counter in by_counter else None


def _bits(array: Array) -> Array:
    return np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")


def _still(watched: Watched, sample: Sample) -> int:
    """Elements that were compared by bits."""
    moves = sample.gradient is not None and not watched.skipped
    return (len(sample.places) - sample.updated * moves) * sample.width


def _within(elements: int, rows: Sequence[tuple[str, int]], widths: Mapping[str, int]) -> Chosen:
    """The first rows that have so many elements together; one at least."""
    chosen: dict[str, list[int]] = {}
    taken = 0
    for name, row in rows:
        if taken and taken + widths[name] > elements:
            break
        taken += widths[name]
        chosen.setdefault(name, []).append(row)
    return {name: np.array(sorted(some)) for name, some in chosen.items()}


def _together(*several: Chosen) -> Chosen:
    names = dict.fromkeys(name for chosen in several for name in chosen)
    return {name: np.unique(np.concatenate([chosen[name] for chosen in several if name in chosen])) for name in names}
