"""dgl.optim.SparseAdam over dgl.nn.NodeEmbedding as a route."""

from __future__ import annotations

import itertools
import os

import dgl
import numpy as np
import torch
from peer_backend import forms, is_resumed, peer_factory

from refimpl.backends import Unsupported

torch.set_num_threads(2)

_NUMBERS = itertools.count()


class SparseAdamRun:
    """One optimizer; each parameter is an embedding, read at the gradient's rows, so that backward leaves the gradient as it was given."""

    dialects = ("dgl.SparseAdam",)

    def __init__(self, case):
        if len(case.groups) > 1:
            raise Unsupported("an optimizer has one set of hyper-parameters for all of its embeddings")
        if any(param.value.ndim != 2 for param in case.params):
            raise Unsupported("a NodeEmbedding has two dimensions")
        if "elements" in forms(case):
            raise Unsupported("an embedding is read by rows: single elements cannot be given")
        # What has dense gradients is no NodeEmbedding.
        self.params = {
            param.name: torch.nn.Parameter(_tensor(param.value)) if "dense" in forms(case, param.name) else _embedding(param)
            for param in case.params
        }
        self.optimizer = dgl.optim.SparseAdam(list(self.params.values()), **case.groups[0].hyper)
        if is_resumed(case):
            self._resume(case)

    def _resume(self, case):
        """Every row of a table starts at the step count of the table."""
        state = self.optimizer.state_dict()
        for param in case.params:
            steps = torch.full((len(param.value),), param.step, dtype=torch.int32)
            state["state"][self.params[param.name].name] = (steps, _tensor(param.exp_avg), _tensor(param.exp_avg_sq))
        self.optimizer.load_state_dict(state)

    def step(self, step):
        """A change of a hyper-parameter goes through the state: `param_groups` is a copy, and setting it changes nothing."""
        for change in step.hyper:
            if change:
                state = self.optimizer.state_dict()
                state["param_groups"][0].update(change)
                self.optimizer.load_state_dict(state)
        self.optimizer.zero_grad()
        for name, gradient in step.gradients.items():
            if gradient is not None:
                self.params[name](_tensor(gradient.indices).long()).backward(_tensor(gradient.values))
        self.optimizer.step()

    def state(self):
        return {name: self._arrays(embedding) for name, embedding in self.params.items()}

    def _arrays(self, embedding):
        _, exp_avg, exp_avg_sq = embedding.optm_state
        return {"param": embedding.weight.numpy(), "exp_avg": exp_avg.numpy(), "exp_avg_sq": exp_avg_sq.numpy()}


def _embedding(param):
    if not param.value.size:
        raise Unsupported("a NodeEmbedding without rows cannot be made: it maps shared memory of no bytes, which fails")

    def start(table):
        return table.copy_(_tensor(param.value))

    name = f"refimpl-{os.getpid()}-{next(_NUMBERS)}"  # of the shared memory that holds the table
    return dgl.nn.NodeEmbedding(*param.value.shape, name, init_func=start)


def _tensor(array):
    return torch.from_numpy(np.array(array, order="C"))


factory = peer_factory("dgl", {"sparse-adam": SparseAdamRun})
