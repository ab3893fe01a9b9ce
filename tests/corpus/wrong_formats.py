"""Wrong: scalars, moments, roots, sums or parameters that pass through a narrower format than the tensors have."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np

from .dialects import ADAM, ALL, LAZY, SPARSE, Settings
from .hooks import Hooks, base, rounded, rounds_arrays, with_settings
from .implementation import Arrays, Call, Implementation
from .table import NO_CAUSE, Row, named, placed, wrong

TORCH = (SPARSE, ADAM)
NARROW = ("float16", "bfloat16")
NUMBERS = ("lr", "beta1", "beta2", "eps", "weight_decay")


def settings_in(format: str, *roles: str) -> Hooks:
    return with_settings(lambda run, slot, s: {role: rounded(getattr(s, role), format) for role in roles})


def all_scalars_in(format: str) -> Hooks:
    """Settings, powers and corrections; tensors have their own format."""

    def corrections(run: Implementation, call: Call) -> Any:
        kept = [rounded(rounded(beta, format) ** call.t, format) for beta in (call.s.beta1, call.s.beta2)]
        return tuple(rounded(1 - power, format) for power in kept)

    roles = [field.name for field in fields(type_of_settings()) if field.name in NUMBERS]
    return {
        **settings_in(format, *roles),
        "corrections": corrections,
        "step_size": lambda run, call: rounded(base.step_size(run, call), format),
    }


def type_of_settings() -> type[Settings]:
    from .dialects import Settings

    return Settings


def root_in(format: str, reciprocal: bool = False) -> Hooks:
    if not reciprocal:
        return {"root": lambda run, call, v: rounded(base.root(run, call, v), format)}

    def root(run: Implementation, call: Call, v: np.ndarray) -> Any:
        inverse = rounded(1 / np.sqrt(v), format)
        return np.where(v > 0, 1 / inverse, np.sqrt(v))

    return {"root": root}


def root_correction_in(format: str) -> Hooks:
    return {"corrections": lambda run, call: correct_root(base.corrections(run, call), format)}


def correct_root(corrections: tuple[float, float], format: str) -> tuple[float, float]:
    c1, c2 = corrections
    return c1, rounded(np.sqrt(c2), format) ** 2


def gradients_in(format: str) -> Hooks:
    def occurrences(run: Implementation, call: Call, gradient: Any) -> tuple[np.ndarray, np.ndarray]:
        rows, values = base.occurrences(run, call, gradient)
        return rows, rounded(values, format)

    return {"occurrences": occurrences}


def in_steps(array: str, bits: int) -> Hooks:
    """Each row of a moment is kept in so many bits, scaled to its largest element."""

    def store(run: Implementation, call: Call, rows: np.ndarray, new: Arrays) -> None:
        x = new[array]
        scale = np.abs(x).max(axis=1, keepdims=True) / ((1 << (bits - 1)) - 1)
        base.store(run, call, rows, {**new, array: (np.round(x / np.where(scale > 0, scale, 1)) * scale).astype(x.dtype)})

    return {"store": store}


def truncated(array: str) -> Hooks:
    """Rounded towards zero: the lower half of each float32 is cut off."""

    def store(run: Implementation, call: Call, rows: np.ndarray, new: Arrays) -> None:
        x = np.ascontiguousarray(new[array].astype(np.float32))
        cut = (x.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
        base.store(run, call, rows, {**new, array: cut.astype(new[array].dtype)})

    return {"store": store}


def stochastic(array: str) -> Hooks:
    """Rounded up or down to bfloat16 by chance."""

    def store(run: Implementation, call: Call, rows: np.ndarray, new: Arrays) -> None:
        x = np.ascontiguousarray(new[array].astype(np.float32))
        noise = np.random.default_rng(run.number).integers(0, 1 << 16, x.shape, dtype=np.uint32)
        cut = ((x.view(np.uint32) + noise) & np.uint32(0xFFFF0000)).view(np.float32)
        base.store(run, call, rows, {**new, array: cut.astype(new[array].dtype)})

    return {"store": store}


def change_in(format: str) -> Hooks:
    return {"change": lambda run, call, d, v: rounded(base.change(run, call, d, v), format)}


def from_new_value(run: Implementation, call: Call, old: np.ndarray, new: np.ndarray, beta: float) -> np.ndarray:
    """A moving average that rounds at the size of the new value, as compilers make of llm.c's without contraction."""
    return new - (new - old) * call.scalar(beta)


def powers_in(format: str) -> Hooks:
    return {"power": lambda run, call, beta: rounded(rounded(beta, format) ** call.t, format)}


row = partial(wrong, dialects=ALL)

# fmt: off
ROWS: tuple[Row, ...] = (
    *(row(f"{role}-in-{format}", f"{role} is rounded to {format}", "a state cast as a whole", named(f"{role}-in-{format}"), settings_in(format, role))
      for role in ("lr", "beta1", "beta2") for format in NARROW),
    *(row(f"eps-in-{format}", f"eps is rounded to {format}, where 1e-8 is {'0' if format == 'float16' else 'held'}", "optax 1754, chainer 6299",
          named(f"eps-in-{format}", "eps-dropped") if format == "float16" else named(f"eps-in-{format}"), settings_in(format, "eps"), cases=("eps/*", "basics/*")) for format in NARROW),
    *(row(f"scalars-in-{format}", f"settings, powers and corrections are in {format}", "half precision throughout", named(f"scalars-in-{format}"), all_scalars_in(format)) for format in NARROW),
    wrong("scalars-in-float32", "settings, powers and corrections are in float32 under float64 tensors", "tfa, keras, mxnet", named("scalars-in-float32"), all_scalars_in("float32"), dialects=TORCH),
    *(wrong(f"{role}-in-float32", f"{role} is rounded to float32 under float64 tensors", "a kernel's argument", named(f"{role}-in-float32"), settings_in("float32", role), dialects=TORCH)
      for role in ("lr", "beta1", "beta2", "eps")),
    wrong("betas-in-float32", "both betas are rounded to float32 under float64 tensors", "a kernel's arguments", named("beta1-in-float32", "beta2-in-float32", "scalars-in-float32"),
          settings_in("float32", "beta1", "beta2"), dialects=TORCH),
    wrong("powers-in-float32", "powers of the betas are in float32 under float64 tensors", "a state of powers", named("scalars-in-float32", "first-correction-in-float32", "second-correction-in-float32").or_none(),
          powers_in("float32"), dialects=TORCH),
    *(row(f"root-in-{format}", f"sqrt(v) is in {format}", "special function unit", named(f"root-in-{format}"), root_in(format)) for format in NARROW),
    *(row(f"reciprocal-root-in-{format}", f"1 / sqrt(v) is in {format}", "special function unit", named(f"root-in-{format}").or_none(), root_in(format, reciprocal=True)) for format in NARROW),
    wrong("root-in-float32", "sqrt(v) is in float32 under float64 tensors", "sqrtf", named("root-in-float32"), root_in("float32"), dialects=TORCH),
    *(row(f"root-correction-in-{format}", f"sqrt(c2) is in {format}", "a kernel's argument", named(f"root-correction-in-{format}"), root_correction_in(format)) for format in NARROW),
    wrong("root-correction-in-float32", "sqrt(c2) is in float32 under float64 tensors", "sqrtf", named("root-correction-in-float32", "scalars-in-float32"), root_correction_in("float32"), dialects=TORCH),
    *(row(f"moments-in-{format}", f"both moments are kept in {format}", "OpenTau 181, AReaL 1292", named(f"moments-in-{format}"), rounds_arrays(format, "exp_avg", "exp_avg_sq")) for format in NARROW),
    *(row(f"exp-avg-in-{format}", f"the first moment is kept in {format}", "memory saved", named(f"exp-avg-in-{format}"), rounds_arrays(format, "exp_avg")) for format in NARROW),
    *(row(f"exp-avg-sq-in-{format}", f"the second moment is kept in {format}", "memory saved", named(f"exp-avg-sq-in-{format}"), rounds_arrays(format, "exp_avg_sq")) for format in NARROW),
    *(row(f"params-in-{format}", f"the parameter is kept in {format}", "no master weights", named(f"params-in-{format}"), rounds_arrays(format, "param")) for format in NARROW),
    wrong("moments-in-float32", "both moments are kept in float32 under float64 parameters", "a state made as float32", named("moments-in-float32"), rounds_arrays("float32", "exp_avg", "exp_avg_sq"), dialects=TORCH),
    wrong("params-in-float32", "float64 parameters are kept in float32", "a kernel for float32 only", named("params-in-float32"), rounds_arrays("float32", "param"), dialects=TORCH),
    row("all-in-bfloat16", "parameter and moments are kept in bfloat16", "no master weights", named("state-in-bfloat16"),
        rounds_arrays("bfloat16", "param", "exp_avg", "exp_avg_sq")),
    *(row(f"gradients-in-{format}", f"gradients are rounded to {format}", "compressed communication", named(f"gradients-in-{format}"), gradients_in(format)) for format in NARROW),
    row("exp-avg-sq-truncated", "the second moment is cut to bfloat16, towards zero", "a cast by bits", named("exp-avg-sq-in-bfloat16"), truncated("exp_avg_sq")),
    row("exp-avg-sq-by-chance", "the second moment is rounded to bfloat16 by chance", "stochastic rounding", named("exp-avg-sq-in-bfloat16", "not-deterministic").or_none(), stochastic("exp_avg_sq")),
    row("exp-avg-in-8-bits", "the first moment is kept in 8 bits per element, scaled by row", "8-bit optimizers", NO_CAUSE, in_steps("exp_avg", 8)),
    row("change-in-bfloat16", "the change of the parameter is in bfloat16", "compressed communication", named("change-in-bfloat16"), change_in("bfloat16")),
    row("average-from-new", "moving averages are taken from the new value", "llm.c without contraction", placed("new value|from.new"), {"average": from_new_value}),
    wrong("moments-in-float16-lazily", "moments are kept in float16 in rows that are touched twice", "a cache of rows", named("moments-in-float16").or_none(),
          {"store": lambda run, call, rows, new: base.store(run, call, rows, {**new, **({a: rounded(new[a], "float16") for a in ("exp_avg", "exp_avg_sq")} if call.t > 1 else {})})},
          dialects=(SPARSE, LAZY)),
)
# fmt: on
