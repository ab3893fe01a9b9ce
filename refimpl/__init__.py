"""refimpl: the referee for the Adam family. What an update must give, how far it may be off, whether yours conforms, and if not why."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .case import Case, Group, Param, Step
from .errors import RefimplError, Unsupported
from .gradients import RowGradient

if TYPE_CHECKING:
    __version__: str
    from .backends import Backend, Capabilities, Run
    from .conversion import convert
    from .dialects import deviations, dialect
    from .optim import Adam, AdamW, LazyAdam, SparseAdam
    from .vectors import read_vectors
    from .watch import Watch

_LAZY = {
    "Adam": "optim",
    "AdamW": "optim",
    "Backend": "backends",
    "Capabilities": "backends",
    "LazyAdam": "optim",
    "Run": "backends",
    "SparseAdam": "optim",
    "Watch": "watch",
    "convert": "conversion",
    "deviations": "dialects",
    "dialect": "dialects",
    "read_vectors": "vectors",
}
"""Name to the module that it is imported from when it is first used: `import refimpl` stays quick."""

__all__ = [
    "Adam",
    "AdamW",
    "Backend",
    "Capabilities",
    "Case",
    "Group",
    "LazyAdam",
    "Param",
    "RefimplError",
    "RowGradient",
    "Run",
    "SparseAdam",
    "Step",
    "Unsupported",
    "Watch",
    "__version__",
    "convert",
    "deviations",
    "dialect",
    "read_vectors",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from .common.cli import version

        return version()
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
