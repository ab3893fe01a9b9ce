"""Wrong: what a call does beyond one parameter: missing and lost gradients, loaded states, the caller's arrays, other runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from refimpl.backends import RowGradient, Step
from refimpl.case import Param

from .dialects import ADAM, ALL, APART, DENSIFIED, LAZY, SPARSE
from .hooks import Hooks, base, rounded
from .implementation import Call, Implementation, Slot
from .table import NO_CAUSE, Row, named, placed, refused_because, wrong

MINDSPORE = (LAZY, APART, DENSIFIED)
DECAYING = (ADAM, LAZY, APART, DENSIFIED)
COUNTED = ("counters/*", "options/*", "groups/*", "pairs/*")
RESUMED = ("resumed/*", "pairs/*resume*", "pairs/*amsgrad*")
LAYOUTS = ("layouts/*", "basics/*", "duplicates/*")


def zeros_for(slot: Slot, sparse: bool, empty: bool) -> Any:
    shape = slot.param.value.shape
    if not sparse:
        return np.zeros(shape, slot.param.value.dtype)
    rows = np.zeros(0, np.int64) if empty else np.arange(shape[0])
    return RowGradient(rows, np.zeros((len(rows), *shape[1:]), slot.param.value.dtype), shape)


def fills_missing(empty: bool) -> Hooks:
    """A missing gradient is taken as zeros, or as one without rows."""

    def work(run: Implementation, step: Step) -> Iterator[tuple[Slot, Any]]:
        for name, slot in run.slots.items():
            gradient = step.gradients.get(name)
            yield slot, zeros_for(slot, run.traits.gradients[0] == "rows", empty) if gradient is None else gradient

    return {"work": work}


def decays_missing(run: Implementation, step: Step) -> None:
    """A parameter without a gradient still decays."""
    for name, slot in run.slots.items():
        s = run.settings(slot)
        if step.gradients.get(name) is None and s.decoupled:
            slot.arrays["param"] *= slot.param.value.dtype.type(1 - s.lr * s.weight_decay)


def moves_missing(run: Implementation, step: Step) -> None:
    """A parameter without a gradient is moved by its moments."""
    for name, slot in run.slots.items():
        if step.gradients.get(name) is None and slot.count:
            call = run.call(slot, np.zeros(slot.param.value.shape, slot.param.value.dtype))
            slot.count -= 1
            slot.arrays["param"] -= run.change(call, slot.arrays["exp_avg"], slot.arrays["exp_avg_sq"])


def last_gradient(empty_too: bool = False) -> Hooks:
    """A missing gradient is that of the last call: it was not cleared."""

    def work(run: Implementation, step: Step) -> Iterator[tuple[Slot, Any]]:
        kept = run.__dict__.setdefault("gradients", {})
        kept.update({name: gradient for name, gradient in step.gradients.items() if gradient is not None})
        for name, slot in run.slots.items():
            if name in kept:
                yield slot, kept[name]

    return {"work": work}


def late_gradient(run: Implementation, step: Step) -> Iterator[tuple[Slot, Any]]:
    """Each call updates with the gradients of the call before."""
    kept = run.__dict__.get("gradients", {})
    run.__dict__["gradients"] = dict(step.gradients)
    yield from base.work(run, Step(kept, step.hyper))


def accumulated(run: Implementation, step: Step) -> Iterator[tuple[Slot, Any]]:
    """Gradients are never cleared: each call adds its own."""
    total = run.__dict__.setdefault("total", {})
    for slot, gradient in base.work(run, step):
        rows, values = base.occurrences(run, run.call(slot, gradient), gradient)
        slot.count -= 1
        whole = total.setdefault(
            slot.param.name, np.zeros((len(slot.param.value) if slot.param.value.ndim else 1, values.shape[1]), values.dtype)
        )
        np.add.at(whole, rows, values)
        if isinstance(gradient, RowGradient):
            stored = np.unique(rows)
            yield slot, RowGradient(stored, whole[stored].reshape(len(stored), *gradient.shape[1:]), gradient.shape)
        else:
            yield slot, whole.reshape(gradient.shape).copy()


def loses_calls(lost: Callable[[int], bool]) -> Hooks:
    """Some calls change nothing. lost: from the number of the call, from 1."""
    return {"work": lambda run, step: () if lost(run.number) else base.work(run, step)}


def stops_at(ends: Callable[[Any], bool]) -> Hooks:
    """The loop over the parameters ends at the first gradient of a kind."""

    def work(run: Implementation, step: Step) -> Iterator[tuple[Slot, Any]]:
        for name, slot in run.slots.items():
            gradient = step.gradients.get(name)
            if ends(gradient):
                return
            if gradient is not None:
                yield slot, gradient

    return {"work": work}


def is_empty(gradient: Any) -> bool:
    return isinstance(gradient, RowGradient) and not len(gradient.indices)


def first_empty_lost(run: Implementation, slot: Slot, gradient: Any) -> int:
    """State is made at the first gradient; an empty first one makes none."""
    if slot.count == 0 and is_empty(gradient):
        return 1
    return base.count(run, slot, gradient)


def reversed_parameters(run: Implementation, step: Step) -> Iterator[tuple[Slot, Any]]:
    """Gradients are handed to the parameters from the last on, where shapes allow it."""
    slots = [slot for slot, _ in base.work(run, step)]
    gradients = [gradient for _, gradient in base.work(run, step)]
    fits = all(slot.param.value.shape == slots[0].param.value.shape for slot in slots)
    yield from zip(slots, gradients[::-1] if fits else gradients)


def loads(**changes: Callable[[np.ndarray], np.ndarray]) -> Hooks:
    """Loaded arrays are changed. changes: array to a function of what is given."""

    def moment(run: Implementation, param: Param, array: str) -> np.ndarray:
        loaded = base.moment(run, param, array)
        change = changes.get(array)
        return change(loaded) if change is not None and getattr(param, array) is not None else loaded

    return {"moment": moment}


def exchanged_on_load(run: Implementation, param: Param, array: str) -> np.ndarray:
    other = {"exp_avg": "exp_avg_sq", "exp_avg_sq": "exp_avg"}
    return base.moment(run, param, other.get(array, array) if param.exp_avg is not None else array)


def maximum_from_v(run: Implementation, param: Param, array: str) -> np.ndarray:
    return base.moment(run, param, "exp_avg_sq" if array == "max_exp_avg_sq" else array)


def negates_in_place(run: Implementation, slot: Slot, gradient: Any) -> None:
    values = gradient.values if isinstance(gradient, RowGradient) else gradient.data if hasattr(gradient, "coords") else gradient
    if run.settings(slot).maximize and values.flags.writeable:
        np.negative(values, out=values)
        base.update(run, slot, gradient)
        return
    base.update(run, slot, gradient)


def sorts_in_place(run: Implementation, slot: Slot, gradient: Any) -> None:
    if isinstance(gradient, RowGradient) and gradient.indices.flags.writeable and gradient.values.flags.writeable:
        order = np.argsort(gradient.indices, kind="stable")
        gradient.values[:] = gradient.values[order]
        gradient.indices[:] = gradient.indices[order]
    base.update(run, slot, gradient)


def wrapped_rows(run: Implementation, call: Call, gradient: Any) -> tuple[np.ndarray, np.ndarray]:
    rows, values = base.occurrences(run, call, gradient)
    return rows % call.shape[0], values


def clears_gradient(run: Implementation, slot: Slot, gradient: Any) -> None:
    base.update(run, slot, gradient)
    values = gradient.values if isinstance(gradient, RowGradient) else gradient.data if hasattr(gradient, "coords") else gradient
    if values.flags.writeable:
        values[...] = 0


def without_copies(run: Implementation, array: np.ndarray) -> np.ndarray:
    return array if array.flags.writeable and array.flags.c_contiguous else np.array(array, order="C")


def sets_lr(run: Implementation, hyper: dict[str, Any]) -> None:
    base.validate(run, hyper)
    for group in run.case.groups:
        hyper_of_caller: Any = group.hyper  # its type is read-only, and the fault writes to it
        hyper_of_caller["use_it"] = True


def moves_before_refusing(run: Implementation, slot: Slot, gradient: Any) -> None:
    try:
        base.refuse(run, slot, gradient)
    except Exception:
        for other in run.slots.values():
            other.arrays["param"] += 1
        raise


_counts: dict[str, int] = {}


def counts_in_class(run: Implementation, slot: Slot, gradient: Any) -> int:
    """Counts that all runs of the process share."""
    base.count(run, slot, gradient)
    _counts[slot.param.name] = _counts.get(slot.param.name, slot.param.step) + 1
    return _counts[slot.param.name]


_made: dict[Any, Any] = {}


def state_in_class(run: Implementation, place: int, param: Param) -> Slot:
    """Moments that all runs of the process share, by name and shape."""
    made = base.slot(run, place, param)
    key = (param.name, param.value.shape, param.value.dtype)
    if param.exp_avg is None:
        for array in ("exp_avg", "exp_avg_sq"):
            made.arrays[array] = _made.setdefault((key, array), made.arrays[array])
    return made


_noise = np.random.default_rng(1)


def noisy(run: Implementation, call: Call, d: np.ndarray, v: np.ndarray) -> np.ndarray:
    change = base.change(run, call, d, v)
    return change * (1 + _noise.normal(size=change.shape) * 1e-3).astype(change.dtype)


def races(run: Implementation, call: Call, rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As if two threads added without a lock: occurrences are lost at random."""
    return base.merge(run, call, rows[kept], g[kept]) if (kept := _noise.random(len(rows)) < 0.9).any() else base.merge(run, call, rows, g)


row = partial(wrong, dialects=ALL)

# fmt: off
ROWS: tuple[Row, ...] = (
    row("missing-as-zeros", "a missing gradient counts as zeros", "chainer 7.8.1", named("missing-as-zeros"), fills_missing(empty=False), cases=COUNTED),
    row("missing-as-empty", "a missing gradient counts as one without rows", "one loop for all", named("missing-as-empty", "counter-advanced-by-missing", "counter-per-optimizer"), fills_missing(empty=True), dialects=(SPARSE,), cases=COUNTED),
    row("missing-as-empty-dense", "a missing gradient by rows counts as one without rows", "one loop for all", named("missing-as-empty", "missing-as-zeros"), fills_missing(empty=True), dialects=(DENSIFIED,), cases=COUNTED),
    row("missing-decays", "a parameter without a gradient still decays", "KellerJordan/Muon 54", named("missing-still-decays"), {"end": decays_missing}, dialects=(ADAM,), cases=COUNTED),
    row("missing-moves", "a parameter without a gradient moves on with its moments", "momentum loop", placed("missing.*moves").or_none(), {"end": moves_missing}, dialects=(ADAM,), cases=COUNTED),
    row("gradient-not-cleared", "a missing gradient is that of the last call", "set_to_none", named("gradient-of-last-call").or_placed("missing.*last").or_none(), last_gradient(), cases=COUNTED),
    row("gradient-of-call-before", "each call takes the gradients of the call before", "pipelined reduction", named("gradient-of-last-call"), {"work": late_gradient}, dialects=(SPARSE, ADAM)),
    row("gradients-accumulate", "each call takes the sum of all gradients so far", "zero_grad forgotten", named("gradients-accumulate"), {"work": accumulated}, dialects=(ADAM, DENSIFIED)),
    row("first-call-lost", "the first call changes nothing", "lazy initialisation", named("call-lost"), loses_calls(lambda n: n == 1)),
    row("third-call-lost", "the third call changes nothing", "a skipped step", named("call-lost"), loses_calls(lambda n: n == 3)),
    row("every-other-call-lost", "every other call changes nothing", "accumulation of 2", placed("call.*(second|other|2)").or_none(), loses_calls(lambda n: n % 2 == 0)),
    row("stops-at-empty", "an empty gradient ends the loop", "break for continue", placed("after.*empty").or_none(), stops_at(is_empty), dialects=(SPARSE, LAZY), cases=("counters/*",)),
    row("stops-at-missing", "a missing gradient ends the loop", "break for continue", placed("after.*missing").or_none(), stops_at(lambda gradient: gradient is None), cases=COUNTED),
    row("first-empty-lost", "an empty first gradient is not counted", "state made late", placed("empty.*first|first.*empty").or_none(), {"count": first_empty_lost}, dialects=(SPARSE,), cases=("counters/*",)),
    row("gradients-permuted", "gradients of parameters of one shape are handed out from the last on", "order of a dictionary", NO_CAUSE, {"work": reversed_parameters}, dialects=(SPARSE, ADAM), cases=("counters/*", "sizes/*")),
    row("moments-dropped-on-load", "loaded moments are dropped", "mutant", named("moments-dropped-on-load"), loads(exp_avg=np.zeros_like, exp_avg_sq=np.zeros_like), cases=RESUMED),
    row("exp-avg-dropped-on-load", "the loaded first moment is dropped", "mutant", named("first-moment-dropped-on-load"), loads(exp_avg=np.zeros_like), cases=RESUMED),
    row("exp-avg-sq-dropped-on-load", "the loaded second moment is dropped", "mutant", named("second-moment-dropped-on-load"), loads(exp_avg_sq=np.zeros_like), cases=RESUMED),
    row("maximum-dropped-on-load", "amsgrad's loaded maximum is dropped", "not in the file", named("maximum-dropped-on-load"), loads(max_exp_avg_sq=np.zeros_like), dialects=(ADAM, DENSIFIED), cases=RESUMED),
    row("maximum-from-v-on-load", "amsgrad's maximum starts at the loaded v", "not in the file", placed("maximum.*load|load.*maximum").or_none(), {"moment": maximum_from_v}, dialects=(ADAM, DENSIFIED), cases=RESUMED),
    row("moments-halved-on-load", "loaded moments are cast to float16", "torchtitan 4615", named("moments-halved-on-load", "loaded-moments-in-float16", "moments-in-float16"),
        loads(exp_avg=partial(rounded, format="float16"), exp_avg_sq=partial(rounded, format="float16")), cases=RESUMED),
    row("moments-brained-on-load", "loaded moments are cast to bfloat16", "torchtitan 4615", placed("(load|resume).*bfloat16").or_none(),
        loads(exp_avg=partial(rounded, format="bfloat16"), exp_avg_sq=partial(rounded, format="bfloat16")), cases=RESUMED),
    row("moments-exchanged-on-load", "loaded moments are exchanged", "order of a tuple", placed("exchanged").or_none(), {"moment": exchanged_on_load}, cases=RESUMED),
    row("arrays-not-copied", "the caller's arrays are updated in place", "no copy", refused_because("change"), {"own": without_copies}, cases=LAYOUTS),
    row("negates-in-place", "maximize turns the caller's gradient around", "in-place operation", refused_because("change"), {"update": negates_in_place, "signed": lambda run, call, values: values}, dialects=(SPARSE, ADAM), cases=("options/*", "schedules/*")),
    row("sorts-in-place", "the caller's gradient is sorted", "in-place operation", refused_because("change"), {"update": sorts_in_place}, dialects=(SPARSE, LAZY), cases=LAYOUTS),
    row("clears-gradient", "the caller's gradient is set to zero", "zero_grad inside", refused_because("change"), {"update": clears_gradient}, cases=LAYOUTS),
    row("changes-settings", "a key is added to the caller's settings", "in-place operation", refused_because("was put in"), {"validate": sets_lr}, cases=LAYOUTS),
    row("moves-before-refusing", "a gradient is refused after the parameter moved", "checks too late", refused_because("refused, but"), {"refuse": moves_before_refusing}, dialects=(SPARSE, ADAM), cases=("refused/*",)),
    row("negative-rows", "negative row numbers are taken from the end", "NumPy's indexing", refused_because("accepted what must be refused"),
        {"refuse_rows": lambda run, indices, rows: None if indices.max() < rows else base.refuse_rows(run, indices, rows)}, dialects=(SPARSE,), cases=("refused/*",)),
    row("rows-outside-wrap", "row numbers beyond the table wrap", "modulo", refused_because("accepted what must be refused"),
        {"refuse_rows": lambda run, indices, rows: None, "occurrences": wrapped_rows},
        dialects=(SPARSE,), cases=("refused/*",)),
    row("dense-accepted", "a dense gradient is accepted by a sparse optimizer", "pytorch 41966", refused_because("accepted what must be refused"),
        {"refuse": lambda run, slot, gradient: None}, dialects=(SPARSE,), cases=("refused/*",)),
    row("counts-outlive-run", "counts outlive the run", "state of the class", named("only-after-other-cases").or_none(), {"count": counts_in_class}, dialects=(SPARSE, ADAM)),
    row("moments-outlive-run", "moments outlive the run", "state of the class", named("only-after-other-cases").or_none(), {"slot": state_in_class}, dialects=(SPARSE, ADAM)),
    row("noisy", "the change is off by 0.1 % at random", "atomics", named("not-deterministic").or_none(), {"change": noisy}),
    row("races", "now and then an occurrence is lost", "a race", named("not-deterministic").or_none(), {"merge": races}, dialects=(SPARSE, LAZY)),
    row("inf-skips-the-call", "a call with a gradient that is not finite is skipped", "found_inf", placed("finite|nan").or_none(),
        {"work": lambda run, step: base.work(run, step) if all_finite(step) else ()}, cases=("ranges/*",)),
    row("frozen-after-200", "nothing moves after 200 calls", "a schedule that ends", placed("after.*200|call").or_none(), loses_calls(lambda n: n > 200), cases=("horizons/*",)),
    row("empty-skipped", "an empty gradient counts as a missing one", "nothing to do", named("empty-as-missing", "empty-gradient-skipped"),
        {"work": lambda run, step: ((slot, g) for slot, g in base.work(run, step) if not is_empty(g))}, dialects=(SPARSE, DENSIFIED), cases=("counters/*",)),
    row("zero-gradients-skipped", "a gradient of zeros is skipped as if it were missing", "a test for zero", placed("zeros?.*(missing|skip)").or_none(),
        {"work": lambda run, step: ((slot, g) for slot, g in base.work(run, step) if any_nonzero(g))}, cases=("basics/*", "touched/*", "counters/*")),
)
# fmt: on


def _values(gradient: Any) -> np.ndarray:
    return gradient.values if isinstance(gradient, RowGradient) else gradient.data if hasattr(gradient, "coords") else gradient


def all_finite(step: Step) -> bool:
    return all(gradient is None or np.isfinite(_values(gradient)).all() for gradient in step.gradients.values())


def any_nonzero(gradient: Any) -> bool:
    return bool(np.any(_values(gradient) != 0))
