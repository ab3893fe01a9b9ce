"""keras.optimizers.Adam of Keras 3 with a backend that has dense gradients alone: KERAS_BACKEND says which."""

from __future__ import annotations

import keras
from peer_backend import changes, is_resumed
from refusals import copied, has_one_group, shared_count, takes_dense

from refimpl.backends import Unsupported
from refimpl.case import ARRAYS
from refimpl.conversion import momentum_product
from refimpl.dialects import dialect


class KerasDenseRun:
    """One optimizer and its variables by name; it has one set of hyper-parameters, and one step count."""

    dialects = ("keras.Adam",)
    make = staticmethod(keras.optimizers.Adam)

    def __init__(self, case):
        has_one_group(case)
        takes_dense(case, "a dense tensor")
        if "amsgrad" in changes(case):
            raise Unsupported("amsgrad cannot change once the optimizer is made")
        if any(all(gradient is None for gradient in step.gradients.values()) for step in case.steps):
            raise Unsupported("a call without any gradient is refused (ValueError: No gradients provided for any variable)")
        hyper = case.groups[0].hyper
        self.params = {param.name: keras.Variable(copied(param.value), dtype=str(param.value.dtype)) for param in case.params}
        self.optimizer = self.make(**{**hyper, "weight_decay": hyper["weight_decay"] or None})
        self.optimizer.build(list(self.params.values()))
        if is_resumed(case):
            self._resume(case)

    def _moments(self):
        """Of each parameter m, v and, with amsgrad, the maximum of v."""
        maximum = (self.optimizer._velocity_hats,) if self.optimizer.amsgrad else ()
        return dict(zip(self.params, zip(self.optimizer._momentums, self.optimizer._velocities, *maximum)))

    def _resume(self, case):
        self.optimizer.iterations.assign(shared_count(case))
        for param in case.params:
            for moment, start in zip(self._moments()[param.name], (param.exp_avg, param.exp_avg_sq, param.max_exp_avg_sq)):
                if start is not None:
                    moment.assign(copied(start))

    def step(self, step):
        for name, value in step.hyper[0].items() if step.hyper else ():
            setattr(self.optimizer, name, value)
        given = [(gradient, self.params[name]) for name, gradient in step.gradients.items() if gradient is not None]
        gradients = [keras.ops.convert_to_tensor(copied(gradient), dtype=str(gradient.dtype)) for gradient, _ in given]
        self.optimizer.apply(gradients, [variable for _, variable in given])

    def state(self):
        return {
            name: {array: keras.ops.convert_to_numpy(value).copy() for array, value in zip(ARRAYS, (self.params[name], *moments))}
            for name, moments in self._moments().items()
        }


class KerasNadamRun(KerasDenseRun):
    """Nadam, which also keeps the product of its momenta."""

    dialects = ("keras.Nadam",)
    make = staticmethod(keras.optimizers.Nadam)

    def _moments(self):
        return dict(zip(self.params, zip(self.optimizer._momentums, self.optimizer._velocities)))

    def _resume(self, case):
        super()._resume(case)
        beta1, decay = case.groups[0].hyper["beta_1"], dialect(case.dialect).fixed["momentum_decay"]
        product = momentum_product(beta1, decay, shared_count(case))
        self.optimizer._u_product.assign(product)
