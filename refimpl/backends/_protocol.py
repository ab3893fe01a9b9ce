"""What a backend is: two small protocols, and a claim of what it can do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..arithmetic import FORMATS
from ..case import Case, Step
from ..dialects import dialects as known_dialects
from ..dialects.names import near_dialects
from ..errors import UsageError, did_you_mean
from ..gradients import Array
from .features import FEATURES, dtypes_of, needed_features


@dataclass(frozen=True)
class Capabilities:
    """What a backend claims of a dialect: dtypes by name, and features out of FEATURES.

    Empty dtypes or features restrict nothing. Otherwise a case that needs a dtype or feature that is not listed is outside the
    claim.
    """

    dtypes: tuple[str, ...] = ("float32", "float64")
    features: tuple[str, ...] = ()


class Run(Protocol):
    """One optimizer while it processes a case."""

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
    """A backend's `dialects` as a table, from any of the accepted spellings.

    A mapping of names, or names alone; each to None (no restriction), a mapping, or anything with `dtypes` and `features`;
    a dtype by its name, as a NumPy dtype or as a type. Raises UsageError for an unknown name, since a misspelt claim
    would silently claim nothing or everything; and UsageError or TypeError for what cannot be read as a claim.
    """
    if isinstance(dialects, Mapping):
        return {_known_dialect(name): _capabilities(claim, f"dialects[{name!r}]") for name, claim in dialects.items()}
    if isinstance(dialects, Iterable):
        return {_known_dialect(name): Capabilities((), ()) for name in _words(dialects)}
    raise TypeError(f"dialects must be a mapping from dialect to Capabilities, not {type(dialects).__name__}")


def _known_dialect(name: object) -> str:
    known = known_dialects("full")
    if not isinstance(name, str) or name not in known:
        hint = near_dialects(str(name), known) or f"the dialects are {', '.join(known)}"
        raise UsageError(f"dialects: no dialect {name!r}", hint)
    return name


KEYS = ("dtypes", "features")
"""The keys of a claim."""


def _capabilities(claim: object, where: str) -> Capabilities:
    if claim is None:
        return Capabilities((), ())
    if isinstance(claim, Mapping):
        for key in claim:
            _refuse_unknown(str(key), KEYS, f"{where}: no key {key!r}")
        said = claim
    else:
        said = {key: getattr(claim, key) for key in KEYS if hasattr(claim, key)}
        if not said:
            raise UsageError(f"{where} is {claim!r}, which is no claim", "give None, or {'dtypes': [...], 'features': [...]}")
    dtypes = tuple(_dtype_name(dtype, where) for dtype in _words(said.get("dtypes")))
    features = tuple(str(feature) for feature in _words(said.get("features")))
    for dtype in dtypes:
        _refuse_unknown(dtype, FORMATS, f"{where}: no dtype {dtype!r}")
    for feature in features:
        _refuse_unknown(feature, FEATURES, f"{where}: no feature {feature!r}")
    return Capabilities(dtypes, features)


def _refuse_unknown(name: str, known: Iterable[str], message: str) -> None:
    names = list(known)
    if name not in names:
        raise UsageError(message, did_you_mean(name, names) or f"there are {', '.join(names)}")


def _words(names: object) -> tuple[object, ...]:
    if names is None:
        return ()
    if isinstance(names, str) or not isinstance(names, Iterable):
        return (names,)
    return tuple(names)


def _dtype_name(dtype: object, where: str) -> str:
    if isinstance(dtype, (np.dtype, type)):
        try:
            return np.dtype(dtype).name
        except TypeError:
            raise UsageError(f"{where}: {dtype!r} is no dtype", f"the dtypes are {', '.join(FORMATS)}") from None
    return str(dtype).rsplit(".", 1)[-1]  # "float32", or the dtype of a framework: torch.float32


def outside_claim(case: Case, claimed: Mapping[str, Capabilities]) -> str | None:
    """Why a case lies outside a claim, or None where it lies within."""
    if case.dialect not in claimed:
        return f"the backend claims no {case.dialect}; it claims {', '.join(claimed) or 'nothing'}"
    capabilities = claimed[case.dialect]
    for dtype in dtypes_of(case) if capabilities.dtypes else ():
        if dtype not in capabilities.dtypes:
            return f"the backend claims {case.dialect} for {', '.join(capabilities.dtypes)}, and this case is in {dtype}"
    missing = [feature for feature in needed_features(case) if feature not in capabilities.features] if capabilities.features else []
    if missing:
        return f"the case needs {', '.join(missing)}, and the backend claims {', '.join(capabilities.features)}"
    return None
