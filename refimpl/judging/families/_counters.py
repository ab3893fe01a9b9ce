"""Counters: the bias corrections read another function of the calls than the dialect's t."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from ...arithmetic import FORMATS
from ...case import Case
from ...dialects import Dialect
from ...reference import scheduled
from ...reference.hooks import History, Hooks, Resolved, Tick
from .._altered import to_format
from .._hypothesis import Hypothesis, Plan, Planner, numbered

Clock = Callable[[Tick], int]

CEILINGS = (1, 2, 3, 4, 5, 7, 8, 10, 15, 16, 20, 30, 31, 32, 50, 63, 64, 99, 100, 127, 128, 200, 250, 255, 256, 500, 512, 1000, 1023, 1024, 2000, 2047, 2048, 4096, 5000, 9999, 10_000, 32_767, 32_768, 65_535, 65_536,
            100_000, 1_000_000, 2**24)  # fmt: skip
"""Where counts stop: the largest integers of narrow types, the largest counts of formats (256 in bfloat16, 2048 in float16, 2^24 in float32), and
limits that people choose."""

WRAPS = (127, 128, 255, 256, 511, 512, 1000, 1023, 1024, 2047, 2048, 4095, 4096, 10_000, 32_767, 32_768, 65_535, 65_536)

UNCORRECTED = 10**8
"""A count at which every power of a beta is nearly 0, and so is its error, which grows with the count: nothing is corrected."""


def hypotheses(table: Dialect) -> Iterator[Hypothesis]:
    for id, words, clock, concerns in CLOCKS:
        yield Hypothesis(id, "counters", words, _with_clock(clock, concerns), rank=2)
    for n in CEILINGS:
        yield numbered("counter-ceiling", "counters", "the step count stops at {n}", n, _with_clock(_ceiling(n), _exceeds(n)), rank=2)
        words = "bias correction is switched off after {n} steps"
        yield numbered("correction-off-after", "counters", words, n, _with_clock(_off_after(n), _exceeds(n)), rank=3)
        loaded = _with_clock(_loaded_up_to(n), _resumed_beyond(n))
        yield numbered("resumed-count-ceiling", "counters", "a count that is loaded is at most {n}", n, loaded, rank=3)
    yield Hypothesis("counter-restarts", "counters", "a change of the settings starts the step count anew", _restarting, rank=3)
    for name in ("bfloat16", "float16", "float32"):
        counts = _with_clock(_kept_in(name), _exceeds(2 ** FORMATS[name].precision))
        words = f"the step count is kept in {name}, where it stops at {2 ** FORMATS[name].precision:,}"
        yield Hypothesis("counter-ceiling", "counters", words, counts, rank=1)
    for n in WRAPS:
        for words, clock, last, rank in (
            ("the step count wraps at {n}, to 0", _wraps(n, 0), n - 1, 3),
            ("the step count wraps at {n}, to 0, but counts at least 1", _wraps(n, 0, 1), n - 1, 4),
            ("the step count wraps at {n}, to 1", _wraps(n, 1), n, 3),
        ):
            yield numbered("counter-wraps", "counters", words, n, _with_clock(clock, _exceeds(last)), rank=rank)
    for id, words, read in POWERS:
        yield Hypothesis(id, "counters", words, _with_powers(read), rank=2)
    words = "the powers of the betas are running products, of the betas that each gradient of the parameter met"
    yield Hypothesis("powers-by-running-product", "counters", words, _own_products, rank=3)


def _ceiling(n: int) -> Clock:
    return lambda tick: min(tick.t, n)


def _loaded_up_to(n: int) -> Clock:
    return lambda tick: tick.t - tick.start + min(tick.start, n)


def _kept_in(name: str) -> Clock:
    def clock(tick: Tick) -> int:
        count = float(to_format(np.float64(tick.start), name))
        for _ in range(tick.t - tick.start):
            after = float(to_format(np.float64(count + 1), name))
            if after == count:
                break
            count = after
        return int(count) if np.isfinite(count) else UNCORRECTED

    return clock


def _wraps(n: int, to: int, least: int = 0) -> Clock:
    return lambda tick: max((tick.t - to) % n + to, least)


def _off_after(n: int) -> Clock:
    return lambda tick: UNCORRECTED if tick.t > n else tick.t


Concerns = Callable[[Case], bool]


def _exceeds(n: int) -> Concerns:
    return lambda case: max((param.step for param in case.params), default=0) + len(case.steps) > n


def _resumed_beyond(n: int) -> Concerns:
    return lambda case: max((param.step for param in case.params), default=0) > n


def _always(case: Case) -> bool:
    return True


def _resumed(case: Case) -> bool:
    return any(param.step for param in case.params)


def _several(case: Case) -> bool:
    return len(case.params) > 1


def _misses(case: Case) -> bool:
    return any(gradient is None for step in case.steps for gradient in step.gradients.values())


def _members(tick: Tick) -> list[str]:
    return [name for name, group in tick.groups.items() if group == tick.groups[tick.name]]


def _active_members(tick: Tick) -> list[str]:
    return [name for name in tick.active if tick.groups[name] == tick.groups[tick.name]]


CLOCKS: tuple[tuple[str, str, Clock, Concerns], ...] = (
    ("counter-stuck", "the step count stays at 1", lambda tick: 1, _always),
    ("counter-stuck", "the step count stays where training was resumed, or at 1", lambda tick: max(tick.start, 1), _always),
    ("counter-advanced-by-missing", "a missing gradient advances the step count", lambda tick: tick.start + tick.number, _misses),
    ("counter-shared-by-group", "the parameters of a group share a step count", lambda tick: tick.start + tick.calls[tick.groups[tick.name]], _several),
    ("counter-shared-by-group", "a group counts with its most advanced parameter", lambda tick: max(tick.counts[name] for name in _members(tick)), _several),
    ("counter-of-first-group", "every group reads the first group's step count", lambda tick: tick.start + tick.calls[0], _several),
    ("counter-of-first-group", "later groups read the step count of the first parameter",
     lambda tick: max(tick.counts[next(iter(tick.counts))], 1) if tick.groups[tick.name] else tick.t, _several),
    ("counter-of-last-parameter", "a group reads the step count of its last parameter that has a gradient",
     lambda tick: tick.counts[_active_members(tick)[-1]], _several),
    ("counter-of-last-parameter", "every parameter reads the step count of the last one that has a gradient", lambda tick: tick.counts[tick.active[-1]], _several),
    ("counter-of-last-parameter", "a group reads the step count of its last parameter", lambda tick: tick.counts[_members(tick)[-1]], _several),
    ("counter-of-last-parameter", "every parameter reads the step count of the last one", lambda tick: tick.counts[[*tick.counts][-1]], _several),
    ("counter-of-first-parameter", "a group reads the step count of its first parameter", lambda tick: tick.counts[_members(tick)[0]], _several),
    ("counter-of-first-parameter", "every parameter reads the step count of the first one", lambda tick: tick.counts[next(iter(tick.counts))], _several),
    ("counter-of-first-parameter", "a group reads the step count of its first parameter that has a gradient",
     lambda tick: tick.counts[_active_members(tick)[0]], _several),
    ("counter-of-first-parameter", "every parameter reads the step count of the first one that has a gradient", lambda tick: tick.counts[tick.active[0]], _several),
    ("counter-off-by-one-on-load", "a resumed count is one too high", lambda tick: tick.t + (tick.start > 0), _resumed),
    ("counter-off-by-one-on-load", "a resumed count is one too low", lambda tick: max(tick.t - (tick.start > 0), 0), _resumed),
    ("counter-of-first-on-load", "every parameter resumes with the first one's step count", lambda tick: tick.t - tick.start + tick.starts[next(iter(tick.starts))], _resumed),
    ("counter-of-last-on-load", "every parameter resumes with the last one's step count", lambda tick: tick.t - tick.start + tick.starts[[*tick.starts][-1]], _resumed),
    ("counter-halved", "the step count advances at every second call", lambda tick: tick.start + (tick.t - tick.start + 1) // 2, _always),
    ("counter-halved", "the bias corrections read half of the step count, rounded up", lambda tick: (tick.t + 1) // 2, _always),
    ("counter-late", "the step count is two behind, at least 1", lambda tick: max(tick.t - 2, 1), _always),
    ("counter-from-zero-then-one", "t counted from 0, and 1 at the first step", lambda tick: max(tick.t - 1, 1), _always),
    ("counter-two-ahead", "t + 2", lambda tick: tick.t + 2, _always),
)  # fmt: skip


def _with_clock(clock: Clock, concerns: Concerns) -> Planner:
    def plan(case: Case, table: Dialect) -> Plan | None:
        return Plan(case, hooks=Hooks(clock=clock)) if concerns(case) else None

    return plan


def _restarting(case: Case, table: Dialect) -> Plan | None:
    """The parameter's own gradients count, from the last call with a change on; a change at the first call changes nothing."""
    changes = [number for number, step in enumerate(case.steps, start=1) if number > 1 and any(step.hyper or ())]
    has_gradient = {param.name: [step.gradients.get(param.name) is not None for step in case.steps] for param in case.params}

    def clock(tick: Tick) -> int:
        last = max((number for number in changes if number <= tick.number), default=0)
        return sum(has_gradient[tick.name][last - 1 : tick.number]) if last else tick.t

    return Plan(case, hooks=Hooks(clock=clock)) if changes else None


Betas = Callable[[History, int, Case], "tuple[tuple[float, float], ...]"]


def _of(history: History, group: int, step: int) -> tuple[float, float]:
    hyper = history[step][group][0]
    return hyper.beta1, hyper.beta2


POWERS: tuple[tuple[str, str, Betas], ...] = (
    ("powers-from-first-betas", "the powers of the betas keep the betas of the first call", lambda history, group, case: (_of(history, group, 0),)),
    ("powers-by-running-product", "the powers of the betas are running products, of the betas that each step had",
     lambda history, group, case: tuple(_of(history, group, k) for k in range(len(history)))),
)  # fmt: skip


def _with_powers(betas: Betas) -> Planner:
    def plan(case: Case, table: Dialect) -> Plan | None:
        seen = {
            tuple((hyper.beta1, hyper.beta2) for hyper in hypers)
            for hypers in ([table.resolve(h)[0] for h in of_groups] for of_groups in scheduled(case))
        }
        if len(seen) < 2:
            return None

        def read(history: History) -> list[Resolved]:
            return [(replace(hyper, past_betas=betas(history, group, case)), picks) for group, (hyper, picks) in enumerate(history[-1])]

        return Plan(case, hooks=Hooks(read=read))

    return plan


def _own_products(case: Case, table: Dialect) -> Plan | None:
    """Every parameter is a group of its own, so that it has past betas of its own: those of the calls that brought it a gradient."""
    apart = replace(
        case,
        params=tuple(replace(param, group=index) for index, param in enumerate(case.params)),
        groups=tuple(case.groups[param.group] for param in case.params),
        steps=tuple(
            replace(step, hyper=tuple(step.hyper[param.group] for param in case.params) if step.hyper else step.hyper)
            for step in case.steps
        ),
    )

    def own(history: History, group: int, case: Case) -> tuple[tuple[float, float], ...]:
        name = case.params[group].name
        met = [k for k, step in enumerate(case.steps[: len(history)]) if step.gradients.get(name) is not None]
        return tuple(_of(history, group, k) for k in met)

    return _with_powers(own)(apart, table)
