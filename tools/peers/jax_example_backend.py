"""jax.example_libraries.optimizers.adam as routes: with jax_enable_x64 off, as JAX comes, and on."""

from __future__ import annotations

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax.example_libraries import optimizers
from peer_backend import is_resumed, peer_factory
from refusals import has_one_group, shared_count, start, takes_dense, takes_every_gradient

from refimpl.backends import Unsupported


class AdamRun:
    """A jitted update. What changes makes a new triple of functions, which go on with the state."""

    dialects = ("jax.adam",)
    x64: bool

    def __init__(self, case):
        if case.dtype == "float64" and not self.x64:
            raise Unsupported("with jax_enable_x64 off every float64 array becomes float32")
        takes_dense(case, "a jax.Array")
        takes_every_gradient(case, "the tree of gradients must match that of the parameters")
        has_one_group(case)
        jax.config.update("jax_enable_x64", self.x64)
        self.hyper = dict(case.groups[0].hyper)
        self.dtypes = {param.name: jnp.dtype(param.value.dtype) for param in case.params}
        self.count = 0
        self.held = _functions(*self._items())[0]({param.name: self._array(param.name, param.value) for param in case.params})
        if is_resumed(case):
            self._resume(case)

    def _resume(self, case):
        self.count = shared_count(case)
        self.held = optimizers.pack_optimizer_state({param.name: optimizers.JoinPoint(self._start(param)) for param in case.params})

    def _start(self, param):
        arrays = (param.value, start(param, "exp_avg"), start(param, "exp_avg_sq"))
        return tuple(self._array(param.name, value) for value in arrays)

    def _items(self):
        return tuple(sorted(self.hyper.items()))

    def _array(self, name, value):
        return jnp.asarray(value, self.dtypes[name])

    def step(self, step):
        for change in step.hyper:
            self.hyper.update(change)
        gradients = {name: self._array(name, step.gradients[name]) for name in self.dtypes}
        self.held = _functions(*self._items())[1](self.count, gradients, self.held)
        self.count += 1

    def state(self):
        parts = {name: joined.subtree for name, joined in optimizers.unpack_optimizer_state(self.held).items()}
        return {name: dict(zip(("param", "exp_avg", "exp_avg_sq"), map(np.asarray, arrays))) for name, arrays in parts.items()}


@lru_cache(maxsize=64)
def _functions(*items):
    init, update, _ = optimizers.adam(**dict(items))
    return init, jax.jit(update)


class X32(AdamRun):
    x64 = False


class X64(AdamRun):
    x64 = True


factory = peer_factory("jax", {"x32": X32, "x64": X64})
