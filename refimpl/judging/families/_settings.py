"""Settings: a hyper-parameter is not read, or another one is read in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations, permutations
from typing import Any

from ...case import Case, Group
from ...dialects import Dialect, Hyper, dialect
from ...dialects.stages import Decay
from ...reference import scheduled
from ...reference.hooks import History, Hooks, Resolved
from .._hypothesis import Hypothesis, Plan, Planner

Table = list[list[dict[str, Any]]]
"""Per step and group, the settings in force."""

Place = tuple[str, int | None]
"""A parameter of the dialect, and the index in it where it is a tuple."""


def hypotheses(table: Dialect) -> Iterator[Hypothesis]:
    places = dict(role_places(table))
    for role, place in places.items():
        for suffix, words, move in MOVES:
            yield Hypothesis(f"{role}-{suffix}", "settings", words.format(role=role), _moved([place], move), rank=1)
    betas = [places[role] for role in ("beta1", "beta2") if role in places]
    for suffix, words, move in MOVES:
        about = (
            words.format(role="betas").replace("betas keeps the value", "both betas keep the values").replace("betas is", "both betas are")
        )
        yield Hypothesis(f"betas-{suffix}", "settings", about, _moved(betas, move), rank=2)
    everything = list(places.values())
    for suffix, words, move in WHOLE:
        yield Hypothesis(f"settings-{suffix}", "settings", words, _moved(everything, move), rank=2)
    numeric = [role for role in ("lr", "beta1", "beta2", "eps", "weight_decay") if role in places]
    for first_role, second_role in combinations(numeric, 2):
        if (first_role, second_role) != ("beta1", "beta2"):  # a row of the table of deviations
            words = f"{first_role} and {second_role} are exchanged"
            yield Hypothesis(
                f"{first_role}-{second_role}-exchanged", "settings", words, _exchanged(places[first_role], places[second_role]), rank=2
            )
    for first_role, second_role in permutations(numeric, 2):
        yield Hypothesis(
            f"{first_role}-as-{second_role}",
            "settings",
            f"{first_role} has the value of {second_role}",
            _copied(places[first_role], places[second_role]),
            rank=2,
        )
    for role in ("eps", "weight_decay"):
        if role in places and "lr" in places:
            words = f"{role} is multiplied by lr"
            yield Hypothesis(f"{role}-times-lr", "settings", words, _times_lr(places[role], places["lr"]), rank=2)
    yield from decay_rates(table)


def role_places(table: Dialect) -> Iterator[tuple[str, Place]]:
    """Role to where the dialect keeps it; a switch has its own name for a role, in a short form."""
    for name, parameter in table.parameters.items():
        if len(parameter.roles) > 1:
            yield from ((role, (name, index)) for index, role in enumerate(parameter.roles))
        elif parameter.roles:
            yield parameter.roles[0], (name, None)
        elif parameter.when_true:
            yield SWITCHES.get(name, name.removeprefix("use_")), (name, None)


SWITCHES = {"decoupled_weight_decay": "decoupled", "grad_centralization": "centralization"}


def read(settings: Mapping[str, Any], place: Place) -> Any:
    name, index = place
    return settings[name] if index is None else settings[name][index]


def write(settings: dict[str, Any], place: Place, value: Any) -> None:
    name, index = place
    settings[name] = value if index is None else tuple(value if k == index else old for k, old in enumerate(settings[name]))


def with_settings(case: Case, change: Callable[[Table, Dialect], None], table: Dialect) -> Case | None:
    """The case with changed settings; None where nothing changes."""
    before: Table = [[dict(settings) for settings in of_groups] for of_groups in scheduled(case)]
    after: Table = [[dict(settings) for settings in of_groups] for of_groups in before]
    change(after, table)
    if after == before:
        return None
    groups = tuple(Group(dict(group.hyper)) for group in case.groups)
    return replace(case, groups=groups, steps=tuple(replace(step, hyper=tuple(of_groups)) for step, of_groups in zip(case.steps, after)))


Move = Callable[[Case, Table, Dialect, Place], None]


def _default(case: Case, settings: Table, table: Dialect, place: Place) -> None:
    for of_groups in settings:
        for group in of_groups:
            write(group, place, read(table.defaults(), place))


def _of_constructor(case: Case, settings: Table, table: Dialect, place: Place) -> None:
    for of_groups in settings:
        for index, group in enumerate(of_groups):
            write(group, place, read(case.groups[index].hyper, place))


def _of_first_call(case: Case, settings: Table, table: Dialect, place: Place) -> None:
    first = [read(group, place) for group in settings[0]]
    for of_groups in settings:
        for group, value in zip(of_groups, first):
            write(group, place, value)


def _of_group(number: int) -> Move:
    def move(case: Case, settings: Table, table: Dialect, place: Place) -> None:
        for of_groups in settings:
            value = read(of_groups[number], place)
            for group in of_groups:
                write(group, place, value)

    return move


def _constant_of_group(number: int) -> Move:
    def move(case: Case, settings: Table, table: Dialect, place: Place) -> None:
        for of_groups in settings:
            for group in of_groups:
                write(group, place, read(case.groups[number].hyper, place))

    return move


def _of_last_step(case: Case, settings: Table, table: Dialect, place: Place) -> None:
    values = [[read(group, place) for group in of_groups] for of_groups in settings]
    values = [[read(group.hyper, place) for group in case.groups], *values[:-1]]
    for of_groups, group_values in zip(settings, values):
        for group, value in zip(of_groups, group_values):
            write(group, place, value)


def _of_next_step(case: Case, settings: Table, table: Dialect, place: Place) -> None:
    values = [[read(group, place) for group in of_groups] for of_groups in settings]
    for of_groups, group_values in zip(settings, [*values[1:], values[-1]]):
        for group, value in zip(of_groups, group_values):
            write(group, place, value)


MOVES: tuple[tuple[str, str, Move], ...] = (
    ("not-read", "{role} is not read: its default is used", _default),
    ("first-value", "{role} keeps the value that the optimizer was made with: a schedule is not read", _of_constructor),
    ("first-value", "{role} keeps the value of the first call: a schedule is not read", _of_first_call),
    ("first-group", "every group computes with the first group's {role}", _of_group(0)),
    ("first-group", "every group computes with the {role} that the first group was made with", _constant_of_group(0)),
    ("last-group", "every group computes with the last group's {role}", _of_group(-1)),
    ("last-step", "{role} is read one step late", _of_last_step),
    ("next-step", "{role} is read one step early", _of_next_step),
)
"""How a setting is misread: the suffix of the name, the words, and what becomes of the settings in force."""

WHOLE = tuple(
    (suffix, words.format(role="settings").replace("{role}", "settings"), move) for suffix, words, move in MOVES if "group" in suffix
)


def _moved(places: list[Place], move: Move) -> Planner:
    def plan(case: Case, table: Dialect) -> Plan | None:
        def change(settings: Table, table: Dialect) -> None:
            for place in places:
                move(case, settings, table, place)

        changed = with_settings(case, change, table)
        return None if changed is None else Plan(changed)

    return plan


def _exchanged(first_place: Place, second_place: Place) -> Planner:
    def change(group: dict[str, Any]) -> None:
        first, second = read(group, first_place), read(group, second_place)
        write(group, first_place, second)
        write(group, second_place, first)

    return _in_every_group(change)


def _copied(to: Place, source: Place) -> Planner:
    return _in_every_group(lambda group: write(group, to, read(group, source)))


def _times_lr(to: Place, lr: Place) -> Planner:
    return _in_every_group(lambda group: write(group, to, read(group, to) * read(group, lr)))


def _in_every_group(change: Callable[[dict[str, Any]], None]) -> Planner:
    """A change of the settings that a group has at a step, whatever the others have."""

    def of_all(settings: Table, table: Dialect) -> None:
        for group in (group for of_groups in settings for group in of_groups):
            change(group)

    def plan(case: Case, table: Dialect) -> Plan | None:
        changed = with_settings(case, of_all, table)
        return None if changed is None else Plan(changed)

    return plan


def decay_rates(table: Dialect) -> Iterator[Hypothesis]:
    """A decoupled decay that is multiplied by another learning rate than the step."""
    if not any(parameter.roles == ("weight_decay",) for parameter in table.parameters.values()):
        return
    for suffix, words, rate in DECAY_RATES:
        about = f"the decoupled decay is multiplied by {words}"
        yield Hypothesis(f"decay-lr-{suffix}", "settings", about, _decoupled("decay_lr", rate), rank=1)
    for suffix, words, rate in DECAYS:
        about = f"the decoupled decay reads {words}"
        yield Hypothesis(f"weight_decay-{suffix}", "settings", about, _decoupled("weight_decay", rate), rank=2)


Rate = Callable[[History, int, Case], float]

DECAY_RATES: tuple[tuple[str, str, Rate], ...] = (
    ("first-value", "the lr that the optimizer was made with", lambda history, group, case: _lr(case, group)),
    ("first-value", "the lr of the first call", lambda history, group, case: history[0][group][0].lr),
    ("first-group", "the first group's lr", lambda history, group, case: history[-1][0][0].lr),
    ("first-group", "the lr that the first group was made with", lambda history, group, case: _lr(case, 0)),
    ("relative", "lr over the lr that the optimizer was made with", lambda history, group, case: history[-1][group][0].lr / _lr(case, group)),
    ("relative", "lr over the lr of the first call", lambda history, group, case: history[-1][group][0].lr / history[0][group][0].lr),
    ("last-step", "the lr of the step before", lambda history, group, case: history[-2][group][0].lr if len(history) > 1 else _lr(case, group)),
    ("squared", "lr twice", lambda history, group, case: history[-1][group][0].lr ** 2),
)  # fmt: skip


DECAYS: tuple[tuple[str, str, Rate], ...] = (
    ("first-value", "the weight_decay that the optimizer was made with", lambda history, group, case: _made_with(case, group).weight_decay),
    ("first-value", "the weight_decay of the first call", lambda history, group, case: history[0][group][0].weight_decay),
    ("first-group", "the first group's weight_decay", lambda history, group, case: history[-1][0][0].weight_decay),
)  # fmt: skip
"""What a decoupled decay reads in the place of weight_decay, while a coupled one reads its own."""


def _made_with(case: Case, group: int) -> Hyper:
    return dialect(case.dialect).resolve(case.groups[group].hyper)[0]


def _lr(case: Case, group: int) -> float:
    return _made_with(case, group).lr


def _decoupled(name: str, rate: Rate) -> Planner:
    """Another value of a hyper-parameter where decay is decoupled."""

    def plan(case: Case, table: Dialect) -> Plan | None:
        if not any(table.resolve(settings)[1].decay in DECOUPLED for of_groups in scheduled(case) for settings in of_groups):
            return None

        def read_settings(history: History) -> list[Resolved]:
            resolved = []
            for group, (hyper, picks) in enumerate(history[-1]):
                changes: dict[str, Any] = {name: _safe(rate, history, group, case)}
                resolved.append((replace(hyper, **changes) if picks.decay in DECOUPLED else hyper, picks))
            return resolved

        return Plan(case, hooks=Hooks(read=read_settings))

    return plan


def _safe(rate: Rate, history: History, group: int, case: Case) -> float:
    try:
        return rate(history, group, case)
    except ZeroDivisionError:
        return float("nan")


DECOUPLED = (Decay.DECOUPLED_TOUCHED, Decay.DECOUPLED_ALL)
