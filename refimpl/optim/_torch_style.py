"""Optimizers as users of torch.optim know them: the same arguments, groups, messages and step counts."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..case import HALF
from ..common.arrays import is_float
from ..dialects import Parameter
from ..dialects import dialect as dialect_of
from ..gradients import Gradient, values_of
from ._adam import Adam
from ._optimizer import Optimizer, Setting
from ._settings import Unchanged, checked, switch
from ._states import IDLE, Loaded
from ._tables import Table, dtype_of_moments

Params = Iterable[Any]
"""Arrays, (name, array) pairs, or groups: dicts with "params" and any of the constructor's arguments."""


class TorchOptimizer(Optimizer):
    """Groups of parameters with settings of their own, counted per parameter.

    param_groups: dicts as torch.optim has them, "params" among them; a change of group["lr"] holds from the next step on.
    moment_dtype is not among them, since a state shows it in its arrays.
    """

    def __init__(self, params: Params, defaults: dict[str, Any], moment_dtype: DTypeLike | None) -> None:
        super().__init__()
        self._moment_dtype = moment_dtype
        if isinstance(params, np.ndarray):
            raise TypeError(
                f"params argument given to the optimizer should be an iterable of Tensors or dicts, but got {_typename(params)}"
            )
        self.defaults = defaults
        self._unchanged: Unchanged[Mapping[int, Setting]] = Unchanged()
        self.param_groups: list[dict[str, Any]] = []
        self._members: list[list[Table]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add a group of parameters; settings that it leaves out are the constructor's. The mapping itself stays as it is."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params, names = _params_of(param_group)
        named = {"param_names": names} if names else {}
        group = {**param_group, "params": params, **named}
        group = {**group, **{name: value for name, value in self.defaults.items() if name not in group}}
        for name, parameter in self._own_parameters().items():
            if not parameter.roles:
                switch(group[name], name, f"parameter group {len(self.param_groups)}")
        if len({id(param) for param in params}) < len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=3,
            )
        for other in self.param_groups:
            if ("param_names" in group) != ("param_names" in other):
                with_names = "with names" if "param_names" in group else "without names"
                raise ValueError(
                    f"all optimizer param groups should be with/without names. cannot add param group {with_names} to the optimizer"
                )
        known = {id(table.param) for table in self._tables}
        if any(id(param) in known for param in params):
            raise ValueError("some parameters appear in more than one parameter group")
        members = _tables(params, names or [f"param{len(self._tables) + k}" for k in range(len(params))])
        kept_in = dtype_of_moments(group.pop("moment_dtype", self._moment_dtype), members)
        for table in members:
            table.moment_dtype = kept_in
        self.param_groups.append(group)
        self._members.append(members)
        self._tables.extend(members)

    def _check(self, class_name: str, settings: Mapping[str, Any]) -> None:
        """Raise ValueError for the first value that the real constructor refuses, in the order of its checks."""
        parameters = dialect_of(class_name).parameters
        for name, value in settings.items():
            parameter = parameters[name]
            values = (value[0], value[1]) if len(parameter.roles) > 1 else (value,)
            for index, number in enumerate(values):
                if parameter.interval is not None and number not in parameter.interval:
                    raise ValueError(parameter.message.format(value=number, index=index))

    def _settings(self) -> Mapping[int, Setting]:
        return self._unchanged.get([group.get(name) for group in self.param_groups for name in self.defaults], self._resolved)

    def _resolved(self) -> Mapping[int, Setting]:
        row = dialect_of(self.dialect)
        settings_of: dict[int, Setting] = {}
        for number, (group, members) in enumerate(zip(self.param_groups, self._members)):
            setting = row.resolve(checked(group, self._own_parameters(), f"param_groups[{number}]"))
            settings_of.update((id(member), setting) for member in members)
        return settings_of

    def _own_parameters(self) -> dict[str, Parameter]:
        return {name: parameter for name, parameter in dialect_of(self.dialect).parameters.items() if name in self.defaults}

    def _next_counts(self, tables: Sequence[Table]) -> list[int]:
        if len(tables) == 1:
            return [tables[0].step + 1]
        times: Counter[int] = Counter()
        counts = []
        for table in tables:
            times[id(table)] += 1
            counts.append(table.step + times[id(table)])
        return counts

    def _count(self, counts: Sequence[tuple[Table, int]]) -> None:
        for table, t in counts:
            table.started, table.step = True, t

    def _saved_groups(self) -> list[tuple[dict[str, Any], list[Table]]]:
        return [
            ({name: value for name, value in group.items() if name != "params"}, members)
            for group, members in zip(self.param_groups, self._members)
        ]

    def _packed_step(self, table: Table) -> Any:
        return table.step

    def _take_over(self, loaded: Loaded) -> None:
        states = {id(table): (step, moments) for table, step, moments in loaded.states}
        groups = []
        for number, (own, settings) in enumerate(zip(self.param_groups, loaded.groups)):
            if callable(settings.get("lr")) or np.size(settings.get("lr", 0)) != 1:
                raise ValueError(
                    "loaded state dict has a schedule for lr; set lr to a number there, and change it in param_groups as you go"
                )
            idle = {name: own[name] for name in IDLE if name in own}  # the state of another framework may lack these
            names = {"param_names": own["param_names"]} if "param_names" in own else {}
            group = {**idle, **names, **settings}
            checked(group, self._own_parameters(), f"group {number} of the loaded state dict", in_range=True)
            groups.append({**self.defaults, **group, "params": own["params"]})
        for own, group in zip(self.param_groups, groups):
            own.clear()
            own.update(group)
        for table in self._tables:
            table.started = id(table) in states
            table.step, table.kept = states.get(id(table), (0, None))


class SparseAdam(TorchOptimizer):
    """torch.optim.SparseAdam (dialect torch.SparseAdam): lazy Adam over gradients by row or by element.

        m <- b1 m + (1-b1) g;  v <- b2 v + (1-b2) g^2;  p <- p - lr sqrt(1-b2^t)/(1-b1^t) m/(sqrt(v) + eps)

    for what the gradient stores, explicit zeros included, duplicates summed; t counts the calls in which the parameter had a
    gradient, an empty one too. A parameter whose gradient is None is left alone and keeps no state.
    Raises ValueError as torch 2.13.0 does, in its words and order; a dense gradient is a RuntimeError. As there, the values
    inside a group are not checked, and a gradient may have another float dtype than its parameter (there after grad_dtype = None).
    """

    def __init__(
        self,
        params: Params,
        lr: Any = 1e-3,
        betas: Any = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
        *,
        moment_dtype: DTypeLike | None = None,
    ) -> None:
        _check_one_element("lr", lr)
        self._check("torch.SparseAdam", {"lr": lr, "eps": eps, "betas": betas})
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize}, moment_dtype)
        places = [([i, k], param) for i, group in enumerate(self.param_groups) for k, param in enumerate(group["params"])]
        sparse = [place for place, param in places if _is_sparse(param)]
        if sparse:
            raise ValueError(f"Sparse params at indices {sparse}: SparseAdam requires dense parameter tensors")
        complex_ = [place for place, param in places if np.iscomplexobj(param)]
        if complex_:
            raise ValueError(f"Complex params at indices {complex_}: SparseAdam does not support complex parameters")

    def _dialect(self) -> str:
        return "torch.SparseAdam"


class TorchAdam(Adam, TorchOptimizer, dialect="torch.Adam"):
    """torch.optim.Adam (dialect torch.Adam): dense Adam, eps beside sqrt(v_hat).

    weight_decay is coupled, or decoupled with decoupled_weight_decay; amsgrad divides by the largest v so far.
    foreach, fused and capturable choose an implementation there; here they are kept for `state_dict` and change nothing.
    Raises ValueError as torch 2.13.0 does, in its words and order; a sparse gradient is a RuntimeError. So is a gradient of another
    float dtype than its parameter: here only of a half-precision parameter whose moments have its dtype.
    """

    def __init__(
        self,
        params: Params,
        lr: Any = 1e-3,
        betas: Any = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
        dialect: str = "torch.Adam",
        moment_dtype: DTypeLike | None = None,
    ) -> None:
        _check_one_element("lr", lr, foreach and not capturable)
        self._check(dialect, {"lr": lr, "eps": eps, "betas": betas, "weight_decay": weight_decay})
        if not any(isinstance(betas[0], kind) and isinstance(betas[1], kind) for kind in (float, np.ndarray)):
            raise ValueError("betas must be either both floats or both Tensors")
        for index in (0, 1):
            _check_one_element(f"betas[{index}]", betas[index], foreach and not capturable)
        defaults = {
            "lr": lr,
            "betas": tuple(map(_number, betas)),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        TorchOptimizer.__init__(self, params, defaults, moment_dtype)
        if fused and differentiable:
            raise RuntimeError("`fused` does not support `differentiable`")
        if fused and foreach:
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
        if differentiable:
            raise ValueError("differentiable=True: NumPy arrays record no operations, so a step cannot be differentiated")

    def _dialect(self) -> str:
        return "torch.Adam"

    def _check_dtype(self, gradient: Gradient, table: Table) -> None:
        values, dtype = values_of(gradient), table.param.dtype
        if dtype.name not in HALF or table.kept_in != dtype or not isinstance(values, np.ndarray):
            return
        if is_float(values.dtype) and values.dtype.name != dtype.name:
            raise RuntimeError(
                f"expected dtype {dtype} for the gradient of {table.name!r} but got dtype {values.dtype}; "
                f"convert it, or keep the moments in float32 with moment_dtype='float32'"
            )

    def _packed_step(self, table: Table) -> Any:
        """A float32 scalar, as torch.optim.Adam keeps it."""
        return np.array(table.step, np.float32)


class AdamW(TorchAdam):
    """torch.optim.AdamW (dialect torch.AdamW): Adam with decoupled weight decay, 0.01 unless another is given.

        p <- p - lr wd p;  then the step of Adam

    As there, it is an `Adam` whose groups have decoupled_weight_decay, and a loaded state cannot switch that off.
    Raises what `TorchAdam` raises.
    """

    def __init__(
        self,
        params: Params,
        lr: Any = 1e-3,
        betas: Any = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        moment_dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
            moment_dtype=moment_dtype,
        )

    def _take_over(self, loaded: Loaded) -> None:
        super()._take_over(loaded)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True


def _params_of(group: Mapping[str, Any]) -> tuple[list[Any], list[str]]:
    """The parameters of a group, and their names where it gives (name, array) pairs."""
    params = group["params"]
    if isinstance(params, set):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, but "
            "the ordering of tensors in sets will change between runs. Please use a list instead."
        )
    entries = [params] if isinstance(params, np.ndarray) else list(params)
    names = [entry[0] for entry in entries if isinstance(entry, tuple)]
    if names and len(names) != len(entries):
        raise ValueError("all optimizer params should be with/without names. Some param names are missing")
    arrays = [entry[1] if isinstance(entry, tuple) else entry for entry in entries]
    for array in arrays:
        if not isinstance(array, np.ndarray) and not _is_sparse(array):
            raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {_typename(array)}")
    return arrays, names


def _tables(params: Sequence[Any], names: Sequence[str]) -> list[Table]:
    """A table per parameter; a parameter that is given twice has one, as it has one state in torch.optim."""
    known: dict[int, Table] = {}
    return [known.setdefault(id(param), Table(name, param)) for name, param in zip(names, params)]


def _check_one_element(name: str, value: Any, refused: bool | None = False) -> None:
    """The checks that PyTorch makes of a setting that is a tensor, here of one that is an array."""
    if not isinstance(value, np.ndarray):
        return
    if refused:
        raise ValueError(f"{name} as a Tensor is not supported for capturable=False and foreach=True")
    if value.size != 1:
        raise ValueError(f"Tensor {name} must be 1-element")


def _number(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _is_sparse(param: Any) -> bool:
    return hasattr(param, "tocoo")


def _typename(value: Any) -> str:
    """The name of a type, with its module where that is not builtins."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
