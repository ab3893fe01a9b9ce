"""What many frameworks cannot do, each as a check that raises Unsupported, for the backends of several peers."""

from __future__ import annotations

import numpy as np
from peer_backend import changes, forms

from refimpl.backends import Unsupported


def takes_dense(case, words):
    """words: what a gradient is in this framework."""
    if forms(case) & {"rows", "elements"}:
        raise Unsupported(f"a gradient is {words}: nothing sparse can be given")


def takes_every_gradient(case, words):
    """words: what a missing gradient does."""
    if "none" in forms(case):
        raise Unsupported(words)


def has_one_group(case):
    if len(case.groups) > 1:
        raise Unsupported("an optimizer has one set of hyper-parameters, no groups")


def shared_count(case):
    """The steps before a resume, of which these optimizers have one count."""
    steps = {param.step for param in case.params}
    if len(steps) > 1:
        raise Unsupported("one step count for all parameters")
    return steps.pop()


def changes_only(case, names, words="cannot change once the optimizer is made"):
    """names: the hyper-parameters that can change."""
    fixed = changes(case) - set(names)
    if fixed:
        raise Unsupported(f"{', '.join(sorted(fixed))} {words}")


def has_axes(case):
    if any(param.value.ndim == 0 for param in case.params):
        raise Unsupported("a parameter has at least one axis")


def copied(array):
    """A copy in C order, whatever the layout of the case."""
    return np.array(array, order="C")


def start(param, array):
    """A moment that a case starts from, zeros where it gives none."""
    moment = getattr(param, array)
    return np.zeros_like(param.value, order="C") if moment is None else copied(moment)
