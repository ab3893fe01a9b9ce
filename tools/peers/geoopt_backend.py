"""geoopt's Riemannian Adams as routes, on Euclidean parameters."""

from __future__ import annotations

import geoopt
from peer_backend import forms, peer_factory
from torch_run import TorchRun

from refimpl.backends import Unsupported


class RiemannianRun(TorchRun):
    dialects = ("geoopt.RiemannianAdam",)

    def made(self, groups, first):
        return geoopt.optim.RiemannianAdam(groups, **first)


class TorchAdamRun(RiemannianRun):
    """With all the settings of torch.optim.Adam, whose constructor it has."""

    dialects = ("torch.Adam",)


class SparseRun(TorchRun):
    dialects = ("geoopt.SparseRiemannianAdam",)

    def refuse(self, case):
        if any(param.value.ndim != 2 for param in case.params):
            raise Unsupported("a parameter of the sparse optimizer is a matrix (ValueError: should be matrix valued)")
        if "elements" in forms(case):
            raise Unsupported("a gradient of single elements counts for their whole rows")

    def made(self, groups, first):
        return geoopt.optim.SparseRiemannianAdam(groups, **first)


factory = peer_factory("geoopt", {"riemannian": RiemannianRun, "sparse": SparseRun, "riemannian-as-torch": TorchAdamRun})
