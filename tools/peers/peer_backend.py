"""What the backends of the peers share: the claim of a route, and the properties of a case that a run must know before its first step.

A backend is a file NAME_backend.py beside this one. It maps each way to use the framework, a route, to a class of runs:

    class LazyRun:
        dialects = ("paddle.Adam.lazy_mode",)
        def __init__(self, case): ...    # raises Unsupported("reason") for what the framework cannot do
        def step(self, step): ...
        def state(self): ...

    factory = peer_factory("paddlepaddle", {"lazy": LazyRun})

refimpl/backends/_protocol.py says what each of them must do. With PYTHONPATH=tools/peers it is checked as every backend is:

    refimpl check paddle_backend:factory --option route=lazy --python .peers/paddle/venv/bin/python
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from refimpl.backends import Case, Unsupported
from refimpl.errors import UsageError
from refimpl.gradients import gradient_form


@dataclass(frozen=True)
class PeerBackend:
    """A framework on one route."""

    name: str
    version: str
    dialects: tuple[str, ...]
    make: Callable[[Case], Any]

    def start(self, case: Case) -> Any:
        if any(dtype != str(param.value.dtype) for param in case.params for dtype in param.dtypes.values()):
            raise Unsupported("a state in another dtype than its parameter")
        return self.make(case)


def peer_factory(distribution: str, routes: Mapping[str, Any]) -> Callable[[str], PeerBackend]:
    """The factory of a backend. distribution: the package whose version the report shows; routes: name -> class of runs."""

    def factory(route: str) -> PeerBackend:
        if route not in routes:
            raise UsageError(f"{distribution}: no route {route!r}", f"choose from {', '.join(routes)}")
        return PeerBackend(f"{distribution} {route}", version(distribution), routes[route].dialects, routes[route])

    return factory


def forms(case: Case, *names: str) -> set[str]:
    """The forms of the gradients of these parameters (of all, without names): dense, rows, elements; "none" where one is missing."""
    gradients = (step.gradients.get(param.name) for step in case.steps for param in case.params if not names or param.name in names)
    return {"none" if gradient is None else gradient_form(gradient) for gradient in gradients}


def changes(case: Case) -> set[str]:
    """The hyper-parameters that change at some step."""
    return {name for step in case.steps for change in step.hyper for name in change}


def is_resumed(case: Case) -> bool:
    """Whether the case starts from a state."""
    return any(param.step or param.exp_avg is not None for param in case.params)
