"""mx.optimizer.Adam as routes: with the row_sparse gradients that an embedding's backward makes, and with row_sparse arrays as given."""

from __future__ import annotations

import numpy as np

np.bool = bool  # mxnet 1.9.1 uses the name that NumPy 1.24 removed

import mxnet as mx
from peer_backend import forms, peer_factory

from refimpl.backends import Unsupported
from refimpl.gradients import gradient_form

OF_PARAMETERS = {"learning_rate", "wd"}
"""What each parameter may have of its own, by a multiplier."""


class EmbeddingRun:
    """One optimizer, counted per parameter; a gradient by rows is made by Embedding(sparse_grad=True), which sums duplicates."""

    dialects = ("mxnet.Adam",)

    def __init__(self, case):
        self.refuse(case)
        self.case, self.groups = case, [dict(group.hyper) for group in case.groups]
        self.optimizer = mx.optimizer.Adam(**self.groups[0])
        self.params = {param.name: _array(param.value) for param in case.params}
        self.states = {name: self.optimizer.create_state(index, weight) for index, (name, weight) in enumerate(self.params.items())}
        for index, param in enumerate(case.params):
            self.optimizer._index_update_count[index] = param.step
            for moment, start in zip(self.states[param.name], (param.exp_avg, param.exp_avg_sq)):
                if start is not None:
                    moment[:] = _array(start)

    def refuse(self, case):
        """Raise Unsupported for what MXNet cannot do."""
        if any(param.value.ndim == 0 or param.value.size == 0 for param in case.params):
            raise Unsupported("an NDArray has at least one dimension and one element")
        if "elements" in forms(case):
            raise Unsupported("a gradient is an NDArray, dense or row_sparse: single elements cannot be given")
        groups = [dict(group.hyper) for group in case.groups]
        for step in case.steps:
            for group, change in zip(groups, step.hyper):
                group.update(change)
            if any(_shared(group) != _shared(groups[0]) for group in groups):
                raise Unsupported("parameters share betas, epsilon and lazy_update; there are multipliers of lr and wd alone")

    def step(self, step):
        for group, change in zip(self.groups, step.hyper):
            group.update(change)
        self._set_hyper()
        for index, (name, weight) in enumerate(self.params.items()):
            gradient = step.gradients.get(name)
            if gradient is not None:
                tensor = self.rows(gradient, weight) if gradient_form(gradient) == "rows" else _array(gradient)
                self.optimizer.update(index, weight, tensor, self.states[name])
        mx.nd.waitall()

    def _set_hyper(self):
        """One group's values are the optimizer's own; those of several are multipliers of 1, which changes no bit of them."""
        ones = dict.fromkeys(OF_PARAMETERS, 1.0) if len(self.groups) > 1 else {}
        for name, value in {**self.groups[0], **ones}.items():
            setattr(self.optimizer, {"learning_rate": "lr"}.get(name, name), value)
        if ones:
            own = [self.groups[param.group] for param in self.case.params]
            self.optimizer.set_lr_mult({index: group["learning_rate"] for index, group in enumerate(own)})
            self.optimizer.set_wd_mult({index: group["wd"] for index, group in enumerate(own)})

    def rows(self, gradient, weight):
        if not len(gradient.indices):
            return mx.nd.sparse.zeros("row_sparse", weight.shape, dtype=weight.dtype)
        table = mx.nd.zeros(weight.shape, dtype=weight.dtype)
        grad = mx.nd.sparse.zeros("row_sparse", weight.shape, dtype=weight.dtype)
        mx.autograd.mark_variables([table], [grad])
        with mx.autograd.record():
            indices = mx.nd.array(gradient.indices, dtype="int64")
            looked_up = mx.nd.Embedding(indices, table, *weight.shape, dtype=str(np.dtype(weight.dtype)), sparse_grad=True)
        looked_up.backward(_array(gradient.values))
        return table.grad

    def state(self):
        moments = {name: [moment.asnumpy() for moment in pair] for name, pair in self.states.items()}
        return {name: {"param": self.params[name].asnumpy(), "exp_avg": m, "exp_avg_sq": v} for name, (m, v) in moments.items()}


class TableRun(EmbeddingRun):
    """The gradients of an embedding, whose table has two dimensions."""

    def refuse(self, case):
        super().refuse(case)
        if any(param.value.ndim != 2 and "rows" in forms(case, param.name) for param in case.params):
            raise Unsupported("the table of an embedding has two dimensions")


class RowSparseRun(EmbeddingRun):
    """The rows in ascending order, as a row_sparse array is documented to have them; repeated ones, which it takes, stay repeated."""

    def rows(self, gradient, weight):
        if not len(gradient.indices):
            return mx.nd.sparse.zeros("row_sparse", weight.shape, dtype=weight.dtype)
        order = np.argsort(gradient.indices, kind="stable")
        pair = (_array(gradient.values[order]), mx.nd.array(gradient.indices[order], dtype="int64"))
        return mx.nd.sparse.row_sparse_array(pair, shape=weight.shape, dtype=weight.dtype)


def _shared(group):
    return {name: value for name, value in group.items() if name not in OF_PARAMETERS}


def _array(values):
    return mx.nd.array(np.array(values, order="C"), dtype=values.dtype)


factory = peer_factory("mxnet", {"embedding": TableRun, "row-sparse": RowSparseRun})
