"""Watch for Keras 3: the optimizer's `apply` is wrapped, where a step is made eagerly; within a compiled step there are no numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras as real
import numpy as np

from ..dialects import dialect as dialect_named
from ..errors import UsageError
from ..gradients import Array
from ._calls import Calls, Copied, Parameter, readable
from ._momenta import is_product
from ._step import Fact

DIALECTS = {
    real.optimizers.Adam: "keras.Adam",
    real.optimizers.AdamW: "keras.AdamW",
    real.optimizers.Adamax: "keras.Adamax",
    real.optimizers.Nadam: "keras.Nadam",
}

MOMENTS = {"keras.Adamax": ("_m", "_u"), "": ("_momentums", "_velocities")}
"""Where an optimizer keeps its moments, a list in the order of its variables."""

CHANGES = ("clipnorm", "clipvalue", "global_clipnorm", "loss_scale_factor", "gradient_accumulation_steps", "ema_overwrite_frequency")
"""Settings of any optimizer of Keras that change what `apply` makes of a gradient or a variable."""


def keras(optimizer: Any, *, dialect: str | None = None, **options: Any) -> KerasWatch:
    """Watch an optimizer of Keras 3: `with refimpl.watch.keras(optimizer) as watch:`, or `watch.close()` at the end.

    The settings are the optimizer's own. A step that Keras compiles has no numbers to look at, and is noted:
    `model.compile(..., run_eagerly=True)`. dialect: what an optimizer of another class claims to compute; options: every, sample,
    on_failure, save, require, seed, as for `refimpl.Watch`. Raises UsageError for an optimizer that clips, accumulates or rescales
    gradients, or whose step is not known.
    """
    return KerasWatch(optimizer, _claimed(optimizer, dialect), **options)


@dataclass(frozen=True, eq=False)
class _Before:
    """A call that has begun. count: of the steps; copied: the samples; variables: by the name of a parameter."""

    count: float
    settings: tuple[Mapping[str, object], ...]
    copied: list[Copied]
    variables: Mapping[str, Any]


class KerasWatch(Calls):
    """The watch of one optimizer; `close` gives it back its own `apply`."""

    def __init__(self, optimizer: Any, dialect: str, **options: Any) -> None:
        own = type(optimizer).__name__
        super().__init__(f"keras.optimizers.{own}" if type(optimizer) in DIALECTS else own, dialect, _taken, **options)
        changing = [name for name in CHANGES if getattr(optimizer, name, None)]
        if changing:
            raise UsageError(f"cannot watch a {own} with {', '.join(changing)}", "its gradients change within `apply`, unseen")
        if callable(optimizer._learning_rate) and not isinstance(
            optimizer._learning_rate, (real.optimizers.schedules.LearningRateSchedule, real.Variable)
        ):
            raise UsageError(f"cannot watch a {own} whose learning rate is a function", "each call of it may give another number")
        self.optimizer = optimizer
        self._apply = optimizer.apply
        object.__setattr__(optimizer, "apply", self._watched)

    def close(self) -> None:
        if self.optimizer.__dict__.get("apply") == self._watched:
            object.__delattr__(self.optimizer, "apply")

    def _watched(self, grads: Any, trainable_variables: Any = None) -> Any:
        grads = list(grads)
        variables = None if trainable_variables is None else list(trainable_variables)
        before = self._before(grads, variables)
        result = self._apply(grads, variables)
        if before is not None:
            self._judge(before)
        return result

    def _before(self, grads: Sequence[Any], variables: Sequence[Any] | None) -> _Before | None:
        pairs = list(zip(grads, self.optimizer._trainable_variables if variables is None else variables))
        pairs = [(gradient, variable) for gradient, variable in pairs if gradient is not None]
        if not self.due() or not pairs:
            return None
        error = next(filter(None, map(_unreadable, pairs[0])), "")
        if error:
            self.session.note(f"not judged: a call without numbers, as in a step that Keras compiles ({error}); say run_eagerly=True")
            return None
        rate = float(_numbers(self.optimizer.learning_rate))
        hyper = {name: getattr(self.optimizer, name) for name in self.table.parameters if name != "learning_rate"}
        decaying = self.settings({**hyper, "learning_rate": rate, **_decay(hyper, hyper.get("weight_decay"))})
        plain = {**decaying, **_decay(hyper, 0.0)}
        parameters: list[Parameter] = []
        by_name: dict[str, Any] = {}
        for gradient, variable in pairs:
            name = self._name(variable, by_name)
            dtype = str(np.dtype(variable.dtype)) if variable.dtype != "bfloat16" else "bfloat16"
            if dtype == "float64":
                self.session.note(f"not watched: {name!r}, of float64, beside which Keras computes its scalars in float32")
            elif hasattr(gradient, "indices"):
                self.session.note(f"not watched: {name!r}, its gradient is by rows")
            elif variable.constraint is not None or getattr(variable, "overwrite_with_gradient", False):
                self.session.note(f"not watched: {name!r}, it has a constraint, or is overwritten")
            elif not self.not_watched(name, dtype):
                spared = not self.optimizer._use_weight_decay(variable)
                parameters.append(Parameter(name, int(np.prod(variable.shape)), dtype, self._arrays(variable), gradient, int(spared)))
                by_name[name] = variable
        count = float(_numbers(self.optimizer.iterations))
        if not self._product_is_right(count):
            self.session.note("not judged: a call whose _u_product is not that of the settings")
            return None
        return _Before(count, (decaying, plain), self.copy(parameters), by_name)

    def _name(self, variable: Any, taken: Mapping[str, Any]) -> str:
        name = readable(getattr(variable, "path", variable.name))
        return name if name not in taken else f"{name}.{len(taken)}"

    def _arrays(self, variable: Any) -> dict[str, Any]:
        if not self.optimizer.built:
            return {"param": variable}
        index = self.optimizer._get_variable_index(variable)
        first, second = MOMENTS.get(self.table.name, MOMENTS[""])
        arrays = {"exp_avg": getattr(self.optimizer, first)[index], "exp_avg_sq": getattr(self.optimizer, second)[index]}
        if getattr(self.optimizer, "amsgrad", False):
            arrays["max_exp_avg_sq"] = self.optimizer._velocity_hats[index]
        return {"param": variable, **arrays}

    def _product_is_right(self, count: float) -> bool:
        """Whether Nadam's product of momenta is that of its settings, from which the proof computes it."""
        if self.table.name != "keras.Nadam":
            return True
        product = float(_numbers(self.optimizer._u_product)) if self.optimizer.built else 1.0
        group = {"betas": (self.optimizer.beta_1,), "momentum_decay": self.table.fixed["momentum_decay"]}
        return is_product({"mu_product": product}, group, count)

    def _judge(self, before: _Before) -> None:
        after = [self.read(self._arrays(before.variables[own.parameter.name]), own.places) for own in before.copied]
        count = float(_numbers(self.optimizer.iterations))
        facts = [] if self._product_is_right(count) else [Fact("", "_u_product", "_u_product is not the product of its momenta")]
        self.judge_call(before.copied, after, before.settings, (before.count, count), facts)


def _claimed(optimizer: Any, claimed: str | None) -> str:
    if not isinstance(optimizer, real.optimizers.Optimizer):
        raise UsageError(f"cannot watch a {type(optimizer).__name__}: it is no keras.optimizers.Optimizer")
    if claimed is not None:
        name = dialect_named(claimed).name
        if name not in DIALECTS.values():
            raise UsageError(f"dialect={claimed!r} is none of Keras 3", f"one of {', '.join(DIALECTS.values())}")
        return name
    if type(optimizer) not in DIALECTS:
        hint = f"if it claims to compute what one of these does, say dialect=: {', '.join(DIALECTS.values())}"
        raise UsageError(f"cannot watch a {type(optimizer).__name__}: refimpl knows no exact step of it", hint)
    return DIALECTS[type(optimizer)]


def _decay(hyper: Mapping[str, object], value: Any) -> dict[str, object]:
    return {"weight_decay": float(value or 0.0)} if "weight_decay" in hyper else {}


def _unreadable(value: Any) -> str:
    """The error of a value that has no numbers yet; each backend raises one of its own. Empty where it has."""
    try:
        _numbers(getattr(value, "values", value) if hasattr(value, "indices") else value)
    except Exception as error:
        return type(error).__name__
    return ""


def _numbers(value: Any) -> Array:
    return np.asarray(real.ops.convert_to_numpy(real.ops.convert_to_tensor(value)))


def _taken(array: Any, places: Array) -> Array:
    return _numbers(array).reshape(-1).take(places)
