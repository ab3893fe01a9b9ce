"""transformers.AdamW as a route: an optimizer of PyTorch's kind, so that it runs as refimpl's backend `torch` runs those."""

from __future__ import annotations

import torch
from peer_backend import peer_factory
from transformers.optimization import AdamW

from refimpl.backends.torch import OPTIMIZERS, TorchRun

DIALECT = "transformers.AdamW"
OPTIMIZERS[DIALECT] = AdamW
torch.sparse.check_sparse_tensor_invariants.enable()


class AdamWRun(TorchRun):
    dialects = (DIALECT,)

    def __init__(self, case):
        super().__init__(case, "cpu", {"no_deprecation_warning": True})

    def _resume(self, param):
        super()._resume(param)
        self._optimizer.state[self._params[param.name]]["step"] = param.step  # an int, from which it computes in double


factory = peer_factory("transformers", {"adamw": AdamWRun})
