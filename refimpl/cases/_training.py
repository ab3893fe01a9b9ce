"""Real training: gradients that torch computed while it trained a bigram model of letters (tools/record_training.py)."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from typing import Any

import numpy as np

from ..case import Golden, Param
from .build import CaseBuilder, row_gradient


def training(builder: CaseBuilder) -> Iterator[Golden]:
    with resources.as_file(resources.files(__package__) / "data" / "bigram.npz") as path, np.load(path, allow_pickle=False) as file:
        recorded = dict(file)
    steps = sum(name.startswith("dense.") for name in recorded)
    table, layer = Param("table", recorded["table"]), Param("layer", recorded["layer"])
    sparse = [row_gradient(recorded[f"indices.{t}"], recorded[f"values.{t}"], table.value.shape) for t in range(steps)]
    dense: list[Any] = [recorded[f"dense.{t}"] for t in range(steps)]
    last = [1, 2, steps // 2, steps]
    hyper = builder.hyper(lr=0.05, eps=1e-4)
    if builder.takes("rows"):
        about = f"{steps} steps of a bigram model: the embedding's gradients as torch gave them, letters repeated as in the text."
        yield builder.golden("embedding", about, [table], [{"table": one} for one in sparse], hyper, record=last)
    if builder.takes("dense"):
        about = f"{steps} steps of a bigram model: the output layer, whose gradients are dense."
        yield builder.golden("layer", about, [layer], [{"layer": one} for one in dense], hyper, record=last)
    if builder.takes("rows") and builder.takes("dense"):
        about = f"{steps} steps of a bigram model: the sparse embedding and the dense layer in one optimizer."
        both = [{"table": one, "layer": other} for one, other in zip(sparse, dense)]
        yield builder.golden("both", about, [table, layer], both, hyper, record=[1, steps])
