"""The Adam family of Keras 3 as routes, with TensorFlow as its backend."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
from keras_run import KerasRun
from peer_backend import peer_factory


class Adam(KerasRun):
    dialects = ("keras.Adam",)

    def made(self, hyper):
        return keras.optimizers.Adam(**{**hyper, "weight_decay": hyper["weight_decay"] or None})

    def variable(self, value):
        return keras.Variable(value, dtype=str(value.dtype))

    def apply(self, pairs):
        self.optimizer.apply([gradient for gradient, _ in pairs], [variable for _, variable in pairs])


class AdamW(Adam):
    dialects = ("keras.AdamW",)

    def made(self, hyper):
        return keras.optimizers.AdamW(**hyper)


class Adamax(Adam):
    dialects = ("keras.Adamax",)

    def made(self, hyper):
        return keras.optimizers.Adamax(**{**hyper, "weight_decay": hyper["weight_decay"] or None})

    def moments(self):
        return dict(zip(self.params, zip(self.optimizer._m, self.optimizer._u)))


factory = peer_factory("keras", {"adam": Adam, "adamw": AdamW, "adamax": Adamax})
