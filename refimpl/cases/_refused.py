"""What a dialect refuses: hyper-parameters outside its ranges, gradients that do not fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..case import Golden, Param
from ..dialects import Parameter
from .build import CaseBuilder, row_gradient


def refused(builder: CaseBuilder) -> Iterator[Golden]:
    for parameter in builder.dialect.parameters.values():
        for word, value in _outside(parameter):
            slug = f"{parameter.name}-{word}".replace("_", "-")
            about = f"{parameter.name} = {value!r} is refused."
            yield _with_hyper(builder, slug, about, {parameter.name: value}, f"invalid-{parameter.name.replace('_', '-')}")
    shape = (4, 3)
    params = [Param("w", builder.source("refused").normal(shape))]
    rows = row_gradient([1, 3], builder.source("refused-g").normal((2, 3)), shape)
    dense = builder.source("refused-d").normal(shape)
    if not builder.takes("dense"):
        yield builder.golden("dense-gradient", "A dense gradient is refused.", params, [{"w": dense}], error="dense-gradient")
        about = "A dense gradient after a sparse one is refused, and the parameter stays where the first step left it."
        yield builder.golden("dense-after-sparse", about, params, [{"w": rows}, {"w": dense}], error="dense-gradient")
    if not builder.takes("rows"):
        yield builder.golden("sparse-gradient", "A gradient by rows is refused.", params, [{"w": rows}], error="sparse-gradient")
    if builder.dialect.name == "torch.SparseAdam":  # MindSpore's routes drop such a row, or leave a partial update
        outside = row_gradient([1, 4], rows.values, shape)
        yield builder.golden(
            "row-outside", "A row number equal to the number of rows is refused.", params, [{"w": outside}], error="index-out-of-range"
        )
        negative = row_gradient([1, -1], rows.values, shape)
        about = "A negative row number is refused, and not taken from the end."
        yield builder.golden("row-negative", about, params, [{"w": negative}], error="index-out-of-range")


def _outside(parameter: Parameter) -> Iterator[tuple[str, Any]]:
    """Values that the parameter refuses, each with a word for the slug."""
    interval = parameter.interval
    if interval is None:
        if parameter.types == ("bool",):
            yield "not-bool", 1
        return
    values: list[tuple[str, float]] = [("negative", -0.1)]
    values += [("zero", 0.0)] if not interval.takes_low else []
    values += [("one", 1.0), ("above-one", 1.5)] if interval.high == 1.0 else []
    for word, value in values:
        if len(parameter.roles) > 1:
            yield f"first-{word}", (value, parameter.default[1])
            yield f"second-{word}", (parameter.default[0], value)
        else:
            yield word, value
    if parameter.types == ("float",):
        yield "int", 1


def _with_hyper(builder: CaseBuilder, slug: str, about: str, changes: dict[str, Any], error: str) -> Golden:
    source = builder.source("refused")
    param = Param("w", source.normal((3, 2)))
    gradient = builder.gradient(source, (3, 2), "float32")
    return builder.golden(slug, about, [param], [{"w": gradient}], {**builder.hyper(), **changes}, error=error)
