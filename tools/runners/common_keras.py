"""What the optimizers of Keras 2 and 3 over TensorFlow have in common, for the runners of both."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from common import STATE, Elements, Rows, Unsupported


class KerasRun:
    """One optimizer and its variables by name; it has one set of hyper-parameters, and one step count."""

    def __init__(self, case):
        if len(case.groups) > 1:
            raise Unsupported("an optimizer has one set of hyper-parameters, no groups")
        self.params = {param.name: self.variable(np.array(param.value, order="C")) for param in case.params}
        self.run = self.made(case.groups[0])
        self.build()
        if any(param.step or param.exp_avg is not None for param in case.params):
            self._resume(case)

    def build(self):
        self.run.build(list(self.params.values()))

    def moments(self):
        """Of each parameter m, v and, with amsgrad, the maximum of v."""
        kept = (self.run._momentums, self.run._velocities, *((self.run._velocity_hats,) if self.run.amsgrad else ()))
        return dict(zip(self.params, zip(*kept)))

    def _resume(self, case):
        steps = {param.step for param in case.params}
        if len(steps) > 1:
            raise Unsupported("one step count for all parameters")
        self.run.iterations.assign(steps.pop())
        moments = self.moments()
        for param in case.params:
            for moment, given in zip(moments[param.name], (param.exp_avg, param.exp_avg_sq, param.max_exp_avg_sq)):
                if given is not None:
                    moment.assign(np.array(given, order="C"))

    def step(self, step):
        for name, value in step.hyper[0].items():
            if name == "amsgrad":
                raise Unsupported("amsgrad cannot change once the optimizer is made")
            setattr(self.run, name, value)
        pairs = [(gradient(step.gradients[name]), variable) for name, variable in self.params.items()]
        if all(one is None for one, _ in pairs):
            raise Unsupported("a call without any gradient is refused (ValueError: No gradients provided for any variable)")
        self.apply([pair for pair in pairs if pair[0] is not None])

    def state(self):
        """The parameters and what `moments` gives of each: m, v and, with amsgrad, the maximum."""
        return {
            name: {array: np.array(value) for array, value in zip(("param", *STATE), (self.params[name], *moments))}
            for name, moments in self.moments().items()
        }


def gradient(given):
    """A gradient by rows as IndexedSlices, which is what tf.gather has."""
    if given is None:
        return None
    if isinstance(given, Elements):
        raise Unsupported("a gradient is a dense tensor or IndexedSlices: single elements cannot be given")
    if isinstance(given, Rows):
        values, indices = (tf.constant(np.array(array, order="C")) for array in (given.values, given.indices))
        return tf.IndexedSlices(values, indices, tf.constant(given.shape, tf.int64))
    return tf.constant(np.array(given, order="C"))
