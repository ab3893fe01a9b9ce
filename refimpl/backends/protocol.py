"""What a backend is: two small protocols, and a claim of what it can do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..case import Case, Step
from ..gradients import Array
from .features import FEATURES, needed_features


@dataclass(frozen=True)
class Capabilities:
    """What a backend claims of a dialect: dtypes by name, and features out of FEATURES.

    No dtypes restrict nothing. Features restrict only where at least one of them is known: then a case that needs any other
    feature of the table is outside the claim.
    """

    dtypes: tuple[str, ...] = ("float32", "float64")
    features: tuple[str, ...] = ()


class Run(Protocol):
    """One optimizer on its way through a case."""

    def step(self, step: Step) -> None:
        """Make one call of the optimizer; raise, with every array as it was, what the dialect refuses."""

    def state(self) -> Mapping[str, Mapping[str, Array]]:
        """Parameter -> array -> value, in the parameter's shape and dtype: "param", and the moments that can be reached."""


class Backend(Protocol):
    """An implementation under test, as a factory makes it: `factory()` or `factory(device="cuda")`."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def dialects(self) -> Mapping[str, Capabilities]:
        """The dialects that it claims."""

    def start(self, case: Case) -> Run:
        """An optimizer with the parameters and groups of a case; raises Unsupported for what it does not claim."""


def claims(dialects: object) -> dict[str, Capabilities]:
    """A backend's `dialects` as a table, whatever way its author wrote it down.

    A mapping of names, or names alone; each to None (no restriction), a mapping, or anything with `dtypes` and `features`;
    a dtype by its name, as a NumPy dtype or as a type. Raises TypeError for what cannot be read as that.
    """
    if isinstance(dialects, Mapping):
        return {str(name): _capabilities(claim) for name, claim in dialects.items()}
    if isinstance(dialects, Iterable):
        return {str(name): _capabilities(None) for name in _words(dialects)}
    raise TypeError(f"dialects must be a mapping from dialect to Capabilities, not {type(dialects).__name__}")


def _capabilities(claim: object) -> Capabilities:
    named = claim if isinstance(claim, Mapping) else {key: getattr(claim, key, None) for key in ("dtypes", "features")}
    return Capabilities(tuple(map(_dtype_name, _words(named.get("dtypes")))), tuple(map(str, _words(named.get("features")))))


def _words(given: object) -> tuple[object, ...]:
    if given is None:
        return ()
    if isinstance(given, str) or not isinstance(given, Iterable):
        return (given,)
    return tuple(given)


def _dtype_name(dtype: object) -> str:
    if isinstance(dtype, (np.dtype, type)):
        return np.dtype(dtype).name
    return str(dtype).rsplit(".", 1)[-1]  # "float32", or the dtype of a framework: torch.float32


def outside_claim(case: Case, claimed: Mapping[str, Capabilities]) -> str | None:
    """Why a case lies outside a claim, or None where it lies within."""
    if case.dialect not in claimed:
        return f"the backend claims no {case.dialect}; it claims {', '.join(claimed) or 'nothing'}"
    capabilities = claimed[case.dialect]
    for dtype in {str(param.value.dtype) for param in case.params} if capabilities.dtypes else ():
        if dtype not in capabilities.dtypes:
            return f"the backend claims {case.dialect} for {', '.join(capabilities.dtypes)}, and this case is in {dtype}"
    if not FEATURES.keys() & set(capabilities.features):
        return None
    missing = [feature for feature in needed_features(case) if feature not in capabilities.features]
    if missing:
        return f"the case needs {', '.join(missing)}, and the backend claims {', '.join(capabilities.features)}"
    return None
