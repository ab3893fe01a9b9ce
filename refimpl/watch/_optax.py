"""Watch for optax: JAX's arrays do not change, so that a call can be judged from its inputs and outputs, once it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
import optax as real
from jax.tree_util import keystr, tree_flatten_with_path, tree_leaves, tree_structure

from ..errors import UsageError
from ..gradients import Array
from ._calls import Calls, Parameter, readable

KNOWN = {"ScaleByAdamState", "ScaleByScheduleState", "EmptyState", "InjectStatefulHyperparamsState", "InjectHyperparamsState",
         "WrappedScheduleState"}  # fmt: skip
"""States of transformations that leave a step as it is described; another one (of accumulated gradients, say) makes it another step."""


Settings = Mapping[str, Any] | Callable[[str], Mapping[str, Any]]
"""Of every parameter, or a function of a parameter's name (where a mask spares some of the weight decay)."""


def optax(transformation: Any, dialect: str, settings: Settings, **options: Any) -> OptaxWatch:
    """Watch an optax transformation: `watch.update` in place of its own, or `watch.judge` behind a jitted step.

    An optax transformation is a closure, which does not tell what it computes. So it is judged against what is stated: dialect, one of
    optax.adam, adamw, nadam, nadamw, radam, adamax, adamaxw; settings in its own names, a schedule as the function of the count that it
    is, or a function of a parameter's name that gives them. What optax.inject_hyperparams keeps in the state is read there. A jitted
    step rounds a schedule in another way than Python does, so that `judge` takes none: it reads the state, or its own settings. options:
    every, sample, on_failure, save, require, seed, as for `refimpl.Watch`. Raises UsageError for a dialect that is none of optax's, for a
    setting that it has not, and, at the first call, for a learning rate that is stated nowhere, and for a state that changes the step.
    """
    return OptaxWatch(transformation, dialect, settings, **options)


class OptaxWatch(Calls):
    """The watch of one transformation; it has `init` and `update`, so that it can stand in `optax.chain` where that is not jitted."""

    def __init__(self, transformation: Any, dialect: str, settings: Settings, **options: Any) -> None:
        super().__init__(dialect, dialect, _taken, **options)
        if self.table.framework != "jax":
            raise UsageError(f"{self.table.name} is no dialect of optax", "optax.adam, optax.adamw, optax.nadam, optax.radam, ...")
        self.stated = settings
        self.init = transformation.init
        self._transformation = transformation
        self._is_jitted = hasattr(transformation.update, "lower")
        if not callable(settings):
            self.settings({name: value for name, value in settings.items() if not callable(value)})

    def update(self, updates: Any, state: Any, params: Any, **extra: Any) -> tuple[Any, Any]:
        """What the transformation's own `update` returns; the call is judged, the parameter as `optax.apply_updates` makes it.

        Raises UsageError within `jax.jit`, where there are no numbers yet: `judge` takes those of a jitted step.
        """
        if any(isinstance(leaf, jax.core.Tracer) for leaf in tree_leaves((updates, state, params))):
            raise UsageError("update is traced by jax.jit, and has no numbers yet", "call watch.judge(...) behind the jitted step")
        result, new_state = self._transformation.update(updates, state, params, **extra)
        if self.due():
            self._judge(updates, state, params, new_state, result, _applied, {}, self._is_jitted)
        return result, new_state

    def judge(
        self, gradients: Any, state: Any, params: Any, new_state: Any, new_params: Any, settings: Mapping[str, Any] | None = None
    ) -> None:
        """Judge a call from what went in and what came out: trees of arrays, as optax has them. settings: of this call alone.

        Raises UsageError where the arrays are those of a trace, or were donated to a jitted step, and for a setting that is a schedule.
        """
        leaves = tree_leaves((gradients, state, params, new_state, new_params))
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            raise UsageError("judge is called within jax.jit, where there are no numbers yet", "call it behind the jitted step")
        if any(isinstance(leaf, jax.Array) and leaf.is_deleted() for leaf in leaves):
            raise UsageError("an array was donated to a jitted step, and is gone", "copy what is judged, or do not donate it")
        if self.due():
            self._judge(gradients, state, params, new_state, new_params, lambda old, new, places: _taken(new, places), settings or {}, True)

    def _judge(
        self,
        gradients: Any,
        state: Any,
        params: Any,
        new_state: Any,
        results: Any,
        made: Callable[..., Array],
        settings: Mapping[str, Any],
        is_jitted: bool,
    ) -> None:
        """results: the new parameters, or what changes them; made: (parameter, result, places) -> the new elements."""
        adam, new_adam = (_adam_of(tree, callable(self.stated)) for tree in (state, new_state))
        trees = (gradients, adam.mu, adam.nu, new_adam.mu, new_adam.nu, results)
        structure = tree_structure(params)
        if any(tree_structure(tree) != structure for tree in trees):
            self.session.note("not judged: a call whose trees differ in structure")
            return
        known: list[Mapping[str, object]] = []
        parameters, ends = [], {}
        for (path, param), gradient, mu, nu, *end in zip(tree_flatten_with_path(params)[0], *map(tree_leaves, trees)):
            name = readable(keystr(path, simple=True, separator="."))
            if self.not_watched(name, str(getattr(param, "dtype", type(param).__name__))):
                continue
            if not all(_is_here(array) for array in (param, gradient, mu, nu, *end)):
                self.session.note(f"not watched: {name!r}, a part of it is on another process")
                continue
            own = self._now(name, state, new_state, settings, is_jitted)
            known += [] if own in known else [own]
            arrays = {"param": param, "exp_avg": mu, "exp_avg_sq": nu}
            parameters.append(Parameter(name, param.size, str(param.dtype), arrays, gradient, known.index(own)))
            ends[name] = end
        copied = self.copy(parameters)
        after = []
        for sample in copied:
            new_mu, new_nu, result = ends[sample.parameter.name]
            param = made(sample.parameter.arrays["param"], result, sample.places).reshape(-1, 1)
            after.append({"param": param, **self.read({"exp_avg": new_mu, "exp_avg_sq": new_nu}, sample.places)})
        self.judge_call(copied, after, known, (float(adam.count), float(new_adam.count)))

    def _now(self, name: str, state: Any, new_state: Any, of_call: Mapping[str, Any], is_jitted: bool) -> dict[str, object]:
        """The settings of a parameter at this call: as the state has them, as they are stated, or as they are stated for the call."""
        injected = {key: value for key, value in _injected(new_state).items() if key in self.table.parameters}
        stated = {**(self.stated(name) if callable(self.stated) else self.stated), **of_call}
        schedules = [key for key, value in stated.items() if callable(value) and key not in injected]
        if schedules and is_jitted:
            hint = "optax.inject_hyperparams keeps the number in the state; or give judge(..., settings=) the number that the step returns"
            raise UsageError(f"{schedules[0]} is a schedule, whose number in a jitted step nobody knows to the bit", hint)
        count = _count_of_schedule(state) if schedules else 0
        known = {
            key: value(count) if callable(value) else value for key, value in stated.items() if key in schedules or not callable(value)
        }
        if "learning_rate" not in {**injected, **known}:
            raise UsageError("no learning rate is stated", 'settings={"learning_rate": ...}: a transformation does not tell its own')
        return self.settings({key: _number(value) for key, value in {**injected, **known}.items()})


def _count_of_schedule(state: Any) -> int:
    """The count that optax asks a schedule with: its own where the state has one, else that of the moments."""
    nodes = list(_nodes(state))
    own = {int(node.count) for node in nodes if type(node).__name__ == "ScaleByScheduleState"}
    return own.pop() if len(own) == 1 else next(int(node.count) for node in nodes if "mu" in node._fields)


def _applied(param: Any, change: Any, places: Array) -> Array:
    """What optax.apply_updates makes of these elements."""
    old, by = (jax.numpy.asarray(_taken(array, places)) for array in (param, change))
    return np.array(real.apply_updates(old, by))


def _taken(array: Any, places: Array) -> Array:
    if isinstance(array, jax.Array) and any(device.platform != "cpu" for device in array.devices()):
        return np.asarray(array.reshape(-1)[places])  # gathered there: only the sample is fetched
    return np.asarray(array).reshape(-1).take(places)


def _is_here(array: Any) -> bool:
    return not isinstance(array, jax.Array) or array.is_fully_addressable


def _number(value: Any) -> object:
    return value if isinstance(value, (bool, int, float)) else float(np.asarray(value))


def _nodes(state: Any) -> Iterator[Any]:
    """The states within a state: named tuples, in tuples and in each other."""
    if isinstance(state, tuple):
        if hasattr(state, "_fields"):
            yield state
        for part in state:
            yield from _nodes(part)
    elif isinstance(state, dict):
        for part in state.values():
            yield from _nodes(part)


def _adam_of(state: Any, by_name: bool) -> Any:
    """The one state of Adam's moments. Raises UsageError where there is none, where there are several, or beside one of another kind.

    by_name: settings are stated for each parameter, so that a mask may spare some.
    """
    nodes = list(_nodes(state))
    adams = [node for node in nodes if {"count", "mu", "nu"} <= set(node._fields)]
    others = sorted({type(node).__name__ for node in nodes} - KNOWN - ({"MaskedState"} if by_name else set()))
    if len(adams) != 1 or others:
        what = f"holds {', '.join(others)}, which changes the step" if others else f"has {len(adams)} states with moments"
        raise UsageError(f"the state {what}: it is not watched", "watch the transformation within; of a mask, give the settings by name")
    return adams[0]


def _injected(state: Any) -> dict[str, object]:
    """The settings that optax.inject_hyperparams has used in the call that gave this state."""
    return {name: _number(value) for node in _nodes(state) for name, value in getattr(node, "hyperparams", {}).items()}
