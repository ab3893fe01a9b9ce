"""mx.optimizer.Adam as routes: with the row_sparse gradients that an embedding's backward makes, and with row_sparse arrays as given."""

from __future__ import annotations

import numpy as np

np.bool = bool  # mxnet 1.9.1 asks for the name that NumPy 1.24 took away

import mxnet as mx
from common import Elements, Rows, Unsupported, main

OF_PARAMETERS = {"learning_rate", "wd"}
"""What each parameter may have of its own, by a multiplier."""


class EmbeddingRun:
    """One optimizer, counted per parameter; a gradient by rows is made by Embedding(sparse_grad=True), which sums duplicates."""

    dialects = ("mxnet.Adam",)

    def __init__(self, case):
        if any(param.value.ndim == 0 or param.value.size == 0 for param in case.params):
            raise Unsupported("an NDArray has at least one dimension and one element")
        self.case, self.groups = case, [dict(group) for group in case.groups]
        self.run = mx.optimizer.Adam(**self.groups[0])
        self.params = {param.name: array(param.value) for param in case.params}
        self.states = {name: self.run.create_state(index, weight) for index, (name, weight) in enumerate(self.params.items())}
        for index, param in enumerate(case.params):
            self.run._index_update_count[index] = param.step
            for moment, given in zip(self.states[param.name], (param.exp_avg, param.exp_avg_sq)):
                if given is not None:
                    moment[:] = array(given)

    def step(self, step):
        for group, change in zip(self.groups, step.hyper):
            group.update(change)
        self.set_hyper()
        for index, (name, weight) in enumerate(self.params.items()):
            gradient = step.gradients[name]
            if isinstance(gradient, Elements):
                raise Unsupported("a gradient is an NDArray, dense or row_sparse: single elements cannot be given")
            if gradient is not None:
                made = self.rows(gradient, weight) if isinstance(gradient, Rows) else array(gradient)
                self.run.update(index, weight, made, self.states[name])
        mx.nd.waitall()

    def set_hyper(self):
        """One group's values are the optimizer's own; those of several are multipliers of 1, which changes no bit of them."""
        shared = [{name: value for name, value in group.items() if name not in OF_PARAMETERS} for group in self.groups]
        if any(group != shared[0] for group in shared):
            raise Unsupported("parameters share betas, epsilon and lazy_update; there are multipliers of lr and wd alone")
        ones = dict.fromkeys(OF_PARAMETERS, 1.0) if len(self.groups) > 1 else {}
        for name, value in {**self.groups[0], **ones}.items():
            setattr(self.run, {"learning_rate": "lr"}.get(name, name), value)
        if ones:
            own = [self.groups[param.group] for param in self.case.params]
            self.run.set_lr_mult({index: group["learning_rate"] for index, group in enumerate(own)})
            self.run.set_wd_mult({index: group["wd"] for index, group in enumerate(own)})

    def rows(self, gradient, weight):
        if weight.ndim != 2:
            raise Unsupported("the table of an embedding has two dimensions")
        if not len(gradient.indices):
            return mx.nd.sparse.zeros("row_sparse", weight.shape, dtype=weight.dtype)
        table = mx.nd.zeros(weight.shape, dtype=weight.dtype)
        made = mx.nd.sparse.zeros("row_sparse", weight.shape, dtype=weight.dtype)
        mx.autograd.mark_variables([table], [made])
        with mx.autograd.record():
            indices = mx.nd.array(gradient.indices, dtype="int64")
            looked_up = mx.nd.Embedding(indices, table, *weight.shape, dtype=str(np.dtype(weight.dtype)), sparse_grad=True)
        looked_up.backward(array(gradient.values))
        return table.grad

    def state(self):
        moments = {name: [moment.asnumpy() for moment in pair] for name, pair in self.states.items()}
        return {name: {"param": self.params[name].asnumpy(), "exp_avg": m, "exp_avg_sq": v} for name, (m, v) in moments.items()}


class RowSparseRun(EmbeddingRun):
    """The rows in ascending order, as a row_sparse array is documented to have them; repeated ones, which it takes, stay repeated."""

    def rows(self, gradient, weight):
        if not len(gradient.indices):
            return mx.nd.sparse.zeros("row_sparse", weight.shape, dtype=weight.dtype)
        order = np.argsort(gradient.indices, kind="stable")
        pair = (array(gradient.values[order]), mx.nd.array(gradient.indices[order], dtype="int64"))
        return mx.nd.sparse.row_sparse_array(pair, shape=weight.shape, dtype=weight.dtype)


def array(values):
    return mx.nd.array(np.array(values, order="C"), dtype=values.dtype)


ROUTES = {"embedding": EmbeddingRun, "row-sparse": RowSparseRun}

if __name__ == "__main__":
    main(ROUTES)
