"""What the optimizers of both frameworks share: a step that changes everything or nothing, and the exchange of states."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..dialects import Dialect, Hyper, Picks, dialect
from ..dialects.stages import Amsgrad
from ..gradients import Array, Gradient, RowGradient, gradient_form
from ._states import Loaded, load, pack
from ._tables import Moments, Table, held

if TYPE_CHECKING:
    from ..kernels import Prepared

Gradients = Sequence[Any] | Mapping[str, Any]
Setting = tuple[Hyper, Picks]

UNLOCKED = nullcontext()


class _Update(NamedTuple):
    """A table that a call will update. moments: those to keep; t: its new count; prepared: the step, which can no longer fail."""

    table: Table
    moments: Moments
    t: int
    prepared: Prepared


class Optimizer:
    """Parameters that are NumPy arrays, updated in place by `step`.

    A parameter is C-contiguous, writeable, float32, float64, float16 or bfloat16 (of ml_dtypes); anything else is refused by the first
    step that has a gradient for it. A gradient is a `RowGradient`, a dense array, or a scipy.sparse array: COO stands for single
    elements, every other format for the rows that it stores (see `RowGradient.from_scipy`).

    A step of a parameter in half precision is computed in float32; the parameter and each moment are rounded once, to nearest, when
    they are written. Moments have the parameter's dtype, as in torch.optim, or moment_dtype: "float32", "float16" or "bfloat16", also
    as a NumPy dtype. A float64 parameter has float64 moments. A gradient may have another float dtype, unless the class says otherwise;
    a step of a half-precision parameter reads it in float32, any other one in the parameter's dtype.
    """

    # Subclasses define these methods. They are not abstract: a type checker would refuse `Adam(...)`, although its `__new__` makes an
    # instance of a subclass.
    _dialect: Callable[[], str]
    _settings: Callable[[], Mapping[int, Setting]]
    """What this call computes, by the id of the table."""
    _next_counts: Callable[[Sequence[Table]], list[int]]
    """At which t each of these tables is updated by this call; changes nothing."""
    _count: Callable[[Sequence[tuple[Table, int]]], None]
    """Count this call: these tables are updated at these t."""
    _saved_groups: Callable[[], list[tuple[dict[str, Any], list[Table]]]]
    """The settings of each group as `state_dict` shows them, and its tables."""
    _packed_step: Callable[[Table], Any]
    """The step count of a table as `state_dict` shows it."""
    _take_over: Callable[[Loaded], None]
    """Check the state that was read, and make it that of the optimizer."""

    def __init__(self) -> None:
        self._tables: list[Table] = []
        self._counting = threading.Lock()

    @property
    def dialect(self) -> str:
        """The name of the dialect that a step computes."""
        return self._dialect()

    @property
    def parameters(self) -> list[Any]:
        """The arrays that are updated, in the order in which `step` takes their gradients."""
        return [table.param for table in self._tables]

    @property
    def names(self) -> list[str]:
        """The names of the parameters, in the same order; those that were given none are called param0, param1 and so on."""
        return [table.name for table in self._tables]

    def step(self, gradients: Gradients) -> None:
        """One call of the optimizer: a gradient or None per parameter, as a list in their order or as a mapping by name.

        An error in any gradient, setting or schedule leaves every parameter, moment and counter as it was: everything is checked
        and all memory is taken before the first write. The real optimizers do not guarantee this: torch.optim.SparseAdam has counted
        the parameters before the faulty one, and mindspore.nn.LazyAdam its global step and beta powers.
        Raises InvalidGradient for a gradient that does not fit its parameter (a row number out of range is refused, where
        PyTorch raises IndexError or corrupts memory and MindSpore drops it), UsageError for an array that cannot be updated in
        place, and what the real one raises for a form that it refuses.
        """
        pairs = [pair for pair in zip(self._tables, _in_order(gradients, self._tables)) if pair[1] is not None]
        with held(table for table, _ in pairs) if self._locks() else UNLOCKED:
            with self._counting:
                updates = self._planned(pairs)
                self._count([(update.table, update.t) for update in updates])
                for update in updates:
                    update.table.kept = update.moments
            for update in updates:
                update.prepared.run()

    def state_dict(self, array: Callable[[Any], Any] | None = None) -> dict[str, Any]:
        """A copy of the state, laid out as torch.optim lays it out: {'state': {i: {...}}, 'param_groups': [...]}.

        array: what every array is turned into; `state_dict(torch.from_numpy)` is what a real torch.optim loads.
        """
        return pack(self._saved_groups(), self._tables, self._packed_step, array)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state from `state_dict`, or from a real torch.optim: tensors are read as arrays, and everything is copied.

        Raises ValueError for groups or shapes that do not fit, and for a setting that this optimizer does not have and that
        would change what is computed; in each case the optimizer stays as it was.
        """
        groups = self._saved_groups()
        loaded = load(state_dict, [(set(settings), members) for settings, members in groups])
        self._take_over(loaded)

    def _planned(self, pairs: Sequence[tuple[Table, Any]]) -> list[_Update]:
        prepare = _kernels().prepare
        row = dialect(self.dialect)
        settings = self._settings()
        moments: dict[int, Moments] = {}  # a parameter that is given twice has one state
        written: list[Array] = []
        updates = []
        for (table, gradient), t in zip(pairs, self._next_counts([table for table, _ in pairs])):
            hyper, picks = settings[id(table)]
            accepted = _accepted(gradient, table, row)
            self._check_dtype(accepted, table)
            amsgrad = picks.amsgrad is not Amsgrad.OFF
            kept = moments.setdefault(id(table), table.moments(amsgrad))
            state = (table.param, kept.exp_avg, kept.exp_avg_sq, kept.max_exp_avg_sq if amsgrad else None)
            updates.append(_Update(table, kept, t, prepare(*state, accepted, hyper, picks, t, table.name, written)))
            written.append(table.param)
        return updates

    def _check_dtype(self, gradient: Gradient, table: Table) -> None:
        """Raise for a gradient of a dtype that the real optimizer refuses beside this parameter. Most take any."""

    def _locks(self) -> bool:
        return False


@cache
def _kernels() -> Any:
    from .. import kernels  # numba is slow to import, so the first step does it

    return kernels


def _in_order(gradients: Gradients, tables: Sequence[Table]) -> list[Any]:
    """A gradient or None for each table."""
    if type(gradients) is list and len(gradients) == len(tables):
        return gradients
    if isinstance(gradients, Mapping):
        names = [table.name for table in tables]
        unknown = [name for name in gradients if name not in names]
        if unknown or len(set(names)) < len(names):
            what = f"no parameter is called {unknown[0]!r}" if unknown else "two parameters have the same name"
            raise ValueError(f"gradients by name: {what}; the parameters are {', '.join(names)}")
        return [gradients.get(name) for name in names]
    if not isinstance(gradients, (list, tuple)):
        raise TypeError(
            f"gradients must be a list in the order of the parameters, or a mapping by name, but got {type(gradients).__name__}; "
            f"for a single parameter: step([gradient])"
        )
    if len(gradients) != len(tables):
        raise ValueError(f"{len(gradients)} gradients for {len(tables)} parameters; give None for a parameter without a gradient")
    return list(gradients)


def _accepted(gradient: Any, table: Table, row: Dialect) -> Gradient:
    """The gradient in a form that the kernels take; a form that the dialect refuses raises what the real one raises."""
    if not isinstance(gradient, (np.ndarray, RowGradient)) and getattr(gradient, "format", "coo") != "coo":
        gradient = RowGradient.from_scipy(gradient, np.shape(table.param), table.name)
    form = gradient_form(gradient)
    if form in row.refuses:
        raise getattr(builtins, row.refuses[form]["error"])(row.refusal(form))
    return gradient
