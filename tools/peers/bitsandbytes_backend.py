"""bitsandbytes' 32-bit Adam and AdamW on the CPU as routes."""

from __future__ import annotations

from types import MappingProxyType

import bitsandbytes as bnb
from peer_backend import peer_factory
from torch_run import TorchRun


class AdamRun(TorchRun):
    dialects = ("bitsandbytes.Adam",)
    names = MappingProxyType({"exp_avg": "state1", "exp_avg_sq": "state2"})
    make = bnb.optim.Adam

    def made(self, groups, first):
        return self.make(groups, **first, optim_bits=32)


class AdamWRun(AdamRun):
    dialects = ("bitsandbytes.AdamW",)
    make = bnb.optim.AdamW


factory = peer_factory("bitsandbytes", {"adam": AdamRun, "adamw": AdamWRun})
