"""Dialects and deviations as data: the YAML tables, read into frozen dataclasses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from ..common.tables import read_table
from ..errors import InvalidHyper, UsageError
from .layouts import Layout
from .names import near_dialects
from .stages import (
    STAGES,
    Amsgrad,
    Bias,
    Counter,
    Decay,
    DecayOrder,
    DecayRate,
    Eps,
    Merge,
    Moments,
    Objective,
    Picks,
    Second,
    Touch,
    Unscale,
)
from .usage import USAGE, Usage


@dataclass(frozen=True)
class Interval:
    """An accepted range such as "(0, inf)": a round bracket leaves the end out, a square one takes it in."""

    text: str
    low: float
    high: float
    takes_low: bool
    takes_high: bool

    @classmethod
    def parse(cls, text: str) -> Interval:
        found = re.fullmatch(r"([(\[])\s*([^,\s]+)\s*,\s*([^,\s]+)\s*([)\]])", text)
        if not found:
            raise ValueError(f"not an interval: {text!r}")
        left, low, high, right = found.groups()
        return cls(text, float(low), float(high), left == "[", right == "]")

    def __contains__(self, value: float) -> bool:
        above = value >= self.low if self.takes_low else value > self.low
        below = value <= self.high if self.takes_high else value < self.high
        return above and below  # nan is in no interval


@dataclass(frozen=True)
class Parameter:
    """A constructor parameter of the real thing: what it is called, means, accepts and says when it refuses.

    roles: the fields of Hyper that it sets, in order; when_true: the picks that a switch makes; about: what it does where it changes no
    number.
    """

    name: str
    roles: tuple[str, ...]
    default: Any
    types: tuple[str, ...]
    interval: Interval | None
    message: str
    when_true: Mapping[str, Any]
    group_only: bool
    about: str = ""

    def check(self, value: object, class_name: str) -> None:
        """Raise InvalidHyper, in the words of the real thing, for a value that it refuses."""
        if len(self.roles) > 1 and (not isinstance(value, (tuple, list)) or len(value) != len(self.roles)):
            raise InvalidHyper(f"{self.name} must be {len(self.roles)} numbers, got {value!r}", self.name)
        values = tuple(value) if len(self.roles) > 1 else (value,)  # type: ignore[arg-type]  # a sequence, checked above
        for index, one in enumerate(values):
            kind = type(one).__name__
            if self.types and kind not in self.types:
                raise InvalidHyper(
                    f"For '{class_name}', the type of '{self.name}' should be '{self.types[0]}', but got type '{kind}'.", self.name
                )
            if self.interval is None:
                continue
            if isinstance(one, bool) or not isinstance(one, (int, float)):
                raise InvalidHyper(f"{self.name} must be a number, got {one!r} of type {kind}", self.name)
            if one not in self.interval:
                text = self.message.format(**{"value": one, "index": index, "type": kind, "class": class_name})
                raise InvalidHyper(text, self.name, f"{self.name} accepts {self.interval.text}")


@dataclass(frozen=True)
class Hyper:
    """Hyper-parameters under the names that the reference uses, as exact doubles.

    past_momenta: (beta1, momentum_decay) of the steps before the case, then of each step so far, where these changed: NAdam's product
    holds a momentum of each.
    decay_lr: what a decoupled decay is multiplied by, where that is not lr; past_betas: (beta1, beta2) of the steps so far, where the
    powers are products of these: no dialect has these two, the diagnosis predicts with them.
    """

    lr: float
    beta1: float
    beta2: float
    eps: float
    weight_decay: float = 0.0
    loss_scale: float = 1.0
    eps_root: float = 0.0
    momentum_decay: float = 0.0
    past_momenta: tuple[tuple[float, float], ...] | None = None
    decay_lr: float | None = None
    past_betas: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True, eq=False)  # compared by identity: there is one object per name
class Dialect:
    """One implementation's semantics: a pick per stage, its parameters, and where that was read or measured.

    suite: the smallest that has vectors of it, core or full; state: how it keeps its moments and counts, where that is known; usage: how
    a program makes its optimizer, and which calls it takes; fixed: hyper-parameters that are constants in its code.
    """

    name: str
    about: str
    framework: str
    class_name: str
    gradients: tuple[str, ...]
    dtypes: tuple[str, ...]
    picks: Picks
    parameters: Mapping[str, Parameter]
    refuses: Mapping[str, Mapping[str, str]]
    sources: tuple[str, ...]
    suite: str = "core"
    state: Layout | None = None
    usage: Usage = field(default_factory=Usage)
    fixed: Mapping[str, float] = field(default_factory=dict)

    def defaults(self) -> dict[str, Any]:
        """Every parameter with its default, in the dialect's own names."""
        return {name: parameter.default for name, parameter in self.parameters.items()}

    def validate(self, hyper: Mapping[str, object]) -> None:
        """Raise InvalidHyper for the first value that the real constructor refuses, or for a name that it does not have."""
        for name in hyper:
            if name not in self.parameters:
                raise InvalidHyper(f"{self.name} has no parameter {name!r}", "unknown", f"it has {', '.join(self.parameters)}")
        for name, parameter in self.parameters.items():
            if name in hyper:
                parameter.check(hyper[name], self.class_name)

    def refusal(self, form: str) -> str:
        """What the real thing says to a gradient of a form that it refuses (rows, elements or dense)."""
        return self.refuses[form]["message"].format(**{"class": self.class_name})

    def resolve(self, given: Mapping[str, Any], deviations: tuple[Deviation, ...] = (), grad_scale: float = 1.0) -> tuple[Hyper, Picks]:
        """What a step computes with these hyper-parameters: the numbers, and a pick per stage. grad_scale: a loss scale of this step.

        Switches among the parameters change picks; then the deviations do. A stage that the numbers make idle (a decay of 0,
        a loss scale of 1) is set to its idle alternative, so that equal picks mean the same computation.
        """
        hashable = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        return _resolve(self, tuple(sorted(hashable.items())), deviations, grad_scale)


@dataclass(frozen=True, eq=False)
class Deviation:
    """What an implementation does instead of its dialect, as picks of the same stages. kind: D, a dialect; B, a bug.

    where: the picks that a group must have for the deviation to act on it (stage to alternatives); by default it always acts.
    """

    id: str
    kind: str
    about: str
    picks: Mapping[str, Any]
    sources: tuple[str, ...]
    where: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def acts_on(self, picks: Picks) -> bool:
        return all(getattr(picks, stage) in alternatives for stage, alternatives in self.where.items())


@lru_cache(maxsize=16384)  # a case is resolved again for every step, group and deviation, and many cases share their settings
def _resolve(
    dialect: Dialect, items: tuple[tuple[str, Any], ...], deviations: tuple[Deviation, ...], grad_scale: float
) -> tuple[Hyper, Picks]:
    given = dict(items)
    numbers = dict(dialect.fixed)
    changes: dict[str, Any] = {}
    for name, parameter in dialect.parameters.items():
        value = given.get(name, parameter.default)
        if len(parameter.roles) > 1:
            numbers.update(zip(parameter.roles, map(float, value)))
        elif parameter.roles:
            numbers[parameter.roles[0]] = float(value)
        elif value:
            changes.update(parameter.when_true)
    numbers["loss_scale"] = numbers.get("loss_scale", 1.0) * grad_scale
    hyper = Hyper(**numbers)  # type: ignore[arg-type]  # roles are the fields that hold a number
    own = _without_idle_stages(_with(dialect.picks, changes), hyper)
    changes = {
        stage: pick
        for deviation in deviations
        if deviation.acts_on(own)
        for stage, pick in deviation.picks.items()
        if _is_possible(deviation.picks.get("second", own.second), stage, pick)
    }
    picks = _without_idle_stages(_with(own, changes), hyper)
    return hyper, picks if set(dialect.gradients) - {"dense"} else _as_dense(picks)


def _is_possible(second: Second, stage: str, pick: Any) -> bool:
    """Whether an alternative has a meaning beside this second moment; one that has none changes nothing."""
    if second is Second.INFINITY:
        return pick in BESIDE_INFINITY.get(stage, (pick,))
    return pick is not Eps.BESIDE_GRADIENT


BESIDE_INFINITY: dict[str, tuple[Any, ...]] = {
    "bias": (Bias.FIRST, Bias.NONE),
    "amsgrad": (Amsgrad.OFF,),
    "eps": (Eps.HAT, Eps.BESIDE_GRADIENT, Eps.DROPPED, Eps.SUBTRACTED),
    "moments": (Moments.EMA, Moments.UNWEIGHTED, Moments.DIVIDED, Moments.CORRECTED),
}
"""What has a meaning where no square is averaged: no root is taken and no second correction is made. Other picks change nothing."""


def _without_idle_stages(picks: Picks, hyper: Hyper) -> Picks:
    idle: dict[str, Any] = {}
    decay = Decay.NONE if hyper.weight_decay == 0 else picks.decay
    if decay is Decay.NONE:
        idle["decay"] = decay
    if decay not in (Decay.DECOUPLED_TOUCHED, Decay.DECOUPLED_ALL):
        idle |= {"decay_rate": DecayRate.LR, "decay_order": DecayOrder.BEFORE}
    if picks.objective is Objective.MAXIMIZE_LAST and decay not in (Decay.COUPLED_OCCURRENCE, Decay.COUPLED_MERGED, Decay.COUPLED_ALL):
        idle["objective"] = Objective.MAXIMIZE
    if hyper.loss_scale == 1 or (picks.unscale is Unscale.DECAY_SHRUNK and decay is not Decay.COUPLED_OCCURRENCE):
        idle["unscale"] = Unscale.DECAY_KEPT
    if hyper.eps_root == 0 and picks.eps is Eps.PAPER_ROOTED:
        idle["eps"] = Eps.PAPER
    return _with(picks, idle)


def _as_dense(picks: Picks) -> Picks:
    """Where every gradient is dense, every row occurs once in it: the alternatives that tell rows apart are one."""
    changes: dict[str, Any] = {"decay": DENSE_DECAY.get(picks.decay, picks.decay), "merge": Merge.SUM, "touch": Touch.STORED}
    if picks.counter in (Counter.ROW, Counter.PARAMETER_NONEMPTY):
        changes["counter"] = Counter.PARAMETER
    if picks.eps is Eps.PAPER_STORED:
        changes["eps"] = Eps.PAPER
    return _with(picks, changes)


def _with(picks: Picks, changes: Mapping[str, Any]) -> Picks:
    """The picks with these changes; themselves where nothing changes, which spares the making of most."""
    return replace(picks, **changes) if any(getattr(picks, stage) is not pick for stage, pick in changes.items()) else picks


DENSE_DECAY = {
    Decay.COUPLED_OCCURRENCE: Decay.COUPLED_MERGED,
    Decay.COUPLED_ALL: Decay.COUPLED_MERGED,
    Decay.DECOUPLED_TOUCHED: Decay.DECOUPLED_ALL,
}

_IDLE: dict[str, Any] = {
    stage: next(iter(alternatives))  # the first alternative of an enum is the one that most dialects pick
    for stage, alternatives in STAGES.items()
} | {"amsgrad": Amsgrad.OFF, "decay": Decay.NONE}


def _picks(table: Mapping[str, str], where: str) -> dict[str, Any]:
    try:
        return {stage: STAGES[stage][pick.upper()] for stage, pick in table.items()}
    except KeyError as error:
        raise UsageError(f"{where}: no stage or alternative {error}", f"stages are {', '.join(STAGES)}") from None


def _where(table: Mapping[str, str | list[str]], id: str) -> dict[str, tuple[Any, ...]]:
    alternatives = {stage: [names] if isinstance(names, str) else names for stage, names in table.items()}
    return {stage: tuple(_picks({stage: name}, id)[stage] for name in names) for stage, names in alternatives.items()}


def _parameter(name: str, row: Mapping[str, Any], where: str) -> Parameter:
    role = row["role"]
    roles = () if role in ("switch", "none") else tuple(role) if isinstance(role, list) else (role,)
    default = row["default"]
    return Parameter(
        name=name,
        roles=roles,
        default=tuple(default) if isinstance(default, list) else default,
        types=tuple(row.get("types", ())),
        interval=Interval.parse(row["range"]) if "range" in row else None,
        message=row.get("message", ""),
        when_true=_picks(row.get("when_true", {}), where),
        group_only=row.get("group_only", False),
        about=row.get("about", ""),
    )


KEYS = {
    "extends",
    "about",
    "framework",
    "class",
    "gradients",
    "dtypes",
    "stages",
    "parameters",
    "fixed",
    "refuses",
    "state",
    "sources",
    *USAGE,
}
"""What a row of a table of dialects may have. The usage is not that of the dialect which it extends: that may have another constructor."""


def _dialect(
    name: str, row: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]], frameworks: Mapping[str, Mapping[str, Any]], suite: str
) -> Dialect:
    if unknown := row.keys() - KEYS:
        raise UsageError(f"{name}: no key {', '.join(sorted(unknown))}", f"keys are {', '.join(sorted(KEYS))}")
    base = rows[row["extends"]] if "extends" in row else {}
    merged = {**base, **row, "stages": {**base.get("stages", {}), **row["stages"]}}
    return Dialect(
        name=name,
        about=merged["about"],
        framework=merged["framework"],
        class_name=merged.get("class", name.rsplit(".", 1)[-1]),
        gradients=tuple(merged["gradients"]),
        dtypes=tuple(merged["dtypes"]),
        picks=Picks(**{**_IDLE, **_picks(merged["stages"], name)}),
        parameters={key: _parameter(key, one, name) for key, one in merged["parameters"].items()},
        fixed={role: float(value) for role, value in merged.get("fixed", {}).items()},
        refuses=merged["refuses"],
        sources=tuple(merged["sources"]),
        suite=suite,
        state=Layout.parse(merged["state"], name) if "state" in merged else None,
        usage=Usage.parse(frameworks.get(merged["framework"], {}), row, name),
    )


@cache
def dialects(suite: str = "core") -> Mapping[str, Dialect]:
    """The dialects of a suite by name, in the order of the tables: those of the two systems of record; full: of every peer too."""
    if suite != "full":
        return {name: one for name, one in dialects("full").items() if one.suite == "core"}
    tables = {"core": [read_table(__package__, file) for file in CORE], "full": [read_table(__package__, file) for file in _peer_tables()]}
    frameworks = {name: row for files in tables.values() for file in files for name, row in file.pop("frameworks", {}).items()}
    return {
        name: _dialect(name, row, rows, frameworks, suite)
        for suite, files in tables.items()
        for rows in [{name: row for file in files for name, row in file.items()}]
        for name, row in rows.items()
    }


CORE = ("torch.yaml", "mindspore.yaml")
"""The tables of the suite core; those of the suite full are every file in peers/."""


def _peer_tables() -> tuple[str, ...]:
    return tuple(sorted(f"peers/{file.name}" for file in (resources.files(__package__) / "peers").iterdir() if file.name.endswith(".yaml")))


def dialect(name: str) -> Dialect:
    """The dialect of this name; raises UsageError with the names that may be meant."""
    every = dialects("full")
    if name not in every:
        raise UsageError(f"no dialect {name!r}", near_dialects(name, every) or f"choose from {', '.join(every)}")
    return every[name]


@cache
def deviations() -> Mapping[str, Deviation]:
    """Every known deviation by id, in the order of the table."""
    return {
        id: Deviation(id, row["kind"], row["about"], _picks(row["stages"], id), tuple(row["sources"]), _where(row.get("where", {}), id))
        for id, row in read_table(__package__, "deviations.yaml").items()
    }


def differing_stages(a: Picks, b: Picks) -> Iterator[tuple[str, Enum, Enum]]:
    """The stages in which two picks differ, in the order of a step."""
    for stage in STAGES:
        one, other = getattr(a, stage), getattr(b, stage)
        if one is not other:
            yield stage, one, other
