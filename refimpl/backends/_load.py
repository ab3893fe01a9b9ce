"""Make a backend from `package.module:factory`; an error says which step failed."""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Callable, Mapping
from operator import attrgetter
from types import ModuleType
from typing import Any, cast

from ..errors import HarnessError, RefimplError, UsageError, did_you_mean
from ._protocol import Backend, claims

BUILTIN = {
    "mindspore": "refimpl.backends.mindspore:factory",
    "numba": "refimpl.backends.numba:factory",
    "reference": "refimpl.backends.reference:factory",
    "torch": "refimpl.backends.torch:factory",
    "torch-distributed": "refimpl.backends.torch_distributed:factory",
}
"""The backends that come with refimpl, by name."""

TAIL = 6
"""How many lines of a factory's traceback a message carries."""


def factory_path(spec: str) -> str:
    """The `module:factory` of a built-in name, or of one that is given as such; raises UsageError for anything else."""
    path = BUILTIN.get(spec, spec)
    module, colon, factory = path.partition(":")
    if not (module and colon and factory):
        choices = f"choose from {', '.join(BUILTIN)}, or name your own as package.module:factory"
        raise UsageError(f"no backend {spec!r}", " ".join(filter(None, (did_you_mean(spec, BUILTIN), choices))))
    return path


def load_backend(spec: str, options: Mapping[str, str]) -> Backend:
    """The backend that a factory makes with these keyword arguments.

    Raises UsageError where the module, the factory, an option or the protocol is not there, HarnessError where importing the
    module or calling the factory raises.
    """
    module_name, _, factory_name = factory_path(spec).partition(":")
    factory = _factory(_import(module_name), factory_name)
    _check_options(factory, factory_name, options)
    try:
        backend = factory(**options)
    except RefimplError:
        raise
    except Exception as error:
        raise HarnessError(f"the factory {module_name}:{factory_name} raised\n{_tail(error)}") from error
    return _checked(backend, f"{module_name}:{factory_name}")


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            hint = "the current directory is on the search path; start from where the module lies, or set PYTHONPATH"
            raise UsageError(f"no module {error.name!r} for the backend {name}", hint) from None
        hint = f"install {error.name} in this environment"
        raise HarnessError(f"the backend {name} needs the module {error.name!r}, which is not installed", hint) from error
    except RefimplError:
        raise
    except Exception as error:
        raise HarnessError(f"importing {name} raised\n{_tail(error)}") from error


def _factory(module: ModuleType, name: str) -> Callable[..., object]:
    try:
        factory = attrgetter(name)(module)
    except AttributeError:
        callables = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise UsageError(f"{module.__name__} has no {name!r}", f"it has {', '.join(callables) or 'nothing that can be called'}") from None
    if not callable(factory):
        raise UsageError(f"{module.__name__}:{name} is a {type(factory).__name__}, not a factory", "name a function that gives a backend")
    return cast("Callable[..., object]", factory)


def _check_options(factory: Callable[..., object], name: str, options: Mapping[str, str]) -> None:
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # some callables written in C have none; calling it will show an error
        return
    try:
        signature.bind(**options)
    except TypeError as error:
        known = [key for key, parameter in signature.parameters.items() if parameter.kind in BY_NAME]
        unknown = next((key for key in options if key not in known), "")
        hint = did_you_mean(unknown, known) or f"it takes {', '.join(known) or 'no options'}"
        raise UsageError(f"the factory {name}{signature} cannot be called with {dict(options)}: {error}", hint) from None


BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
"""The parameters of a factory that an option may name."""


def _checked(backend: object, path: str) -> Backend:
    missing = [name for name in ("name", "version", "dialects", "start") if not hasattr(backend, name)]
    hint = "a backend has name, version, dialects and start(case); see help(refimpl.Backend)"
    if missing:
        raise UsageError(f"{path} gave a {type(backend).__name__} that has no {', no '.join(missing)}", hint)
    made: Any = backend
    if not callable(made.start):
        raise UsageError(f"{path} gave a {type(backend).__name__} whose start is not a method", hint)
    try:
        claims(made.dialects)
    except (UsageError, TypeError, ValueError) as error:
        message, its_hint = (error.message, error.hint) if isinstance(error, UsageError) else (str(error), "")
        raise UsageError(f"{path} gave a {type(backend).__name__} whose dialects cannot be read: {message}", its_hint or hint) from None
    return cast(Backend, made)


def _tail(error: Exception) -> str:
    lines = "".join(traceback.format_exception(error)).rstrip().splitlines()
    return "\n".join(lines[-TAIL:])
