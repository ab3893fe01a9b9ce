"""Recognise optimizer states of other frameworks by the names in them, so that an error can say how to convert them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

LAYOUT = "{'state': {0: {'step': t, 'exp_avg': m, 'exp_avg_sq': v}, ...}, 'param_groups': [{'params': [0, ...], 'lr': ..., ...}]}"


@dataclass(frozen=True)
class Layout:
    """A layout of another framework. names: patterns that must each match a name in it; hint: how to convert it."""

    about: str
    names: tuple[str, ...]
    hint: str


LAYOUTS = (
    Layout(
        "the accumulators of a paddle.optimizer",
        (r"moment1_\d|beta1_pow_acc",),
        "moment1 is exp_avg, moment2 is exp_avg_sq; beta1_pow_acc is beta1^(step + 1), so step = log(beta1_pow_acc)/log(beta1) - 1",
    ),
    Layout(
        "the parameters of a mindspore.nn optimizer",
        (r"^(adam\.)?moment[12]\b|^(adam\.)?moments\b|^global_step$",),
        "moment1 is exp_avg, moment2 is exp_avg_sq, step is global_step; beta1_power is beta1^step",
    ),
    Layout(
        "the variables of a TensorFlow 1 optimizer",
        (r"/Adam(_1)?(:0)?$",),
        "NAME/Adam is exp_avg, NAME/Adam_1 is exp_avg_sq; beta1_power is beta1^(step + 1), so step = log(beta1_power)/log(beta1) - 1",
    ),
    Layout(
        "the variables of a Keras optimizer",
        (r"(momentum|velocity|/m|/v)(:0)?(_\d+)?$|^(optimizer/)?iterations?(:0)?$",),
        "NAME_momentum (m) is exp_avg, NAME_velocity (v) is exp_avg_sq, step is iteration",
    ),
    Layout(
        "a state of optax", (r"^mu$", r"^nu$"), "mu is exp_avg, nu is exp_avg_sq, step is count; numbers stand for the leaves of the tree"
    ),
    Layout(
        "a state with powers of the betas instead of a count",
        (r"beta_?1?_?(pow|power|t)\b|beta[12]_?(pow|power)",),
        "step = log(power)/log(beta), less 1 where the power began at beta (TensorFlow, Paddle) and not at 1 (MindSpore)",
    ),
)


def recognised(state: Any) -> tuple[str, str]:
    """The origin of a state that is not laid out as in torch.optim, and a hint how to convert it."""
    names = list(_names(state))
    for layout in LAYOUTS:
        if all(any(re.search(pattern, name) for name in names) for pattern in layout.names):
            return layout.about, f"{layout.hint}; lay them out as {LAYOUT}"
    return f"a {type(state).__name__}" + (f" with {', '.join(map(repr, names[:4]))}" if names else ""), f"lay it out as {LAYOUT}"


def _names(state: Any, depth: int = 2) -> Iterable[str]:
    """The names in a state: of keys, of a named tuple's fields, of variables in a list."""
    if isinstance(state, Mapping):
        entries: Iterable[tuple[Any, Any]] = state.items()
    elif hasattr(state, "_fields"):
        entries = ((field, getattr(state, field)) for field in state._fields)
    elif isinstance(state, (list, tuple)):
        entries = (((getattr(entry, "path", None) or getattr(entry, "name", "")), entry) for entry in state)
    else:
        return
    for key, value in entries:
        if isinstance(key, str) and key:
            yield key
        if depth:
            yield from _names(value, depth - 1)
