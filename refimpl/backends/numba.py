"""The backend `numba`: the CPU kernels, for every dialect of the core set that they compute, in every format that it has."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from .. import kernels
from ..arithmetic import numpy_dtype
from ..case import ALWAYS_KEPT, MASTER, Case, Param, Step
from ..common.cli import version
from ..dialects import dialects
from ..dialects.stages import Amsgrad, Counter
from ..errors import Unsupported
from ..gradients import Array
from ..reference import kept_arrays
from ..reference.inputs import Given, at_start
from ._protocol import Capabilities
from .features import BATCHES, FEATURES, RANKS

TRAINING_LOOP = ("grad_scale", "found_inf", "reload", *RANKS, *BATCHES)
"""Features that are not of a step, but of the training loop around it."""

OTHERS = ("compensation",)
"""Features that the kernels do not have."""


@dataclass
class _Track:
    """A parameter while it is trained: its arrays, of which `param` may be a master copy, and the steps that it has taken."""

    param: Param
    arrays: dict[str, Array]
    steps: int

    @classmethod
    def of(cls, param: Param, kept: tuple[str, ...]) -> _Track:
        arrays = at_start(param, kept)
        return cls(param, {**arrays, "param": arrays["param"].astype(numpy_dtype(param.dtype_of(MASTER)))}, param.step)

    def shown(self) -> dict[str, Array]:
        """The arrays with the parameter in its own dtype."""
        return {**self.arrays, "param": self.arrays["param"].astype(self.param.value.dtype, copy=False)}


class NumbaRun:
    """An optimizer over the kernels: which parameters a call updates, and at which t."""

    def __init__(self, case: Case) -> None:
        self._given = Given(case)
        kept = kept_arrays(case)
        self._tracks = {param.name: _Track.of(param, kept[param.name]) for param in case.params}
        self._calls = _first(case.params)

    def step(self, step: Step) -> None:
        """Check all that is given before anything changes, then make the step."""
        inputs = self._given
        inputs.take(step)
        resolved = [inputs.table.resolve(hyper) for hyper in inputs.hypers]
        self._calls += 1
        for name, track in self._tracks.items():
            gradient = step.gradients.get(name)
            if gradient is None:
                continue
            track.steps += 1
            hyper, picks = resolved[inputs.params[name].group]
            t = {Counter.CALL: self._calls, Counter.PARAMETER: track.steps}[picks.counter]
            p, m, v = (track.arrays[array] for array in ALWAYS_KEPT)
            v_max = None if picks.amsgrad is Amsgrad.OFF else track.arrays["max_exp_avg_sq"]
            kernels.step(p, m, v, v_max, gradient, hyper, picks, t, name)

    def state(self) -> dict[str, dict[str, Array]]:
        return {name: track.shown() for name, track in self._tracks.items()}


def _first(params: tuple[Param, ...]) -> int:
    return params[0].step if params else 0


class NumbaBackend:
    """The kernels, compiled for this machine."""

    name = "numba"

    def __init__(self) -> None:
        features = tuple(name for name in FEATURES if name not in (*TRAINING_LOOP, *OTHERS))
        self.version = f"{version()} (numba {numba.__version__}, numpy {np.__version__})"
        self.dialects = {
            name: Capabilities(tuple(dtype for dtype in table.dtypes if dtype in kernels.DTYPES), features)
            for name, table in dialects().items()
            if kernels.computes(table.picks)
        }

    def start(self, case: Case) -> NumbaRun:
        if case.dialect not in self.dialects:
            raise Unsupported(f"the kernels know no {case.dialect}")
        kept = kept_arrays(case)
        for param in case.params:
            _check_formats(case, param, kept[param.name])
        return NumbaRun(case)


def _check_formats(case: Case, param: Param, kept: tuple[str, ...]) -> None:
    """Raise Unsupported for formats of one parameter that the kernels do not compute together."""
    formats = case.formats(param)
    if "float64" in formats and len(formats) > 1:
        raise Unsupported(f"the kernels compute in float64 or in float32, and {param.name!r} has {', '.join(sorted(formats))}")
    squares = {array: param.dtype_of(array) for array in kept if array.endswith("exp_avg_sq")}
    if len(set(squares.values())) > 1:
        raise Unsupported(f"the kernels keep v and its maximum in one format, and of {param.name!r} {squares}")


def factory() -> NumbaBackend:
    """The backend over the kernels; it takes no options."""
    return NumbaBackend()
