"""Wrong: which step number the bias corrections take, and how the powers of the betas are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from refimpl.case import Step

from .dialects import ADAM, APART, DENSIFIED, LAZY, SPARSE, Settings
from .hooks import Hooks, base, counts, rounded
from .implementation import Call, Implementation, Slot
from .table import NO_CAUSE, Answer, Row, named, placed, within, wrong

TORCH = (SPARSE, ADAM)
MINDSPORE = (LAZY, APART, DENSIFIED)
COUNTED = ("basics/*", "counters/*", "resumed/*", "groups/*", "pairs/*")


def ceiling(n: int) -> Answer:
    return within("counter-ceiling", n)


def wraps(n: int) -> Answer:
    return within("counter-wraps", n)


def counted_in(format: str) -> Hooks:
    """A count that is kept in a narrow format, where adding 1 stops at some number."""
    return counts(lambda run, slot, t: min(t, FIRST_STUCK[format]))


FIRST_STUCK = {"bfloat16": 256, "float16": 2048}


def per_call(run: Implementation, slot: Slot, gradient: Any) -> int:
    base.count(run, slot, gradient)
    return run.case.params[0].step + run.number


def per_parameter(run: Implementation, slot: Slot, gradient: Any) -> int:
    slot.count += 1
    return slot.count


def bumped_by_each(run: Implementation, slot: Slot, gradient: Any) -> int:
    """One count that every parameter advances."""
    run.__dict__["bumped"] = bumped = run.__dict__.get("bumped", run.first_call()) + 1
    return bumped


def skips_empty(run: Implementation, slot: Slot, gradient: Any) -> int:
    return base.count(run, slot, gradient) if is_filled(gradient) else max(slot.count, 1)


def is_filled(gradient: Any) -> bool:
    if gradient is None:
        return False
    return bool(len(gradient.data) if hasattr(gradient, "coords") else len(gradient.indices) if hasattr(gradient, "indices") else True)


def skips_empty_calls(run: Implementation, step: Step) -> None:
    run.calls += any(map(is_filled, step.gradients.values()))


def shared_by_group(run: Implementation, slot: Slot, gradient: Any) -> int:
    """One count for the parameters of a group, advanced by each call that brings one of them a gradient."""
    own = run.__dict__.setdefault("by_group", {})
    last, t = own.get(slot.param.group, (0, slot.count))
    if last != run.number:
        t += 1
    own[slot.param.group] = (run.number, t)
    return t


def of_another(which: Callable[[Implementation, list[Slot]], Slot]) -> Hooks:
    """All parameters of a call take the count of one. which: of the slots that the call updates (or of all, where it updates none)."""

    def work(run: Implementation, step: Step) -> Iterator[tuple[Slot, Any]]:
        slots = [slot for slot, _ in base.work(run, step)]
        leading = which(run, slots)
        run.__dict__["led"] = leading.count + 1 if leading in slots else max(leading.count, 1)
        yield from base.work(run, step)

    def count(run: Implementation, slot: Slot, gradient: Any) -> int:
        slot.count += 1
        return run.__dict__["led"]

    return {"work": work, "count": count}


def in_group(run: Implementation, slots: list[Slot]) -> Slot:
    """The last active parameter of the first group that is active."""
    group = slots[0].param.group
    return [slot for slot in slots if slot.param.group == group][-1]


def last_active_of_group(run: Implementation, step: Step) -> Iterator[tuple[Slot, Any]]:
    """DeepSpeed's FusedAdam: the last active parameter's count is the group's."""
    slots = [slot for slot, _ in base.work(run, step)]
    run.__dict__["leads"] = {slot.param.group: slot.count + 1 for slot in slots}
    yield from base.work(run, step)


def led_by_group(run: Implementation, slot: Slot, gradient: Any) -> int:
    slot.count += 1
    return run.__dict__["leads"][slot.param.group]


def missing_counts(run: Implementation, step: Step) -> None:
    for name, slot in run.slots.items():
        slot.count += step.gradients.get(name) is None


def corrected(change: Callable[..., Any]) -> Hooks:
    """change: (c1, c2) from the call and the right ones."""
    return {"corrections": lambda run, call: change(call, *base.corrections(run, call))}


def per_row(run: Implementation, call: Call, rows: np.ndarray, g: np.ndarray) -> None:
    own = run.__dict__.setdefault("by_row", {}).setdefault((call.name, call.shape), np.full(call.shape[0], call.slot.param.step))
    own[rows] += 1
    for t in np.unique(own[rows]):
        call.t = int(t)
        call.c1, call.c2 = run.corrections(call)
        some = own[rows] == t
        base.move(run, call, rows[some], g[some])


def first_betas(run: Implementation, call: Call) -> Any:
    first = Settings.of(run.case.groups[call.group].hyper)
    return 1 - first.beta1**call.t, 1 - first.beta2**call.t


def running_product(run: Implementation, call: Call) -> Any:
    """Powers that each step multiplies by the betas of that step."""
    start = (call.s.beta1 ** (call.t - 1), call.s.beta2 ** (call.t - 1))
    own = run.__dict__.setdefault("products", {})
    power1, power2 = own.get(call.name, start)
    own[call.name] = power1, power2 = power1 * call.s.beta1, power2 * call.s.beta2
    return 1 - power1, 1 - power2


def loaded(change: Callable[..., Any]) -> Hooks:
    """A count that is changed when a state is loaded."""
    return {
        "first_count": lambda run, param: change(param.step) if param.step else 0,
        "first_call": lambda run: change(base.first_call(run)) if base.first_call(run) else 0,
    }


def restarts(run: Implementation, slot: Slot, gradient: Any) -> int:
    """A change of the schedule resets the count."""
    t = base.count(run, slot, gradient)
    if run.number > 1 and any(run.case.steps[run.number - 1].hyper or ()):
        slot.__dict__["restarted"] = t - 1
    return t - slot.__dict__.get("restarted", 0)


row = partial(wrong, cases=COUNTED)

# fmt: off
ROWS: tuple[Row, ...] = (
    row("one-ahead", "powers advanced before use: t + 1", "Paddle 53052", named("counter-one-ahead"), counts(lambda run, slot, t: t + 1)),
    row("two-ahead", "t + 2", "two hooks count", named("counter-two-ahead"), counts(lambda run, slot, t: t + 2)),
    row("from-zero", "t counted from 0", "burn 630, Oneflow 5960", named("counter-from-zero").or_none(), counts(lambda run, slot, t: t - 1)),
    row("from-zero-clamped", "t - 1, but at least 1", "a division avoided", named("counter-from-zero-then-one"),
        counts(lambda run, slot, t: max(t - 1, 1))),
    row("from-zero-uncorrected", "t - 1, and nothing corrected at 0", "onnx 1.23.2", named("counter-from-zero-uncorrected"),
        corrected(lambda call, c1, c2: (1 - call.s.beta1 ** (call.t - 1) or 1.0, 1 - call.s.beta2 ** (call.t - 1) or 1.0))),
    row("doubled", "t bumped twice per call", "MXNet 13752", named("counter-doubled"), counts(lambda run, slot, t: 2 * t)),
    row("tripled", "t bumped three times per call", "three devices", placed("three times|tripled|3 t|multiplied by 3").or_none(),
        counts(lambda run, slot, t: 3 * t)),
    row("halved", "t counts every other call", "accumulation of 2", named("counter-halved"), counts(lambda run, slot, t: (t + 1) // 2)),
    row("thousand-ahead", "t starts at 1000", "warm start assumed", placed(r"1,?000 (steps )?ahead|1,?000 is added|\+ 1,?000").or_none(), counts(lambda run, slot, t: t + 1000)),
    row("stuck-at-1", "t stays 1", "a count that is not stored", named("counter-stuck"), counts(lambda run, slot, t: 1)),
    *(row(f"count-in-{format}", f"the count is kept in {format} and stops at {n}", "torch 2.13.0 AdamW, torchao 0.18.0", ceiling(n), counted_in(format), cases=("resumed/after-*", "horizons/260-*"))
      for format, n in FIRST_STUCK.items()),
    *(row(f"count-to-{n}", f"t is at most {n}", "a table of corrections", ceiling(n), counts(lambda run, slot, t, n=n: min(t, n)), cases=("resumed/after-*", "horizons/260-*"))
      for n in (100, 1000, 10_000)),
    *(row(f"count-in-{bits}-bits", f"t wraps at {1 << bits}", "narrow integer", wraps(1 << bits), counts(lambda run, slot, t, bits=bits: t % (1 << bits)), cases=("resumed/after-*", "horizons/260-*"))
      for bits in (8, 16)),
    row("count-in-7-bits-signed", "t wraps at 128, to negative numbers", "int8", placed(r"wraps at 128").or_none(), counts(lambda run, slot, t: int(np.int64(t).astype(np.int8))), cases=("resumed/after-*", "horizons/260-*")),
    row("count-wraps-to-1", "after 255, t is 1 again", "narrow integer, zero avoided", placed(r"wraps at 25[56], to 1"), counts(lambda run, slot, t: (t - 1) % 255 + 1), cases=("resumed/after-*", "horizons/260-*")),
    row("per-call", "one count for all parameters, advanced by every call", "TensorFlow", named("counter-per-optimizer"), {"count": per_call}, dialects=TORCH),
    row("per-parameter", "a count per parameter, advanced by its gradients", "torch", named("counter-per-parameter"), {"count": per_parameter}, dialects=MINDSPORE),
    row("per-row", "a count per row", "DGL; FBGEMM 3342, 3558", named("counter-per-row"), {"move": per_row}, dialects=(SPARSE, LAZY)),
    row("bumped-by-each", "one count, bumped by each parameter", "MXNet 13752, Paddle 48297", named("counter-bumped-per-parameter"), {"count": bumped_by_each}),
    row("skips-empty", "an empty gradient is not counted", "Paddle, lazy_mode", named("counter-skips-empty"), {"count": skips_empty}, dialects=(SPARSE,)),
    row("skips-empty-calls", "a call whose gradients are all empty is not counted", "Paddle", named("counter-of-optimizer-skips-empty"),
        {"begin": skips_empty_calls}, dialects=MINDSPORE),
    row("shared-by-group", "one count per group, advanced by calls that bring it a gradient", "group['step']", named("counter-shared-by-group", "counter-per-optimizer"),
        {"count": shared_by_group}, dialects=TORCH),
    row("of-last-active", "the last active parameter's count for the whole group", "DeepSpeed PR 8471", named("counter-of-last-parameter"),
        {"work": last_active_of_group, "count": led_by_group}, dialects=TORCH),
    row("of-last-of-all", "the last active parameter's count for all groups", "one kernel call", named("counter-of-last-parameter"),
        of_another(lambda run, slots: slots[-1] if slots else run.slots[run.case.params[0].name]), dialects=TORCH),
    row("of-first-parameter", "the first parameter's count for all", "state of params[0]", named("counter-of-first-parameter"),
        of_another(lambda run, slots: next(iter(run.slots.values()))), dialects=TORCH),
    row("of-first-active", "the first active parameter's count for all", "state of the first gradient", named("counter-of-first-active", "counter-of-first-parameter"),
        of_another(lambda run, slots: slots[0] if slots else next(iter(run.slots.values()))), dialects=TORCH),
    row("of-first-group", "later groups take their count from the first group", "shared counters", named("counter-of-first-group", "counter-of-first-parameter"),
        {"count": lambda run, slot, gradient: (base.count(run, slot, gradient), max((next(iter(run.slots.values())) if slot.param.group else slot).count, 1))[1]},
        dialects=TORCH, cases=("groups/*", "counters/*", "pairs/*groups*")),
    row("missing-counts", "a missing gradient counts", "one loop for all", named("counter-advanced-by-missing", "counter-per-optimizer"), {"end": missing_counts}, dialects=TORCH),
    *(row(f"corrections-off-after-{n}", f"no bias correction after {n} steps", "they are nearly 1", within("correction is switched off after", n),
          corrected(lambda call, c1, c2, n=n: (1.0, 1.0) if call.t > n else (c1, c2)), cases=("resumed/after-*", "horizons/260-*")) for n in (10, 1000, 10_000)),
    row("c1-off-after-100", "c1 is 1 after 100 steps", "it is nearly 1", placed("first.*correction.*(off|after)").or_none(), corrected(lambda call, c1, c2: (1.0 if call.t > 100 else c1, c2)), cases=("resumed/after-*",)),
    row("c1-off-after-10", "c1 is 1 after 10 steps", "it is nearly 1", placed("first.*correction.*(off|after)").or_none(), corrected(lambda call, c1, c2: (1.0 if call.t > 10 else c1, c2)), cases=("resumed/after-*",)),
    row("corrections-exchanged", "c1 stands for c2 and c2 for c1", "arguments exchanged", named("corrections-exchanged"), corrected(lambda call, c1, c2: (c2, c1))),
    row("c1-for-both", "c1 stands for c2 too", "one variable", placed("first.*correction.*(both|second)").or_none(), corrected(lambda call, c1, c2: (c1, c1))),
    row("c2-for-both", "c2 stands for c1 too", "one variable", placed("second.*correction.*(both|first)").or_none(), corrected(lambda call, c1, c2: (c2, c2))),
    row("corrections-multiplied", "moments are multiplied by their corrections", "division forgotten", named("corrections-multiplied"),
        corrected(lambda call, c1, c2: (1 / c1, 1 / c2))),
    row("c2-without-root", "c2 instead of its root", "root forgotten", named("correction-without-root"), corrected(lambda call, c1, c2: (c1, c2 * c2))),
    row("no-correction", "no bias correction", "gsplat 604; mlx 0.32.4", named("no-bias-correction"), corrected(lambda call, c1, c2: (1.0, 1.0))),
    row("no-first-correction", "c1 is 1", "mutant", named("no-first-bias-correction"), corrected(lambda call, c1, c2: (1.0, c2))),
    row("no-second-correction", "c2 is 1", "mutant", named("no-second-bias-correction"), corrected(lambda call, c1, c2: (c1, 1.0))),
    row("powers-of-first-betas", "powers are those of the first betas", "tt-metal 53212", named("powers-from-first-betas"), {"corrections": first_betas},
        dialects=TORCH, cases=("schedules/*", "pairs/*schedule-betas*")),
    row("powers-by-changing-product", "powers are a running product of changing betas", "tt-metal 53212", named("powers-by-running-product"),
        {"corrections": running_product}, dialects=TORCH, cases=("schedules/*", "pairs/*schedule-betas*")),
    row("step-dropped-on-load", "a loaded state counts from zero", "FBGEMM 4102", named("step-dropped-on-load"), loaded(lambda t: 0), cases=("resumed/*",)),
    row("one-less-on-load", "a loaded count is one too small", "TF-style powers", named("counter-off-by-one-on-load"), loaded(lambda t: t - 1), cases=("resumed/*",)),
    row("one-more-on-load", "a loaded count is one too large", "MindSpore-style powers", named("counter-off-by-one-on-load"), loaded(lambda t: t + 1), cases=("resumed/*",)),
    row("first-step-for-all", "every parameter takes the loaded count of the first", "one count in the file", named("counter-of-first-on-load"),
        {"first_count": lambda run, param: run.case.params[0].step}, dialects=TORCH, cases=("resumed/*", "pairs/*resume*")),
    row("last-step-for-all", "every parameter takes the loaded count of the last", "one count in the file", named("counter-of-last-on-load"),
        {"first_count": lambda run, param: run.case.params[-1].step}, dialects=TORCH, cases=("resumed/*", "pairs/*resume*")),
    row("loaded-in-float16", "a loaded count is rounded to float16", "a state cast as a whole", NO_CAUSE, loaded(lambda t: int(min(rounded(t, "float16"), 65504))), cases=("resumed/*",)),
    row("loaded-count-to-1000", "a loaded count is at most 1000", "a table of corrections", within("count that is loaded is at most", 1000), loaded(lambda t: min(t, 1000)), cases=("resumed/*",)),
    row("restarts", "a change of the schedule starts the count anew", "an optimizer made again", named("counter-restarts"), {"count": restarts}, dialects=(SPARSE, ADAM), cases=("schedules/*", "pairs/*schedule-lr*")),
)
# fmt: on
