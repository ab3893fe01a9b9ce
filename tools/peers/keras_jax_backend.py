"""keras.optimizers.Adam and Nadam of Keras 3 as routes, with JAX as its backend."""

from __future__ import annotations

from keras_dense_run import KerasDenseRun, KerasNadamRun
from peer_backend import peer_factory

factory = peer_factory("keras", {"adam": KerasDenseRun, "nadam": KerasNadamRun})
