"""Step counters: what a dialect's counter stage counts, and which gradients are empty for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..case import Case, Param, Step
from ..dialects import Picks
from ..dialects.stages import Counter
from ..gradients import is_element_gradient


def is_empty(gradient: Any) -> bool:
    """Whether a gradient is missing, or stores nothing."""
    if gradient is None:
        return True
    return len(gradient.data) == 0 if is_element_gradient(gradient) else hasattr(gradient, "indices") and len(gradient.indices) == 0


def counts_call(picks: Picks, step: Step) -> bool:
    """Whether a call advances the counter of the optimizer."""
    return picks.counter is not Counter.CALL_NONEMPTY or not all(map(is_empty, step.gradients.values()))


def counts(case: Case, counters: list[dict[str, Counter]]) -> list[dict[str, int]]:
    """What the bias correction of each parameter counts to at each step; 0 where each row has a count of its own."""
    return tick([step.gradients for step in case.steps], case.params, counters)


def tick(gradients: list[Mapping[str, Any]], params: tuple[Param, ...], counters: list[dict[str, Counter]]) -> list[dict[str, int]]:
    """The same for calls that are not (yet) a case."""
    shared = nonempty = params[0].step if params else 0
    own = {param.name: param.step for param in params}
    filled = dict(own)
    ticks: list[dict[str, int]] = []
    for by_name, counter in zip(gradients, counters):
        shared += 1
        nonempty += any(not is_empty(gradient) for gradient in by_name.values())
        for name, gradient in by_name.items():
            own[name] += gradient is not None
            filled[name] += not is_empty(gradient)
        counted = {Counter.CALL: dict.fromkeys(own, shared), Counter.CALL_NONEMPTY: dict.fromkeys(own, nonempty)}
        counted |= {Counter.PARAMETER: dict(own), Counter.PARAMETER_NONEMPTY: dict(filled)}
        ticks.append({name: counted.get(pick, {}).get(name, 0) for name, pick in counter.items()})
    return ticks
