"""The backend `torch`: the optimizers of the installed PyTorch themselves, on a CPU or a CUDA device.

Row numbers out of range would read and write past the end of a table inside PyTorch. Its own check of sparse tensors is therefore
switched on, for the whole process, and such a gradient raises where it is made.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..arithmetic import FORMATS
from ..case import Case, Param, Step
from ..conversion import momentum_product
from ..errors import Unsupported, UsageError
from ..gradients import Array, Gradient, gradient_form
from ..reference import kept_arrays
from ._protocol import Capabilities
from ._torch_tensors import GRADIENT, array_of, tensor_of
from .features import FEATURES, RANKS, dtypes_of

Tensor = Any  # PyTorch ships no type information that mypy is given here

THREADS = 2
"""Threads of PyTorch for a case with a tensor that it divides among threads; all other cases run on one, which waits for no other."""

DIVIDED = 32_768
"""Elements from which PyTorch divides a tensor among threads (its internal GRAIN_SIZE)."""

OPTIMIZERS: dict[str, Any] = {
    "torch.SparseAdam": torch.optim.SparseAdam,
    "torch.Adam": torch.optim.Adam,
    "torch.AdamW": torch.optim.AdamW,
    "torch.NAdam": torch.optim.NAdam,
    "torch.RAdam": torch.optim.RAdam,
    "torch.Adamax": torch.optim.Adamax,
}

OWN_NAMES = {"torch.Adamax": {"exp_avg_sq": "exp_inf"}}
"""What an optimizer calls an array of its state, where that is not the name that vectors have."""

OTHERS = ("mixed", "master", "compensation", "micro_batch_mean", *RANKS)
"""Features that it does not have.

PyTorch refuses mixed dtypes on a CPU, and has no compensation; the ranks are those of the backend torch-distributed; gradients of
micro-batches accumulate, and who wants their mean divides the losses.
"""

FUSED = ("torch.Adam", "torch.AdamW")
DENSE = (*FUSED, "torch.NAdam", "torch.RAdam", "torch.Adamax")

VARIANTS: dict[str, tuple[tuple[str, ...], dict[str, bool]]] = {
    "default": (tuple(OPTIMIZERS), {}),
    "single": (DENSE, {"foreach": False}),
    "foreach": (DENSE, {"foreach": True}),
    "fused": (FUSED, {"fused": True}),
}
"""Which of its implementations an optimizer is asked for, and which optimizers have it; "default" leaves the choice to PyTorch."""


class TorchRun:
    """An optimizer of PyTorch, its parameters by name, and the moments that it has not made yet."""

    def __init__(self, case: Case, device: str, variant: Mapping[str, bool]) -> None:
        self._device = device
        self._kept = kept_arrays(case)
        self._params = {param.name: torch.nn.Parameter(tensor_of(param.value, device)) for param in case.params}
        self._dtypes = {param.name: param.value.dtype for param in case.params}
        self._case, self._options = case, variant
        self._own_names = OWN_NAMES.get(case.dialect, {})
        self._optimizer = self._new_optimizer()
        for param in case.params:
            if param.exp_avg is not None or param.step:
                self._resume(param)

    def _new_optimizer(self) -> Any:
        case = self._case
        groups: list[dict[str, Any]] = [{"params": [], **group.hyper} for group in case.groups]
        for param in case.params:
            groups[param.group]["params"].append((param.name, self._params[param.name]))
        # The constructor checks its arguments, not the groups: the first group's values are both.
        return OPTIMIZERS[case.dialect](groups, **case.groups[0].hyper, **self._options)

    def _resume(self, param: Param) -> None:
        """Put a state in place as the optimizer keeps it: SparseAdam counts in an int, the others in a float32 tensor."""
        tensor = self._params[param.name]
        group = self._optimizer.param_groups[param.group]
        state = self._optimizer.state[tensor]
        state["step"] = param.step
        if not isinstance(self._optimizer, torch.optim.SparseAdam):
            state["step"] = torch.tensor(float(param.step), dtype=torch.float32, device=self._device if group.get("fused") else "cpu")
        if isinstance(self._optimizer, torch.optim.NAdam):
            product = momentum_product(group["betas"][0], group["momentum_decay"], param.step)
            state["mu_product"] = torch.tensor(product, dtype=torch.float32)
        for name in self._kept[param.name][1:]:
            moment = getattr(param, name)
            state[self._own_names.get(name, name)] = torch.zeros_like(tensor) if moment is None else tensor_of(moment, self._device)

    def step(self, step: Step) -> None:
        brought = [
            {name: self._gradient(name, gradients.get(name)) for name in self._params} for gradients in step.batches or (step.gradients,)
        ]
        if step.reload:
            self._reload()
        for group, change in zip(self._optimizer.param_groups, step.hyper):
            group.update(change)
        for name, param in self._params.items():
            param.grad = brought[0][name]
            for later in brought[1:]:
                if later[name] is not None:
                    torch.autograd.backward([param], [later[name]])  # adds to `grad`, as the backward of a loss does
        if step.grad_scale == 1.0 and not step.found_inf:
            self._optimizer.step()
        else:
            self._step_by_scaler(step.grad_scale)

    def _step_by_scaler(self, scale: float) -> None:
        """The step as a GradScaler of this scale makes it: it divides the gradients, and leaves the step out where one is not finite."""
        scaler = torch.amp.GradScaler(self._device.partition(":")[0], init_scale=scale, growth_interval=2**31 - 1)
        scaler.scale(torch.zeros((), device=self._device))  # a scaler makes its tensors when it first scales a loss
        scaler.step(self._optimizer)

    def _reload(self) -> None:
        """Save the optimizer's state to a file in memory, and load it into a new optimizer of the same parameters."""
        file = io.BytesIO()
        torch.save(self._optimizer.state_dict(), file)
        file.seek(0)
        self._optimizer = self._new_optimizer()
        self._optimizer.load_state_dict(torch.load(file, weights_only=True))

    def _gradient(self, name: str, gradient: Gradient | None) -> Tensor:
        return None if gradient is None else GRADIENT[gradient_form(gradient)](gradient, self._device)

    def state(self) -> dict[str, dict[str, Array]]:
        """Moments that the optimizer has not made yet, because no gradient came, are zero."""
        return {name: {array: self._array(name, array) for array in self._kept[name]} for name in self._params}

    def _array(self, name: str, array: str) -> Array:
        param = self._params[name]
        tensor = param if array == "param" else self._optimizer.state.get(param, {}).get(self._own_names.get(array, array))
        return np.zeros(tuple(param.shape), self._dtypes[name]) if tensor is None else array_of(tensor)


class TorchBackend:
    """The installed PyTorch on one device, Adam in one variant."""

    def __init__(self, device: str, variant: str) -> None:
        where = [word for word in (device, variant) if word not in ("cpu", "default")]
        self.name = " ".join(["torch", *where])
        self.version = str(torch.__version__) + (f" on {torch.cuda.get_device_name(device)}" if device.startswith("cuda") else "")
        claimed, self._options = VARIANTS[variant]
        features = tuple(name for name in FEATURES if name not in OTHERS)
        self.dialects = {name: Capabilities(tuple(FORMATS), features) for name in claimed}
        self._device = device

    def start(self, case: Case) -> TorchRun:
        if case.dialect not in self.dialects:
            raise Unsupported(f"torch has no {case.dialect}")
        if case.dialect == "torch.SparseAdam" and case.has_batches and "float16" in dtypes_of(case):
            raise Unsupported("PyTorch adds no sparse gradients in float16 on a CPU")
        largest = max((param.value.size for param in case.params), default=0)
        torch.set_num_threads(THREADS if largest >= DIVIDED else 1)
        return TorchRun(case, self._device, self._options)


def factory(device: str = "cpu", variant: str = "default") -> TorchBackend:
    """PyTorch on `cpu` or `cuda`; variant: single, foreach or fused, for the optimizers that have it.

    Sets the number of threads and the check of sparse tensors for the whole process. Raises UsageError for a device that is not there.
    """
    if variant not in VARIANTS:
        raise UsageError(f"torch: no variant {variant!r}", f"choose from {', '.join(VARIANTS)}")
    if device.partition(":")[0] not in ("cpu", "cuda"):
        raise UsageError(f"torch: no device {device!r}", "choose cpu or cuda")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"torch: no device {device!r}: this PyTorch ({torch.__version__}) sees no CUDA device", "use --device cpu")
    torch.sparse.check_sparse_tensor_invariants.enable()
    return TorchBackend(device, variant)
