"""ONNX's own reference implementation of the operator Adam (ai.onnx.preview.training, version 1) as routes."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from peer_backend import peer_factory

TYPES = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}
ATTRIBUTES = ("alpha", "beta", "epsilon", "norm_coefficient")
STATE = {"param": "X", "exp_avg": "V", "exp_avg_sq": "H"}


class AdamRun:
    """The operator keeps no state: state and update counts are kept here. Tensors with the same hyper-parameters and count share a node."""

    dialects = ("onnx.Adam",)
    counts_this = True

    def __init__(self, case):
        self.groups = [dict(group.hyper) for group in case.groups]
        self.dtype = case.dtype
        self.group = {param.name: param.group for param in case.params}
        self.count = {param.name: param.step for param in case.params}
        self.arrays = {param.name: _start(param) for param in case.params}

    def step(self, step):
        for group, change in zip(self.groups, step.hyper):
            group.update(change)
        nodes = defaultdict(list)
        for name, gradient in step.gradients.items():
            if gradient is not None:
                nodes[self.group[name], self.count[name]].append(name)
        for (group, count), names in nodes.items():
            self._update(self.groups[group], count + self.counts_this, {name: step.gradients[name] for name in names})
            self.count.update(dict.fromkeys(names, count + 1))

    def _update(self, hyper, t, gradients):
        """Run one node. For a single tensor and T > 0 the evaluator gives X in float64 whatever its type is: made what it is declared."""
        sparse = any(not isinstance(gradient, np.ndarray) for gradient in gradients.values())
        shapes = tuple(self.arrays[name]["param"].shape for name in gradients)
        node = _evaluator(shapes, self.dtype, tuple(hyper[name] for name in ATTRIBUTES), sparse)
        feed = {"R": np.array(hyper["R"], self.dtype), "T": np.array(t, np.int64)}
        for k, (name, gradient) in enumerate(gradients.items()):
            feed[f"G{k}"] = gradient
            feed.update({f"{letter}{k}": self.arrays[name][array] for array, letter in STATE.items()})
        results = dict(zip(node.output_names, node.run(None, feed)))
        for k, name in enumerate(gradients):
            self.arrays[name] = {array: results[f"{letter}{k}_new"].astype(self.dtype) for array, letter in STATE.items()}

    def state(self):
        return self.arrays


def _start(param):
    zeros = np.zeros_like(param.value)
    moments = {array: zeros if getattr(param, array) is None else getattr(param, array) for array in ("exp_avg", "exp_avg_sq")}
    return {"param": param.value, **moments}


@lru_cache(maxsize=256)
def _evaluator(shapes, dtype, attributes, sparse):
    """A graph of one node, checked, for tensors of these shapes. sparse: with sparse gradients, which the checker refuses."""
    names = {letter: [f"{letter}{k}" for k in range(len(shapes))] for letter in "XGVH"}
    inputs, outputs = [name for letter in "XGVH" for name in names[letter]], [f"{name}_new" for letter in "XVH" for name in names[letter]]
    node = helper.make_node(
        "Adam", ["R", "T", *inputs], outputs, domain="ai.onnx.preview.training", **dict(zip(ATTRIBUTES, map(float, attributes)))
    )
    elem = TYPES[dtype]

    def declared(name):
        make = helper.make_sparse_tensor_value_info if sparse and name.startswith("G") else helper.make_tensor_value_info
        return make(name, elem, shapes[int(name[1:].split("_")[0])])

    scalars = [helper.make_tensor_value_info("R", elem, []), helper.make_tensor_value_info("T", TensorProto.INT64, [])]
    graph = helper.make_graph([node], "adam", [*scalars, *map(declared, inputs)], list(map(declared, outputs)))
    versions = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.preview.training", 1)]
    model = helper.make_model(graph, opset_imports=versions)
    onnx.checker.check_model(model, full_check=True)
    return ReferenceEvaluator(model)


class ConductedRun(AdamRun):
    """T as the words of the operator have it, "the number of training iterations conducted": 0 at the first update."""

    counts_this = False


factory = peer_factory("onnx", {"adam": AdamRun, "adam-t-from-zero": ConductedRun})
