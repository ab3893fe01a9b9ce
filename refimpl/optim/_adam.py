"""Adam of either framework under one name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

from ..errors import UsageError
from ._optimizer import Optimizer

if TYPE_CHECKING:
    from ._mindspore_style import MindSporeAdam
    from ._torch_style import TorchAdam


class Adam(Optimizer):
    """Dense Adam: that of torch.optim, or with dialect="mindspore.Adam" that of mindspore.nn.

        Adam(params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, *,
             foreach=None, maximize=False, capturable=False, differentiable=False, fused=None,
             decoupled_weight_decay=False, moment_dtype=None)

        Adam(params, learning_rate=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, use_locking=False,
             use_nesterov=False, weight_decay=0.0, loss_scale=1.0, use_amsgrad=False,
             use_lazy=False, dialect="mindspore.Adam", moment_dtype=None)

    The arguments, their order and the messages of refused values are those of torch.optim.Adam and mindspore.nn.Adam, apart from
    moment_dtype, the dtype of the moments where it is not the parameter's (see `Optimizer`). The first form
    returns a `TorchAdam`, the second a `MindSporeAdam`.
    """

    _DIALECTS: ClassVar[dict[str, type[Adam]]] = {}

    def __init_subclass__(cls, dialect: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        if dialect:
            Adam._DIALECTS[dialect] = cls

    @overload
    def __new__(cls, *args: Any, dialect: Literal["torch.Adam"] = "torch.Adam", **options: Any) -> TorchAdam: ...
    @overload
    def __new__(cls, *args: Any, dialect: Literal["mindspore.Adam"], **options: Any) -> MindSporeAdam: ...
    @overload
    def __new__(cls, *args: Any, dialect: str, **options: Any) -> Adam: ...
    def __new__(cls, *args: Any, dialect: str = "torch.Adam", **options: Any) -> Adam:
        if cls is not Adam:
            return super().__new__(cls)
        # Each framework's module names its class when it is imported, which importing `refimpl.optim` does.
        if dialect not in Adam._DIALECTS:
            raise UsageError(f"Adam has no dialect {dialect!r}", f"choose from {', '.join(Adam._DIALECTS)}")
        return super().__new__(Adam._DIALECTS[dialect])
