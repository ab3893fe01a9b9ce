"""What the implementation knows of the five dialects: their settings under common names, what they refuse, and how they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

SPARSE = "torch.SparseAdam"
ADAM = "torch.Adam"
LAZY = "mindspore.LazyAdam"
APART = "mindspore.LazyAdam.default-target"
DENSIFIED = "mindspore.Adam"
ALL = (SPARSE, ADAM, LAZY, APART, DENSIFIED)


@dataclass(frozen=True)
class Settings:
    """The hyper-parameters of a group at one step."""

    lr: float
    beta1: float
    beta2: float
    eps: float
    weight_decay: float = 0.0
    loss_scale: float = 1.0
    maximize: bool = False
    amsgrad: bool = False
    nesterov: bool = False
    centralization: bool = False
    decoupled: bool = False

    @classmethod
    def of(cls, hyper: Mapping[str, Any]) -> Settings:
        """From either framework's names."""
        beta1, beta2 = hyper["betas"] if "betas" in hyper else (hyper["beta1"], hyper["beta2"])
        return cls(
            lr=hyper["lr"] if "lr" in hyper else hyper["learning_rate"],
            beta1=beta1,
            beta2=beta2,
            eps=hyper["eps"],
            weight_decay=hyper.get("weight_decay", 0.0),
            loss_scale=hyper.get("loss_scale", 1.0),
            maximize=hyper.get("maximize", False),
            amsgrad=hyper.get("amsgrad", False) or hyper.get("use_amsgrad", False),
            nesterov=hyper.get("use_nesterov", False),
            centralization=hyper.get("grad_centralization", False),
            decoupled=hyper.get("decoupled_weight_decay", False),
        )


@dataclass(frozen=True)
class Traits:
    """How a dialect differs from the others.

    counts_calls: one step number for all parameters; occurrences_apart: each occurrence of a row starts from the old state;
    moves_all_rows: a gradient by rows counts as dense; eps_beside_corrected_root: eps stands beside sqrt(v / c2), not beside sqrt(v).
    """

    gradients: tuple[str, ...]
    validate: Callable[[Mapping[str, Any]], None]
    counts_calls: bool = False
    occurrences_apart: bool = False
    moves_all_rows: bool = False
    eps_beside_corrected_root: bool = False


def _refuse_unless(right: bool, what: str) -> None:
    if not right:
        raise ValueError(f"refused: {what}")


def _validate_sparse(hyper: Mapping[str, Any]) -> None:
    _refuse_unless(hyper["lr"] > 0, "lr")
    _refuse_unless(hyper["eps"] > 0, "eps")
    _refuse_unless(all(0 <= beta < 1 for beta in hyper["betas"]), "betas")


def _validate_adam(hyper: Mapping[str, Any]) -> None:
    _refuse_unless(hyper["lr"] >= 0, "lr")
    _refuse_unless(hyper["eps"] >= 0, "eps")
    _refuse_unless(hyper["weight_decay"] >= 0, "weight_decay")
    _refuse_unless(all(0 <= beta < 1 for beta in hyper["betas"]), "betas")


NUMBER = (float, int)


def _validate_mindspore(hyper: Mapping[str, Any], decay_types: tuple[type, ...] = (float,)) -> None:
    for name in ("beta1", "beta2", "eps"):
        _refuse_unless(type(hyper[name]) is float and hyper[name] > 0, name)
        _refuse_unless(name == "eps" or hyper[name] < 1, name)
    _refuse_unless(type(hyper["learning_rate"]) in NUMBER and hyper["learning_rate"] >= 0, "learning_rate")
    _refuse_unless(type(hyper["weight_decay"]) in decay_types and hyper["weight_decay"] >= 0, "weight_decay")
    _refuse_unless(type(hyper["loss_scale"]) in NUMBER and hyper["loss_scale"] > 0, "loss_scale")
    for name in ("use_locking", "use_nesterov", "use_amsgrad", "grad_centralization"):
        _refuse_unless(type(hyper.get(name, False)) is bool, name)


TRAITS: dict[str, Traits] = {
    SPARSE: Traits(("rows", "elements"), _validate_sparse),
    ADAM: Traits(("dense",), _validate_adam, eps_beside_corrected_root=True),
    LAZY: Traits(("rows", "dense"), _validate_mindspore, counts_calls=True),
    APART: Traits(("rows", "dense"), _validate_mindspore, counts_calls=True, occurrences_apart=True),
    DENSIFIED: Traits(("dense", "rows"), lambda hyper: _validate_mindspore(hyper, NUMBER), counts_calls=True, moves_all_rows=True),
}
