"""A hypothesis: what an implementation may do instead of its dialect, as something that predicts numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ..arithmetic import Number
from ..case import Case
from ..dialects import Deviation, Dialect, dialect
from ..reference import ONE, ByFormat, Forms, States, System, trajectory
from ..reference.hooks import Hooks
from ._altered import Alter, Altered


@dataclass(frozen=True, eq=False)
class Plan:
    """How a case is computed under a hypothesis: other inputs, other picks, hooks, and changes of intermediate results.

    alter: by name, as `reference.trace.altered` calls it; root: changes the square root of a tensor; scalars: the format in which scalars
    are computed, in any way and order, so that a prediction in double is not near enough to screen with; simulated: the formulations that
    are computed in the case's own format, where only their rounding is another.
    """

    case: Case
    deviations: tuple[Deviation, ...] = ()
    hooks: Hooks = field(default_factory=Hooks)
    alter: Alter | None = None
    root: Callable[[Number], Number] | None = None
    scalars: str | None = None
    simulated: Forms | None = None


Planner = Callable[[Case, Dialect], "Plan | None"]


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A statement about what an implementation does instead, which predicts numbers.

    id, about: its name, and the sentence that a verdict prints; family: where it comes from (picks, settings, formats ...);
    plan: how it computes a case, None for a case that it leaves as it is; parts: the ids of which it consists, where it is several;
    rank: of several that compute the same, the one with the lowest rank is named first; pairs: whether it may be one of a pair;
    beside_named: whether it may be one beside a hypothesis that is named already; pattern, number: where hypotheses differ by a number
    alone, the sentence with `{n}` in its place, and the number; fitted: whether a number in it was fitted to a case;
    members: the hypotheses of which a pair consists.
    """

    id: str
    family: str
    about: str
    plan: Planner
    deviation_ids: tuple[str, ...] = ()
    rank: int = 0
    pairs: bool = True
    beside_named: bool = False
    pattern: str = ""
    number: int = 0
    fitted: bool = False
    members: tuple[Hypothesis, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        return self.deviation_ids or (self.id,)


def numbered(id: str, family: str, pattern: str, number: int, plan: Planner, rank: int = 0, pairs: bool = True) -> Hypothesis:
    """One of several hypotheses that differ by a number alone."""
    return Hypothesis(id, family, pattern.format(n=f"{number:,}"), plan, rank=rank, pairs=pairs, pattern=pattern, number=number)


def predict(plan: Plan, a: System, forms: Forms = ONE) -> Iterator[States]:
    """The states after each step of a case under a plan, as `reference.trajectory` gives them."""
    system: Any = a
    if plan.alter is not None or plan.root is not None:
        change: Any = partial(Altered, alter=plan.alter, root=plan.root)
        system = a.changed(change) if isinstance(a, ByFormat) else change(a)
    return trajectory(plan.case, system, dialect(plan.case.dialect), plan.deviations, forms, plan.hooks)


def together(first: Hypothesis, second: Hypothesis) -> Hypothesis:
    """Both at once: the second one's inputs are made of the first one's. There is no plan for a case that either leaves unchanged."""

    def plan(case: Case, table: Dialect) -> Plan | None:
        first_plan = first.plan(case, table)
        second_plan = None if first_plan is None else second.plan(first_plan.case, table)
        return None if first_plan is None or second_plan is None else _joined(first_plan, second_plan)

    return Hypothesis(
        id=f"{first.id} with {second.id}",
        family="pairs",
        about=f"{first.about}, and {second.about}",
        plan=plan,
        deviation_ids=(*first.parts, *second.parts),
        rank=first.rank + second.rank + 10,
        pairs=False,
        members=(first, second),
    )


COUNTED = {"clock", "counter", "bias"}
"""Stages that decide what the bias corrections count, or whether there are any."""


def _joined(first: Plan, second: Plan) -> Plan | None:
    """Two plans as one; None where both change the same part of a step: the same stage, the same hook, or the count by either."""
    stages = [{stage for deviation in plan.deviations for stage in deviation.picks} for plan in (first, second)]
    if any(plan.hooks.clock and picked & COUNTED for plan, picked in ((first, stages[1]), (second, stages[0]))):
        return None
    hooked = [{name for name in ("read", "clock", "owner", "alike", "after") if getattr(plan.hooks, name)} for plan in (first, second)]
    altered = [plan.alter is not None or plan.root is not None for plan in (first, second)]
    if stages[0] & stages[1] or hooked[0] & hooked[1] or all(altered):
        return None
    hooks = replace(first.hooks, **{name: getattr(second.hooks, name) for name in hooked[1]})
    if second.hooks.owner or second.hooks.alike:
        hooks = replace(hooks, shared=second.hooks.shared)
    alters = second if altered[1] else first
    return Plan(second.case, first.deviations + second.deviations, hooks, alters.alter, alters.root, first.scalars or second.scalars)
