"""Names of dialects as users write them: `torch.optim.SparseAdam`, `nn.LazyAdam`, `sparse_adam`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..errors import did_you_mean

ALIASES = {
    "pytorch": "torch",
    "optim": "torch",  # from torch import optim
    "nn": "mindspore",  # from mindspore import nn
    "ms": "mindspore",
    "tf": "keras",  # tf.keras.optimizers
    "tensorflow": "keras",
    "tensorflowaddons": "tfa",
    "mx": "mxnet",
    "jax": "optax",
}
"""What modules are called in imports (without underscores), with the first word of the dialects that they mean."""


def near_dialects(name: str, known: Iterable[str]) -> str:
    """A hint at the known dialects that a name may mean: by its module and its class where it has them, else by its letters."""
    first, *more = re.split(r"[.:/]", name.casefold().replace("_", ""))
    words = [ALIASES.get(first, first), *more]
    every = list(known)

    def shared(dialect: str) -> tuple[bool, bool, int]:
        framework, *rest = dialect.casefold().replace("_", "").split(".")
        return framework in words, words[-1] in rest, len({framework, *rest} & set(words))

    ranked = sorted(every, key=shared, reverse=True)  # stable: of equals, the one that stands first in the tables
    meant = [dialect for dialect in ranked if shared(dialect)[:2] == (True, True)] or [dialect for dialect in ranked if shared(dialect)[1]]
    return f"did you mean {' or '.join(meant[:3])}?" if meant else did_you_mean(name, every)
