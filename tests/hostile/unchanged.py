"""Whether a call that failed has left an optimizer as it was, bit for bit."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


class Raised:
    """The error that came out, or None."""

    error: Exception | None = None


def snapshot(optimizer: Any) -> Any:
    """Everything that a user can see of an optimizer, in plain values that `==` compares."""
    groups = getattr(optimizer, "param_groups", [])
    visible = [{key: value for key, value in group.items() if key != "params"} for group in groups]
    kept = [None if table.kept is None else vars(table.kept) for table in optimizer._tables]
    return _plain([optimizer.parameters, optimizer.state_dict(), visible, kept, getattr(optimizer, "global_step", None)])


@contextmanager
def unchanged(optimizer: Any) -> Iterator[Raised]:
    """Catches what the block raises; then raises AssertionError where the optimizer is not what it was."""
    before, raised = copy.deepcopy(snapshot(optimizer)), Raised()
    try:
        yield raised
    except Exception as error:
        raised.error = error
    assert raised.error is None or snapshot(optimizer) == before, f"changed by a call that failed: {raised.error!r}"


def _plain(value: Any) -> Any:
    """Arrays as their bytes, containers as lists, other objects as their text without an address: a nan equals its copy so."""
    if isinstance(value, np.ndarray):
        return (str(value.dtype), value.shape, value.tobytes())
    if isinstance(value, dict):
        return [(key, _plain(entry)) for key, entry in value.items()]
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
