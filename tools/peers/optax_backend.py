"""The Adam family of optax as routes: with jax_enable_x64 off, as JAX comes, and on. A dialect is named as the function it describes."""

from __future__ import annotations

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental.sparse import BCOO
from peer_backend import forms, is_resumed, peer_factory

from refimpl.backends import Unsupported
from refimpl.gradients import gradient_form

MAKERS = {
    "optax.adam": optax.adam,
    "optax.adamw": optax.adamw,
    "optax.nadam": optax.nadam,
    "optax.nadamw": optax.nadamw,
    "optax.radam": optax.radam,
    "optax.adamax": optax.adamax,
    "optax.adamaxw": optax.adamaxw,
}
"""What makes the transformation that a dialect describes."""


class AdamRun:
    """A jitted step: update and apply_updates. What changes is given to a new transformation, which takes over the state."""

    dialects = tuple(MAKERS)
    x64: bool

    def __init__(self, case):
        if case.dtype == "float64" and not self.x64:
            raise Unsupported("with jax_enable_x64 off every float64 array becomes float32")
        if "none" in forms(case):
            raise Unsupported("update takes a gradient for every parameter: a leaf of None is refused")
        jax.config.update("jax_enable_x64", self.x64)
        self.dtypes = {param.name: jnp.dtype(param.value.dtype) for param in case.params}
        self.groups = [dict(group.hyper) for group in case.groups]
        self.dialect = case.dialect
        self.labels = tuple((param.name, param.group) for param in case.params)
        self.params = {param.name: jnp.asarray(param.value, self.dtypes[param.name]) for param in case.params}
        self.optimizer_state = _transformation(*self._settings()).init(self.params)
        if is_resumed(case):
            self._resume(case.params)

    def _settings(self):
        return self.dialect, tuple(tuple(sorted(group.items())) for group in self.groups), self.labels

    def _resume(self, params):
        def moment(array):
            return {param.name: jnp.asarray(getattr(param, array), self.dtypes[param.name]) for param in params}

        count = jnp.asarray(params[0].step, jnp.int32)  # one count per optimizer
        self.optimizer_state = optax.tree.set(self.optimizer_state, count=count, mu=moment("exp_avg"), nu=moment("exp_avg_sq"))

    def step(self, step):
        for group, change in zip(self.groups, step.hyper):
            group.update(change)
        gradients = {name: self._gradient(name, gradient) for name, gradient in step.gradients.items()}
        self.params, self.optimizer_state = _jitted(*self._settings())(gradients, self.optimizer_state, self.params)

    def _gradient(self, name, gradient):
        form = gradient_form(gradient)
        if form == "dense":
            return jnp.asarray(gradient, self.dtypes[name])
        values, indices = (gradient.values, gradient.indices[:, None]) if form == "rows" else (gradient.data, np.stack(gradient.coords, -1))
        return BCOO((jnp.asarray(values), jnp.asarray(indices)), shape=gradient.shape)

    def state(self):
        moments = {"exp_avg": self._moment("mu"), "exp_avg_sq": self._moment("nu")}
        params = {name: np.asarray(value) for name, value in self.params.items()}
        return {name: {"param": value, **{array: moment[name] for array, moment in moments.items()}} for name, value in params.items()}

    def _moment(self, field):
        """A moment of every parameter; with several groups each holds its own parameters', and a mask for the others."""
        moments = {}
        for _, tree in optax.tree.get_all_with_path(self.optimizer_state, field):
            moments.update({name: np.asarray(value) for name, value in tree.items() if not isinstance(value, optax.MaskedNode)})
        return moments


@lru_cache(maxsize=64)
def _transformation(dialect, groups, labels):
    """The optimizer, or where parameters fall into groups, one for each, which optax.partition puts together."""
    optimizers = {index: MAKERS[dialect](**dict(group)) for index, group in enumerate(groups)}
    return optax.partition(optimizers, dict(labels)) if len(optimizers) > 1 else optimizers[0]


@lru_cache(maxsize=64)
def _jitted(dialect, groups, labels):
    transformation = _transformation(dialect, groups, labels)

    @jax.jit
    def step(gradients, state, params):
        updates, state = transformation.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    return step


class X32(AdamRun):
    x64 = False


class X64(AdamRun):
    x64 = True


factory = peer_factory("optax", {"x32": X32, "x64": X64})
