"""TensorFlow's Adam as routes: tf.keras.optimizers.Adam, its legacy form, and tfa.optimizers.LazyAdam, which builds on that."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TFA_VERSION_WARNINGS", "0")

import tensorflow as tf
import tensorflow_addons as tfa
from keras_run import KerasRun
from peer_backend import peer_factory


class KerasAdam(KerasRun):
    """tf.keras.optimizers.Adam of keras 2.15. Groups have no counterpart: an optimizer has one learning rate."""

    dialects = ("keras.Adam",)

    def made(self, hyper):
        return tf.keras.optimizers.Adam(**{**hyper, "weight_decay": hyper["weight_decay"] or None})

    def variable(self, value):
        return tf.Variable(value)

    def apply(self, pairs):
        self.optimizer.apply_gradients(pairs)


class LegacyAdam(KerasAdam):
    dialects = ("keras.legacy.Adam",)
    make = tf.keras.optimizers.legacy.Adam

    def made(self, hyper):
        return self.make(**hyper)

    def build(self):
        self.optimizer._create_all_weights(list(self.params.values()))

    def moments(self):
        slots = ("m", "v", *(("vhat",) if self.optimizer.amsgrad else ()))
        return {name: [self.optimizer.get_slot(variable, slot) for slot in slots] for name, variable in self.params.items()}


class LazyAdam(LegacyAdam):
    dialects = ("tfa.LazyAdam",)
    make = tfa.optimizers.LazyAdam


factory = peer_factory("tensorflow-cpu", {"keras-adam": KerasAdam, "legacy-adam": LegacyAdam, "lazy-adam": LazyAdam})
