"""A case, step after step: which parameters a call updates, with which hyper-parameters and at which t."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from ..arithmetic import Arithmetic
from ..arithmetic.compensation import Pair
from ..case import ALWAYS_KEPT, ARRAYS, COMPENSATION, MASTER, Case, Param, Step
from ..dialects import Deviation, Dialect, Hyper, Picks, dialect
from ..dialects.stages import Accumulation, Amsgrad, Counter, Resume, Schedule, Skip, Touch, centralizes
from ..gradients import Array, Occurrences, Ranks, is_element_gradient, occurrences, of_ranks, row_layout
from ._update import FIELDS, State, step_parameter
from .counters import counts_call
from .forms import ONE, Forms
from .hooks import NO_HOOKS, Hooks, Resolved, Tick, Updated
from .scalars import SCHEDULED, scalars

States = Mapping[str, State]


class ByFormat:
    """A number system for each format that parameters are computed in, made when it is first asked for.

    case: whose formats these are, where it is not the case that is computed: other inputs do not change what an implementation computes in.
    """

    def __init__(self, make: Callable[[str], Arithmetic], case: Case | None = None) -> None:
        self._make, self._case = make, case
        self._made: dict[str, Arithmetic] = {}

    def __getitem__(self, dtype: str) -> Arithmetic:
        if dtype not in self._made:
            self._made[dtype] = self._make(dtype)
        return self._made[dtype]

    def changed(self, change: Callable[[Arithmetic], Arithmetic]) -> ByFormat:
        """Each number system as it is changed."""
        return ByFormat(lambda dtype: change(self[dtype]), self._case)

    def of(self, case: Case, name: str) -> Arithmetic:
        """That of a parameter."""
        return self[(self._case or case).computed_in(name)]


System = Arithmetic | ByFormat
"""What a trajectory is computed in: one number system for all parameters, or one for each of their formats."""


def system_of(a: System, case: Case, name: str) -> Arithmetic:
    """The number system of one parameter."""
    return a.of(case, name) if isinstance(a, ByFormat) else a


@dataclass
class Track:
    """A parameter while it is trained: its state, and the counts that the counter stage may read."""

    param: Param
    a: Arithmetic
    layout: tuple[int, int]
    state: State
    steps: int
    row_steps: Array
    last_touch: Array = field(repr=False)
    past_momenta: tuple[tuple[float, float], ...] = ()

    def shown(self) -> State:
        """The state as it is compared: of a parameter with a master copy or a compensation, p in the parameter's own dtype."""
        if MASTER not in self.param.dtypes and not self.state.pair:
            return self.state
        return replace(self.state, whole=self.state.p, p=self.a.store(self.state.p, str(self.param.value.dtype)))


def trajectory(
    case: Case, a: System, table: Dialect, deviations: tuple[Deviation, ...] = (), forms: Forms = ONE, hooks: Hooks = NO_HOOKS
) -> Iterator[States]:
    """The states of every parameter after each step of a case, in one number system, or each in that of its own format.

    The arrays are laid out as (rows, width) and change with the next step: take a copy of what is to be kept.
    Raises InvalidGradient for a gradient that does not fit; hyper-parameters are taken as they are (Dialect.validate refuses them).
    """
    picks = [table.resolve(group.hyper, deviations)[1] for group in case.groups]
    tracks = {param.name: _start(param, system_of(a, case, param.name), case, picks[param.group]) for param in case.params}
    for track in tracks.values():  # NAdam's steps before a resume had the settings that the group starts with
        hyper = table.resolve(case.groups[track.param.group].hyper, deviations)[0]
        track.past_momenta = ((hyper.beta1, hyper.momentum_decay),)
    calls = shared = case.params[0].step if _keeps_step(picks) and case.params else 0
    history: list[Sequence[Resolved]] = []
    before: list[dict[str, Any]] = []
    scale = 1.0
    group_calls = dict.fromkeys(range(len(case.groups)), 0)
    moments: dict[Hashable, State] = {}  # of an implementation whose parameters share them
    if hooks.alike:
        for track in tracks.values():
            track.state = _sharing(track.state, moments.setdefault(hooks.alike(track.param.value.shape), track.state), hooks)
    with np.errstate(all="ignore"):  # overflow, underflow and nan are results here
        for number, (step, hypers) in enumerate(zip(case.steps, scheduled(case, picks)), start=1):
            same = history and hypers == before and step.grad_scale == 1.0 and scale == 1.0
            history.append(history[-1] if same else [table.resolve(hyper, deviations, step.grad_scale) for hyper in hypers])
            before, scale = hypers, step.grad_scale
            resolved = hooks.read(history) if hooks.read else history[-1]
            skip = resolved[0][1].skip if step.found_inf and resolved else None
            if skip is Skip.NOT_COUNTED:
                yield {name: track.shown() for name, track in tracks.items()}
                continue
            for call in _calls(step, resolved):
                calls += any(counts_call(pick, call) for _, pick in resolved)
                gradients = {name: _laid_out(track, call, case) for name, track in tracks.items() if _is_given(call, name)}
                for group in {tracks[name].param.group for name in gradients}:
                    group_calls[group] += 1
                for name, gradient in gradients.items():
                    _count(tracks[name], gradient, resolved[tracks[name].param.group][1])
                if skip is Skip.COUNTED:
                    gradients = {}
                if skip is Skip.ZEROS:
                    gradients = {name: replace(gradient, values=np.zeros_like(gradient.values)) for name, gradient in gradients.items()}
                for name, gradient in gradients.items():
                    track = tracks[name]
                    shared += 1
                    hyper, pick = resolved[track.param.group]
                    counts = {Counter.CALL: calls, Counter.CALL_NONEMPTY: calls, Counter.BUMPED_PER_PARAMETER: shared}
                    t = counts.get(pick.counter, track.steps)
                    if hooks is NO_HOOKS:
                        _step(track, gradient, hyper, pick, t, forms)
                    else:
                        tick = _tick(tracks, gradients, name, number, t, group_calls)
                        _with_moments_of_owner(
                            tracks, moments, tick, hooks, partial(_hooked_step, track, gradient, hyper, pick, tick, forms, hooks)
                        )
            yield {name: track.shown() for name, track in tracks.items()}


def _calls(step: Step, resolved: Sequence[Resolved]) -> Iterable[Step]:
    """The step, or one for each of its micro-batches where a mistake takes them apart."""
    apart = any(pick.accumulation is Accumulation.APART for _, pick in resolved)
    return [replace(step, gradients=gradients, batches=()) for gradients in step.batches] if apart and step.batches else [step]


def _is_given(step: Step, name: str) -> bool:
    return step.gradients.get(name) is not None


def _laid_out(track: Track, step: Step, case: Case) -> Occurrences:
    name, shape = track.param.name, track.param.value.shape
    if step.parts:
        parts = {number: part for number, gradients in enumerate(step.parts) if (part := gradients.get(name)) is not None}
        is_first = track.param is case.params[0]
        rule = case.reduction if step.ranks else case.accumulation
        ranks = Ranks(np.zeros(0), len(step.parts), tuple(parts), len(case.steps[0].parts), is_first, rule, bool(step.batches))
        given = of_ranks(parts, shape, name, ranks)
    else:
        given = occurrences(step.gradients[name], shape, name)
    if len(track.state.p) != given.layout[0]:  # elements among rows: every gradient of a parameter is laid out alike
        return _as_elements(given, track.layout)
    return given


def _tick(tracks: Mapping[str, Track], active: Iterable[str], name: str, number: int, t: int, calls: Mapping[int, int]) -> Tick:
    return Tick(
        t=t,
        name=name,
        number=number,
        start=tracks[name].param.step,
        counts={other: track.steps for other, track in tracks.items()},
        active=tuple(active),
        groups={other: track.param.group for other, track in tracks.items()},
        starts={other: track.param.step for other, track in tracks.items()},
        calls=dict(calls),
    )


def _with_moments_of_owner(
    tracks: Mapping[str, Track], moments: dict[Hashable, State], tick: Tick, hooks: Hooks, step: Callable[[], None]
) -> None:
    """Step a parameter with the moments of their owner, which may be another parameter, or none of them."""
    track = tracks[tick.name]
    own = track.state
    owner = hooks.owner(tick, track.param.value.shape) if hooks.owner else tick.name
    if owner != tick.name:
        owned = tracks[str(owner)].state if owner in tracks else moments.setdefault(owner, own)
        track.state = _sharing(own, owned, hooks)
    step()
    if owner in tracks and owner != tick.name:  # the moments of the other are its own again
        track.state = _sharing(track.state, own, hooks)


def _hooked_step(
    track: Track,
    given: Occurrences,
    hyper: Hyper,
    picks: Picks,
    tick: Tick,
    forms: Forms,
    hooks: Hooks,
) -> None:
    """One step under hooks: another t, and what changes the state afterwards."""
    t = hooks.clock(tick) if hooks.clock else tick.t
    old = track.state.take(np.arange(track.layout[0])) if hooks.after else None  # indexing by an array copies
    _step(track, given, hyper, picks, t, forms)
    if hooks.after:
        hooks.after(Updated(track.a, old, track.state, given.indices, tick, track.param.value.shape, hyper, picks))


def _sharing(state: State, owned: State, hooks: Hooks) -> State:
    """The state with the arrays of another, which a step then changes in place."""
    return replace(state, **{field: getattr(owned, field) for field in hooks.shared})


def kept_arrays(case: Case) -> dict[str, tuple[str, ...]]:
    """The arrays that the dialect keeps of each parameter: the maximum of amsgrad only where some step takes one."""
    table = dialect(case.dialect)
    takes_maximum = {
        index for hypers in scheduled(case) for index, hyper in enumerate(hypers) if table.resolve(hyper)[1].amsgrad is not Amsgrad.OFF
    }
    own = {param.name: (COMPENSATION,) if COMPENSATION in param.dtypes else () for param in case.params}
    return {param.name: (*(ARRAYS if param.group in takes_maximum else ALWAYS_KEPT), *own[param.name]) for param in case.params}


def scheduled(case: Case, picks: Sequence[Picks] = ()) -> Iterator[list[dict[str, Any]]]:
    """The hyper-parameters of each group at each step: those at the start, and every change up to that step."""
    known = [dict(group.hyper) for group in case.groups]
    taken = [0] * len(known)
    for number in range(len(case.steps)):
        for index, hyper in enumerate(known):
            shift = SCHEDULE_SHIFT[picks[index].schedule] if picks else 0
            upto = 0 if shift is None else min(number + 1 + shift, len(case.steps))
            for step in case.steps[taken[index] : upto]:
                hyper.update(step.hyper[index] if step.hyper else {})
            taken[index] = max(taken[index], upto)
        yield [dict(hyper) for hyper in known]


SCHEDULE_SHIFT = {Schedule.AS_GIVEN: 0, Schedule.EARLY: 1, Schedule.LATE: -1, Schedule.IGNORED: None}


def _start(param: Param, a: Arithmetic, case: Case, picks: Picks) -> Track:
    elements = _uses_elements(case, param.name)
    layout = (math.prod(param.value.shape), 1) if elements else row_layout(param.value.shape)
    zeros = np.zeros(layout)

    def moment(given: Array | None, dropped: Resume) -> Array:
        if given is None or picks.resume in (Resume.MOMENTS_DROPPED, dropped):
            return zeros
        with np.errstate(over="ignore", under="ignore"):
            rounded = given.astype(np.float16) if picks.resume is Resume.MOMENTS_HALVED else given
        return rounded.astype(np.float64).reshape(layout)

    given = (
        (param.exp_avg, Resume.FIRST_DROPPED),
        (param.exp_avg_sq, Resume.SECOND_DROPPED),
        (param.max_exp_avg_sq, Resume.MAXIMUM_DROPPED),
    )
    moments = [a.load(moment(values, dropped)) for values, dropped in given]
    dtypes = {array: param.dtype_of(MASTER if array == "param" else array) for array in ARRAYS}
    kept_as = Pair(str(param.value.dtype), param.dtypes[COMPENSATION]) if COMPENSATION in param.dtypes else None
    kept_in = {FIELDS[array]: dtype for array, dtype in dtypes.items() if dtype != case.computed_in(param.name)}
    if kept_as:
        del kept_in["p"]
    state = State(a.load(param.value.reshape(layout)), moments[0], moments[1], moments[2], kept_in, kept_as)
    steps = 0 if picks.resume is Resume.STEP_DROPPED else param.step
    return Track(param, a, layout, state, steps, np.full(layout[0], steps), np.full(layout[0], steps))


def _uses_elements(case: Case, name: str) -> bool:
    return any(is_element_gradient(step.gradients.get(name)) for step in case.steps)


def _as_elements(given: Occurrences, layout: tuple[int, int]) -> Occurrences:
    width = given.layout[1]
    indices = (given.indices[:, None] * width + np.arange(width)).reshape(-1)
    ranks = None if given.ranks is None else replace(given.ranks, of=np.repeat(given.ranks.of, width))
    return Occurrences(indices, given.values.reshape(-1, 1), layout, given.dense, ranks)


def _keeps_step(picks: list[Picks]) -> bool:
    return all(pick.resume is not Resume.STEP_DROPPED for pick in picks)


def _count(track: Track, given: Occurrences, picks: Picks) -> None:
    if len(given.indices) or picks.counter is not Counter.PARAMETER_NONEMPTY:
        track.steps += 1
    if picks.counter is Counter.ROW:
        track.row_steps[np.unique(given.indices)] += 1


def _step(track: Track, given: Occurrences, hyper: Hyper, picks: Picks, t: int, forms: Forms) -> None:
    a, shape = track.a, track.param.value.shape
    centralize = centralizes(shape)
    if picks.direction in SCHEDULED:
        track.past_momenta = (*track.past_momenta, (hyper.beta1, hyper.momentum_decay))
        if len(set(track.past_momenta)) > 1:
            hyper = replace(hyper, past_momenta=track.past_momenta)
    if picks.touch in CAUGHT_UP and not given.dense:
        _catch_up(track, given, hyper, picks, t, forms)
    if picks.counter is not Counter.ROW:
        step_parameter(a, track.state, given, picks, scalars(a, hyper, picks, t), forms, centralize)
        return
    for own in np.unique(track.row_steps[given.indices]):  # rows of equal count share their scalars
        some = track.row_steps[given.indices] == own
        part = replace(given.at(some), dense=False)
        step_parameter(a, track.state, part, picks, scalars(a, hyper, picks, int(own)), forms, centralize)


CAUGHT_UP = {Touch.CATCH_UP: 0, Touch.CATCH_UP_AND_ONE: 1}
"""Steps that a row makes beyond those that it missed."""


def _catch_up(track: Track, given: Occurrences, hyper: Hyper, picks: Picks, t: int, forms: Forms) -> None:
    a, rows = track.a, np.unique(given.indices)
    missed = t - 1 - track.last_touch[rows]
    plain = replace(picks, touch=Touch.STORED)
    for back in range(int(missed.max(initial=0)) + CAUGHT_UP[picks.touch], 0, -1):
        late = rows[missed + CAUGHT_UP[picks.touch] >= back]
        nothing = Occurrences(late, np.zeros((len(late), given.layout[1])), given.layout, False)
        step_parameter(a, track.state, nothing, plain, scalars(a, hyper, picks, max(t - back, 1)), forms)
    track.last_touch[rows] = t
