"""A case as a run gets it: the data types, reading them from a directory of vectors, and handing out fresh copies."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import yaml

FORMAT = 2
"""The version of the format of vectors that is read."""

STATE = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
"""The arrays of a parameter's state beside its value."""


class Unsupported(Exception):
    """Raised by a run for what the framework has no way to do; the text is the reason."""


@dataclass(frozen=True)
class Rows:
    """A gradient by rows, as they come: unsorted, repeated. indices: (n,); values: (n, *shape[1:])."""

    indices: np.ndarray
    values: np.ndarray
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Elements:
    """A gradient by single elements. coords: (ndim, n); values: (n,)."""

    coords: np.ndarray
    values: np.ndarray
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Param:
    """A parameter at the start.

    dtype: its own, in words; exp_avg, exp_avg_sq, step: the state to start from, or None, None, 0; max_exp_avg_sq: the maximum of
    amsgrad, or None; dtypes: array of the state -> dtype, where it is not the parameter's.
    """

    name: str
    value: np.ndarray
    group: int
    dtype: str
    exp_avg: np.ndarray | None = None
    exp_avg_sq: np.ndarray | None = None
    step: int = 0
    max_exp_avg_sq: np.ndarray | None = None
    dtypes: dict = field(default_factory=dict)

    def dtype_of(self, array: str) -> str:
        """The dtype in which an array of the state is kept."""
        return self.dtypes.get(array, self.dtype)


@dataclass(frozen=True)
class Step:
    """One call of the optimizer.

    gradients: parameter name -> dense array, Rows, Elements or None (it has none); hyper: per group what changes from this step
    on, often empty.
    """

    gradients: dict
    hyper: tuple


@dataclass(frozen=True)
class Case:
    """What a run is made for.

    params: Param; groups: per group every hyper-parameter, in the dialect's names; steps: Step; record: the steps that are
    compared, from 1; error: the kind of error that is expected, or None.
    """

    id: str
    dtype: str
    layout: str
    params: tuple
    groups: tuple
    steps: tuple
    record: tuple
    error: str | None = None

    @property
    def dialect(self) -> str:
        return self.id.split("/")[0]

    @property
    def theme(self) -> str:
        return self.id.split("/")[1]

    @property
    def slug(self) -> str:
        return self.id.split("/")[2]

    def sets(self, group: int, name: str) -> bool:
        """Whether a hyper-parameter of a group is true at any step."""
        changes = (step.hyper[group] for step in self.steps)
        return any(bool(hyper.get(name)) for hyper in (self.groups[group], *changes))


ANSWERS = ("expect", "bound", "allow")
"""Members that say what is right: a run must not see them."""


def read_theme(file: Path) -> list:
    """The cases of DIALECT/THEME.yaml, with the arrays of the .npz beside it. Raises ValueError for another format."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = yaml.load(file.read_text(encoding="utf-8"), loader)
    if document["format"] != FORMAT:
        raise ValueError(f"{file}: format {document['format']} is unknown, this runner reads format {FORMAT}")
    with np.load(file.with_suffix(".npz"), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files if name.split("/")[1].split(".")[0] not in ANSWERS}
    return [_case(entry, arrays) for entry in document["cases"]]


def _case(entry: dict, arrays: dict) -> Case:
    slug = entry["id"].split("/")[2]
    params = tuple(_param(given, entry["dtype"], slug, arrays) for given in entry["params"])
    steps = [step for step in entry["steps"] for _ in range(step.get("repeat", 1))]
    return Case(
        id=entry["id"],
        dtype=entry["dtype"],
        layout=entry["layout"],
        params=params,
        groups=tuple(_hyper(group) for group in entry["groups"]),
        steps=tuple(_step(step, f"{slug}/grad.{t}", params, arrays, len(entry["groups"])) for t, step in enumerate(steps, start=1)),
        record=tuple(entry["record"]),
        error=entry.get("error"),
    )


def _hyper(given: dict) -> dict:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def _param(given: dict, dtype: str, slug: str, arrays: dict) -> Param:
    name = given["name"]
    state = {array: arrays[f"{slug}/{array}.{name}"] for array in STATE if f"{slug}/{array}.{name}" in arrays}
    value, dtypes = arrays[f"{slug}/param.{name}"], given.get("dtypes", {})
    return Param(name, value, given.get("group", 0), given.get("dtype", dtype), step=given.get("step", 0), dtypes=dtypes, **state)


def _step(step: dict, prefix: str, params: tuple, arrays: dict, groups: int) -> Step:
    gradients = {param.name: _gradient(step["gradients"][param.name], f"{prefix}.{param.name}", param, arrays) for param in params}
    return Step(gradients, tuple(_hyper(change) for change in step.get("hyper", [{}] * groups)))


def _gradient(given: str | dict, prefix: str, param: Param, arrays: dict) -> object:
    spec = {"form": given} if isinstance(given, str) else given
    shape = tuple(spec.get("shape", param.value.shape))
    forms = {
        "none": lambda: None,
        "dense": lambda: arrays[f"{prefix}.dense"],
        "rows": lambda: Rows(arrays[f"{prefix}.indices"], arrays[f"{prefix}.values"], shape),
        "elements": lambda: Elements(arrays[f"{prefix}.coords"], arrays[f"{prefix}.values"], shape),
    }
    return forms[spec["form"]]()


def _strided(array: np.ndarray) -> np.ndarray:
    if array.ndim == 0:
        return array.copy()
    view = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)[..., ::2]
    view[...] = array
    return view


def _read_only(array: np.ndarray) -> np.ndarray:
    copy = np.array(array, order="C")
    copy.setflags(write=False)
    return copy


LAYOUTS = {
    "contiguous": lambda array: np.array(array, order="C"),
    "strided": _strided,
    "read-only": _read_only,
    "fortran": lambda array: np.array(array, order="F"),
}


def handed_out(case: Case) -> Case:
    """A copy of a case that shares nothing with it, its arrays in the layout that it names."""
    lay = LAYOUTS[case.layout]

    def param(one: Param) -> Param:
        state = {array: lay(getattr(one, array)) for array in STATE if getattr(one, array) is not None}
        return replace(one, value=lay(one.value), **state)

    def gradient(one: object) -> object:
        if isinstance(one, np.ndarray):
            return lay(one)
        return one if one is None else replace(one, **{name: lay(array) for name, array in arrays_of(one).items()})

    steps = (Step({name: gradient(one) for name, one in step.gradients.items()}, tuple(map(dict, step.hyper))) for step in case.steps)
    return replace(case, params=tuple(map(param, case.params)), groups=tuple(map(dict, case.groups)), steps=tuple(steps))


def arrays_of(gradient: object) -> dict:
    """The arrays of a gradient by name."""
    if gradient is None:
        return {}
    if isinstance(gradient, np.ndarray):
        return {"dense": gradient}
    return {name: array for name, array in vars(gradient).items() if name != "shape"}


def outside(case: Case) -> bool:
    """Whether a gradient has a row or element number outside its parameter: some frameworks write there."""
    return any(_strays(step.gradients[param.name], param.value.shape) for step in case.steps for param in case.params)


def _strays(gradient: object, shape: tuple[int, ...]) -> bool:
    if isinstance(gradient, Rows):
        return _outside(gradient.indices, shape[0] if shape else 1)
    return isinstance(gradient, Elements) and any(map(_outside, gradient.coords, shape))


def _outside(numbers: np.ndarray, size: int) -> bool:
    return bool(numbers.size) and bool(numbers.min() < 0 or numbers.max() >= size)
