"""dgl.optim.SparseAdam over dgl.nn.NodeEmbedding as a route."""

from __future__ import annotations

import itertools
import os

import dgl
import numpy as np
import torch
from common import Rows, Unsupported, main

torch.set_num_threads(2)

_NUMBERS = itertools.count()


class SparseAdamRun:
    """One optimizer; each parameter is an embedding, read at the gradient's rows, so that backward leaves the gradient as it was given."""

    dialects = ("dgl.SparseAdam",)

    def __init__(self, case):
        if len(case.groups) > 1:
            raise Unsupported("an optimizer has one set of hyper-parameters for all of its embeddings")
        self.shapes = {param.name: param.value.shape for param in case.params}
        if any(len(shape) != 2 for shape in self.shapes.values()):
            raise Unsupported("a NodeEmbedding has two dimensions")
        dense = {name for step in case.steps for name, gradient in step.gradients.items() if isinstance(gradient, np.ndarray)}
        self.params = {param.name: _parameter(param) if param.name in dense else _embedding(param) for param in case.params}
        self.run = dgl.optim.SparseAdam(list(self.params.values()), **case.groups[0])
        if any(param.step or param.exp_avg is not None for param in case.params):
            self._resume(case)

    def _resume(self, case):
        """Every row of a table has made the steps that the table is said to have made."""
        state = self.run.state_dict()
        for param in case.params:
            steps = torch.full((len(param.value),), param.step, dtype=torch.int32)
            state["state"][self.params[param.name].name] = (steps, _tensor(param.exp_avg), _tensor(param.exp_avg_sq))
        self.run.load_state_dict(state)

    def step(self, step):
        """A change of a hyper-parameter goes through the state: `param_groups` is a copy, and setting it changes nothing."""
        for change in step.hyper:
            if change:
                state = self.run.state_dict()
                state["param_groups"][0].update(change)
                self.run.load_state_dict(state)
        self.run.zero_grad()
        for name, gradient in step.gradients.items():
            if gradient is not None:
                self._look_up(self.params[name], gradient)
        self.run.step()

    def _look_up(self, embedding, gradient):
        if not isinstance(gradient, Rows):
            raise Unsupported("an embedding is read by rows: single elements cannot be given")
        embedding(_tensor(gradient.indices).long()).backward(_tensor(gradient.values))

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


def _parameter(param):
    """What has dense gradients is no NodeEmbedding."""
    return torch.nn.Parameter(_tensor(param.value))


def _tensor(array):
    return torch.from_numpy(np.array(array, order="C"))


ROUTES = {"sparse-adam": SparseAdamRun}

if __name__ == "__main__":
    main(ROUTES)
