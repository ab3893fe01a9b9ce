"""What a run is given, held against its dialect before anything changes."""

from __future__ import annotations

import numpy as np

from ..arithmetic import numpy_dtype
from ..case import Case, Param, Step
from ..dialects import Dialect, dialect
from ..errors import InvalidGradient
from ..gradients import Array, Gradient, check_gradient, gradient_form


class Given:
    """The hyper-parameters of each group as they stand, and the parameters: what a step is checked against."""

    def __init__(self, case: Case) -> None:
        self.table: Dialect = dialect(case.dialect)
        self.hypers = [dict(group.hyper) for group in case.groups]
        for hyper in self.hypers:
            self.table.validate(hyper)
        self.params = {param.name: param for param in case.params}

    def take(self, step: Step) -> None:
        """Check all that is given, then let the hyper-parameters change; raises InvalidHyper or InvalidGradient with nothing changed."""
        hypers = [{**known, **change} for known, change in zip(self.hypers, step.hyper or ({},) * len(self.hypers))]
        for hyper in hypers:
            self.table.validate(hyper)
        for gradients in (step.gradients, *step.parts):
            for name, gradient in gradients.items():
                if gradient is not None:
                    self._check(name, gradient)
        self.hypers = hypers

    def _check(self, name: str, gradient: Gradient) -> None:
        if name not in self.params:
            raise InvalidGradient(f"gradient of {name!r}: no such parameter", "unknown", f"there are {', '.join(self.params)}")
        check_given(self.table, self.params[name], gradient)


def check_given(table: Dialect, param: Param, gradient: Gradient) -> None:
    """Raise InvalidGradient for a form that the dialect refuses, or a gradient that does not fit the parameter."""
    form = gradient_form(gradient)
    if form not in table.gradients:
        raise InvalidGradient(table.refusal(form), f"{form}-gradient", f"{table.name} takes {', '.join(table.gradients)}")
    check_gradient(gradient, param.value.shape, param.name)


def at_start(param: Param, kept: tuple[str, ...]) -> dict[str, Array]:
    """Copies of the arrays that are kept of a parameter, in C order; moments that are not given are zero."""
    given = {name: param.value if name == "param" else getattr(param, name, None) for name in kept}
    return {
        name: np.zeros(param.value.shape, numpy_dtype(param.dtype_of(name))) if array is None else np.array(array, order="C")
        for name, array in given.items()
    }
