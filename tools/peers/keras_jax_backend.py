"""keras.optimizers.Adam of Keras 3 as a route, with JAX as its backend."""

from __future__ import annotations

from keras_dense_run import KerasDenseRun
from peer_backend import peer_factory

factory = peer_factory("keras", {"adam": KerasDenseRun})
