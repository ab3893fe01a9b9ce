"""What the optimizers of Keras 2 and 3 over TensorFlow have in common, for the backends of both."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from peer_backend import changes, forms, is_resumed
from refusals import has_one_group, shared_count

from refimpl.backends import Unsupported
from refimpl.case import ARRAYS
from refimpl.gradients import gradient_form


class KerasRun:
    """One optimizer and its variables by name; it has one set of hyper-parameters, and one step count."""

    def __init__(self, case):
        has_one_group(case)
        if "amsgrad" in changes(case):
            raise Unsupported("amsgrad cannot change once the optimizer is made")
        if "elements" in forms(case):
            raise Unsupported("a gradient is a dense tensor or IndexedSlices: single elements cannot be given")
        if any(all(gradient is None for gradient in step.gradients.values()) for step in case.steps):
            raise Unsupported("a call without any gradient is refused (ValueError: No gradients provided for any variable)")
        self.params = {param.name: self.variable(np.array(param.value, order="C")) for param in case.params}
        self.optimizer = self.made(case.groups[0].hyper)
        self.build()
        if is_resumed(case):
            self._resume(case)

    def build(self):
        self.optimizer.build(list(self.params.values()))

    def moments(self):
        """Of each parameter m, v and, with amsgrad, the maximum of v."""
        maximum = (self.optimizer._velocity_hats,) if self.optimizer.amsgrad else ()
        return dict(zip(self.params, zip(self.optimizer._momentums, self.optimizer._velocities, *maximum)))

    def _resume(self, case):
        self.optimizer.iterations.assign(shared_count(case))
        moments = self.moments()
        for param in case.params:
            for moment, start in zip(moments[param.name], (param.exp_avg, param.exp_avg_sq, param.max_exp_avg_sq)):
                if start is not None:
                    moment.assign(np.array(start, order="C"))

    def step(self, step):
        for name, value in step.hyper[0].items() if step.hyper else ():
            setattr(self.optimizer, name, value)
        pairs = [(_gradient(step.gradients.get(name)), variable) for name, variable in self.params.items()]
        self.apply([pair for pair in pairs if pair[0] is not None])

    def state(self):
        """The parameters and what `moments` gives of each: m, v and, with amsgrad, the maximum."""
        return {
            name: {array: np.array(value) for array, value in zip(ARRAYS, (self.params[name], *moments))}
            for name, moments in self.moments().items()
        }


def _gradient(gradient):
    """A gradient by rows as IndexedSlices, which is what tf.gather has."""
    if gradient is None:
        return None
    if gradient_form(gradient) == "rows":
        values, indices = (tf.constant(np.array(array, order="C")) for array in (gradient.values, gradient.indices))
        return tf.IndexedSlices(values, indices, tf.constant(gradient.shape, tf.int64))
    return tf.constant(np.array(gradient, order="C"))
