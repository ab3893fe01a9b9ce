"""Watch around the optimizers of Keras 3, on the backend that KERAS_BACKEND names. In an environment with Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras", reason="Keras 3 is not installed")

import keras

from refimpl import watch
from refimpl.errors import UsageError
from refimpl.watch._session import Failure

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in Keras itself


def train(optimizer: Any, run_eagerly: bool = True, **options: Any) -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Input((6,)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(3)])
    model.compile(optimizer=optimizer, loss="mse", run_eagerly=run_eagerly)
    random = np.random.default_rng(0)
    inputs, targets = random.normal(size=(64, 6)).astype(np.float32), random.normal(size=(64, 3)).astype(np.float32)
    with watch.keras(optimizer, **{"on_failure": "raise", **options}) as watched:
        model.fit(inputs, targets, batch_size=16, verbose=0)
    assert "apply" not in optimizer.__dict__
    return watched.report()


def spared() -> Any:
    optimizer = keras.optimizers.AdamW(1e-2, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


RIGHT: dict[str, Any] = {
    "Adam": lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, 8), amsgrad=True),
    "AdamW": spared,
    "Adamax": lambda: keras.optimizers.Adamax(1e-2),
    "Nadam": lambda: keras.optimizers.Nadam(1e-2),
}


@pytest.mark.parametrize("name", RIGHT)
def test_keras_is_right(name: str) -> None:
    report = train(RIGHT[name]())
    assert (report.exit_code, len(report.judged)) == (0, 4)
    assert report.elements == 4 * 83
    assert report.session.dialects == {f"keras.{name}"}


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras over torch compiles nothing")
def test_a_compiled_step_is_noted_and_never_called_right() -> None:
    report = train(keras.optimizers.Adam(), run_eagerly=False)
    assert report.exit_code == 3
    assert any("compiles" in words for words in report.session.notes)


class Halved(keras.optimizers.Adam):  # type: ignore[misc]  # Keras is not in the environment of mypy
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        super().update_step(gradient * 0.5, variable, learning_rate)


def test_a_wrong_step_is_named() -> None:
    seen: list[Failure] = []
    report = train(Halved(1e-2), dialect="keras.Adam", on_failure=seen.append, every=4)
    assert report.exit_code == 1
    assert "CAUSE gradient-scaled: gradients are multiplied by 1/2" in str(seen[0])


def test_a_product_of_momenta_that_is_another_is_not_judged() -> None:
    optimizer = keras.optimizers.Nadam(1e-2)
    variable = keras.Variable(np.ones((3, 2), np.float32))
    gradient = keras.ops.convert_to_tensor(np.ones((3, 2), np.float32))
    optimizer.apply([gradient], [variable])
    optimizer._u_product.assign(optimizer._u_product * 0.9)
    with watch.keras(optimizer, on_failure="raise") as watched:
        optimizer.apply([gradient], [variable])
    assert watched.report().exit_code == 3
    assert any("_u_product" in words for words in watched.report().session.notes)


@pytest.mark.parametrize(
    ("optimizer", "options", "words"),
    [
        (lambda: keras.optimizers.SGD(), {}, "knows no exact step"),
        (lambda: keras.optimizers.Adam(clipnorm=1.0), {}, "with clipnorm"),
        (lambda: keras.optimizers.Adam(gradient_accumulation_steps=2), {}, "with gradient_accumulation_steps"),
        (lambda: keras.optimizers.Adam(lambda: 1e-3), {}, "learning rate is a function"),
        (lambda: Halved(), {}, "knows no exact step"),
        (lambda: Halved(), {"dialect": "torch.Adam"}, "none of Keras"),
        (lambda: object(), {}, "no keras"),
    ],
)
def test_what_cannot_be_watched_is_refused_with_a_reason(optimizer: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        watch.keras(optimizer(), **options)


def test_variables_of_float64_and_constrained_ones_are_left_out_and_noted() -> None:
    wide = keras.Variable(np.ones(3), dtype="float64") if keras.backend.backend() != "jax" else None
    bound = keras.Variable(np.ones(3, np.float32), name="bound")
    bound.constraint = keras.constraints.NonNeg()
    variables = [variable for variable in (wide, bound) if variable is not None]
    optimizer = keras.optimizers.Adam()
    with watch.keras(optimizer, on_failure="raise") as watched:
        optimizer.apply([keras.ops.ones(3, dtype=variable.dtype) for variable in variables], variables)
    assert len(watched.report().session.notes) == len(variables)
    assert watched.report().exit_code == 3
