"""torchao.optim._AdamW as a route."""

from __future__ import annotations

import torch
from peer_backend import peer_factory
from torch_run import TorchRun
from torchao.optim import _AdamW


class AdamWRun(TorchRun):
    """The learning rate is a tensor, which is filled; a number in its place is refused."""

    dialects = ("torchao.AdamW",)

    def made(self, groups, first):
        return _AdamW(groups, **first)

    def count(self, step):
        return torch.tensor(float(step))

    def change(self, group, values):
        rest = dict(values)
        if "lr" in rest:
            group["lr"].fill_(rest.pop("lr"))
        group.update(rest)


factory = peer_factory("torchao", {"adamw": AdamWRun})
