"""TensorFlow's Adam as routes: tf.keras.optimizers.Adam, its legacy form, and tfa.optimizers.LazyAdam, which builds on that."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TFA_VERSION_WARNINGS", "0")

import tensorflow as tf
import tensorflow_addons as tfa
from common import main
from common_keras import KerasRun


class KerasAdam(KerasRun):
    """tf.keras.optimizers.Adam of keras 2.15. Groups have no counterpart: an optimizer has one learning rate."""

    dialects = ("keras.Adam",)

    def made(self, hyper):
        return tf.keras.optimizers.Adam(**{**hyper, "weight_decay": hyper["weight_decay"] or None})

    def variable(self, value):
        return tf.Variable(value)

    def apply(self, pairs):
        self.run.apply_gradients(pairs)


class LegacyAdam(KerasAdam):
    dialects = ("keras.legacy.Adam",)
    optimizer = tf.keras.optimizers.legacy.Adam

    def made(self, hyper):
        return self.optimizer(**hyper)

    def build(self):
        self.run._create_all_weights(list(self.params.values()))

    def moments(self):
        slots = ("m", "v", *(("vhat",) if self.run.amsgrad else ()))
        return {name: [self.run.get_slot(variable, slot) for slot in slots] for name, variable in self.params.items()}


class LazyAdam(LegacyAdam):
    dialects = ("tfa.LazyAdam",)
    optimizer = tfa.optimizers.LazyAdam


ROUTES = {"keras-adam": KerasAdam, "legacy-adam": LegacyAdam, "lazy-adam": LazyAdam}

if __name__ == "__main__":
    main(ROUTES)
