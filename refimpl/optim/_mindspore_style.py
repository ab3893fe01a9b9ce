"""Optimizers as users of mindspore.nn know them: the same arguments, groups, schedules, messages and step count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..dialects import dialect as dialect_of
from ._adam import Adam
from ._mindspore_groups import Defaults, Group, check_elements, grouped, listed, ungrouped
from ._optimizer import Gradients, Optimizer, Setting
from ._rates import check_range, check_type, learning_rate
from ._settings import Unchanged, checked, number
from ._states import Loaded, count
from ._tables import Table, dtype_of_moments, lock_of

TARGETS = ("CPU", "Ascend", "GPU")


class MindSporeOptimizer(Optimizer):
    """One step count per optimizer, learning rates and decays that may be schedules, and the target.

    params: arrays, (name, array) pairs, or groups: dicts with "params" and any of "lr", "weight_decay", "grad_centralization",
    and one dict with "order_params" alone, the parameters in the order in which `step` takes their gradients.
    learning_rate: a number, a 0-d or 1-D array, an iterable, or a callable of the global step; the step t reads entry t-1.
    weight_decay: a number, or a callable of the global step. Ungrouped parameters with "beta" or "gamma" in their name are not
    decayed; in groups the name is ignored. use_locking: a call holds the lock of every table that it updates, so that
    threads that step the same table lose no update; the lock belongs to the memory, and optimizers that share it wait too.
    """

    _real_name: str
    """The class as messages call it; after "mindspore." it names the dialect whose parameters are checked."""

    def __init__(
        self,
        params: Any,
        rate: Any,
        beta1: float,
        beta2: float,
        eps: float,
        use_locking: bool,
        weight_decay: Any,
        loss_scale: float,
        switches: Mapping[str, bool],
        moment_dtype: DTypeLike | None,
    ) -> None:
        super().__init__()
        name, parameters = self._real_name, dialect_of(f"mindspore.{self._real_name}").parameters
        elements = listed(params)
        check_elements(elements)
        loss_scale = float(loss_scale) if isinstance(loss_scale, int) else loss_scale
        check_type("loss_scale", loss_scale, float, name)
        check_range(loss_scale, parameters["loss_scale"], name)
        defaults = Defaults(learning_rate(rate, parameters["learning_rate"], name), weight_decay, parameters, name)
        self._groups: list[Group] = []
        if isinstance(elements[0], dict):
            self._groups, self._tables = grouped(elements, defaults)
            defaults.decay(weight_decay)
        else:
            self._groups = [ungrouped(elements, defaults)]
            self._tables = list(self._groups[0].tables)
        numbers = {"beta1": beta1, "beta2": beta2, "eps": eps}
        for key, value in numbers.items():
            check_type(key, value, float, name)
        self._check_decay_type(weight_decay)
        for key, value in numbers.items():
            check_range(value, parameters[key], name)
        for key, switch in {"use_locking": use_locking, **switches}.items():
            check_type(key, switch, bool, name)
        self._shared: dict[str, Any] = {**numbers, "loss_scale": loss_scale, **switches}
        self._unchanged: Unchanged[Mapping[int, Setting]] = Unchanged()
        self._use_locking = use_locking
        self._fused = False
        self.global_step = 0
        kept_in = dtype_of_moments(moment_dtype, self._tables)
        for table in self._tables:
            table.started = True
            table.moment_dtype = kept_in
            table.lock = lock_of(table.param) if use_locking else None

    def __call__(self, gradients: Gradients) -> bool:
        """`step`, and True, as the real one returns."""
        self.step(gradients)
        return True

    @property
    def target(self) -> str:
        """Where the update runs: "CPU" on a machine without an accelerator, and so here, from the start.

        As in MindSpore it matters whether it has been *set*: only after target = "CPU" does a sparse gradient take the fused
        kernel, although "CPU" is what can be read before. Raises TypeError and ValueError as MindSpore does on a CPU.
        """
        return "CPU"

    @target.setter
    def target(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError(f"For 'Optimizer', the property 'target' must be string, but got {type(value)}")
        if value not in TARGETS:
            raise ValueError(f"For 'Optimizer', the property 'target' must be one of ['CPU', 'Ascend' ,'GPU'], but got {value}")
        if value != "CPU":
            raise ValueError("For 'Optimizer', the property 'target' cannot be set to 'GPU' or 'Ascend' in the 'CPU' environment.")
        self._fused = True

    def _check_decay_type(self, weight_decay: Any) -> None:
        """Check the type of weight_decay. The classes differ in this check."""

    def _locks(self) -> bool:
        return self._use_locking

    def _settings(self) -> Mapping[int, Setting]:
        step = count(self.global_step, "global_step")
        rates = [(group.lr.at(step), group.decay.at(step)) for group in self._groups]
        values = [self.dialect, *self._shared.values(), *(rate for pair in rates for rate in pair)]
        return self._unchanged.get(values, lambda: self._resolved(rates, step))

    def _resolved(self, rates: Sequence[tuple[float, float]], step: int) -> Mapping[int, Setting]:
        row = dialect_of(self.dialect)
        settings_of: dict[int, Setting] = {}
        for place, (group, (lr, decay)) in enumerate(zip(self._groups, rates)):
            in_force = {**self._shared, "learning_rate": lr, "weight_decay": decay, "grad_centralization": group.centralization}
            own = {name: parameter for name, parameter in row.parameters.items() if name in in_force}
            settings = checked(in_force, own, f"group {place} at step {step + 1}")
            for member in group.tables:
                settings_of[id(member)] = row.resolve(settings if group.decays(member) else {**settings, "weight_decay": 0.0})
        return settings_of

    def _next_counts(self, tables: Sequence[Table]) -> list[int]:
        return [self.global_step + 1] * len(tables)

    def _count(self, counts: Sequence[tuple[Table, int]]) -> None:
        self.global_step += 1

    def _saved_groups(self) -> list[tuple[dict[str, Any], list[Table]]]:
        """In the names of torch.optim where it has the setting, so that a SparseAdam can take the state over."""
        shared = {name: value for name, value in self._shared.items() if name not in ("beta1", "beta2")}
        betas = {"betas": (self._shared["beta1"], self._shared["beta2"])}
        return [
            (
                {"lr": group.lr.value, **betas, **shared, "weight_decay": group.decay.value, "grad_centralization": group.centralization},
                group.tables,
            )
            for group in self._groups
        ]

    def _packed_step(self, table: Table) -> Any:
        return self.global_step

    def _take_over(self, loaded: Loaded) -> None:
        """One count for all: a state whose parameters have taken different numbers of steps raises ValueError."""
        steps = {step for _, step, _ in loaded.states}
        if len(steps) > 1:
            raise ValueError(f"loaded state dict has steps {sorted(steps)}, and {self._real_name} keeps one count for all its parameters")
        parameters = dialect_of(f"mindspore.{self._real_name}").parameters
        shared, groups = dict(self._shared), []
        for index, (group, saved) in enumerate(zip(self._groups, loaded.groups)):
            place = f"group {index} of the loaded state dict"
            for name in ("lr", "weight_decay"):
                _check_rate(saved.get(name, 0.0), name, place)
            defaults = Defaults(group.lr, group.decay.value, parameters, self._real_name)
            lr, decay = defaults.rate(saved.get("lr", group.lr.value)), defaults.decay(saved.get("weight_decay", group.decay.value))
            centralization = saved.get("grad_centralization", group.centralization)
            groups.append(replace(group, lr=lr, decay=decay, centralization=centralization))
            beta1, beta2 = saved.get("betas", (shared["beta1"], shared["beta2"]))
            own = {**shared, **{name: saved[name] for name in shared if name in saved}, "beta1": beta1, "beta2": beta2}
            centralized = {**own, "grad_centralization": centralization}
            checked(centralized, {name: parameters[name] for name in centralized if name in parameters}, place, in_range=True)
            if groups[1:] and own != shared:
                raise ValueError(f"loaded state dict has groups of different betas or eps, which {self._real_name} shares among all groups")
            shared = own
        moments = {id(table): kept for table, _, kept in loaded.states}
        self._groups, self._shared = groups, shared
        self._unchanged = Unchanged()
        self.global_step = steps.pop() if steps else 0
        for table in self._tables:
            table.kept = moments.get(id(table))


def _check_rate(value: Any, name: str, place: str) -> None:
    """Raise InvalidHyper for a rate with a number that is not finite. The value of a schedule is checked at its step."""
    if callable(value):
        return
    entries = value if isinstance(value, (np.ndarray, list, tuple)) and np.ndim(value) == 1 else [value]
    for entry in entries:
        number(entry, name, place)


class LazyAdam(MindSporeOptimizer):
    """mindspore.nn.LazyAdam: lazy Adam where the gradient is given by rows, mindspore.nn.Adam where it is dense.

        m <- b1 m + (1-b1) g;  v <- b2 v + (1-b2) g^2;  p <- p - lr sqrt(1-b2^t)/(1-b1^t) d/(sqrt(v) + eps)

    with d = m, or b1 m + (1-b1) g with use_nesterov; t counts the calls of the optimizer, whatever gradients they bring.
    weight_decay is added to every occurrence of a row before they are merged; loss_scale divides the gradient, not the decay.

    After target = "CPU" the occurrences of a row are summed (dialect mindspore.LazyAdam), as in torch.optim.SparseAdam.
    Left alone, each starts from the old state, the updates add up and the last moments win (mindspore.LazyAdam.default-target).
    The beta powers are computed in double; MindSpore multiplies them up in float32.
    Raises TypeError and ValueError as mindspore 2.10.0 does, in its words and order, with two additions: any callable is a schedule,
    and weight_decay may be one outside groups too, as its page says. An int weight_decay is refused outside groups, as there.
    """

    _real_name = "LazyAdam"

    def __init__(
        self,
        params: Any,
        learning_rate: Any = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        use_locking: bool = False,
        use_nesterov: bool = False,
        weight_decay: Any = 0.0,
        loss_scale: float = 1.0,
        *,
        moment_dtype: DTypeLike | None = None,
    ) -> None:
        switches = {"use_nesterov": use_nesterov}
        super().__init__(params, learning_rate, beta1, beta2, eps, use_locking, weight_decay, loss_scale, switches, moment_dtype)

    def _dialect(self) -> str:
        return "mindspore.LazyAdam" if self._fused else "mindspore.LazyAdam.default-target"

    def _check_decay_type(self, weight_decay: Any) -> None:
        if not callable(weight_decay):
            check_type("weight_dacay", weight_decay, float, self._real_name)  # spelt as in MindSpore's message


class MindSporeAdam(Adam, MindSporeOptimizer, dialect="mindspore.Adam"):
    """mindspore.nn.Adam (dialect mindspore.Adam): dense Adam, eps beside sqrt(v); a gradient by rows counts as dense.

    With use_lazy it does what `LazyAdam` does. Duplicate rows are summed, as the real one does after target = "CPU"; left alone
    it takes v from the sum of their squares (the deviation duplicates-squared-apart), which is not offered here.
    Raises TypeError, ValueError and KeyError as mindspore 2.10.0 does; use_offload is not offered.
    """

    _real_name = "Adam"

    def __init__(
        self,
        params: Any,
        learning_rate: Any = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        use_locking: bool = False,
        use_nesterov: bool = False,
        weight_decay: Any = 0.0,
        loss_scale: float = 1.0,
        use_amsgrad: bool = False,
        *,
        use_lazy: bool = False,
        dialect: str = "mindspore.Adam",
        moment_dtype: DTypeLike | None = None,
    ) -> None:
        switches = {"use_nesterov": use_nesterov, "use_amsgrad": use_amsgrad, "use_lazy": use_lazy}
        numbers = (learning_rate, beta1, beta2, eps)
        MindSporeOptimizer.__init__(self, params, *numbers, use_locking, weight_decay, loss_scale, switches, moment_dtype)
        del self._shared["use_lazy"]
        if use_lazy and use_amsgrad:
            raise ValueError(
                f"For lazy Adam and Adam with offload, there is no parameter named 'use_amsgrad'.but got 'use_amsgrad'={use_amsgrad}."
            )
        self._lazy = use_lazy

    def _dialect(self) -> str:
        lazy = "mindspore.LazyAdam" if self._fused else "mindspore.LazyAdam.default-target"
        return lazy if self._lazy else "mindspore.Adam"
