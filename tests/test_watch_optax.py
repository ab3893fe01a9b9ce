"""Watch around optax: right and wrong transformations, eager, in a chain and behind a jitted step. In an environment with jax and optax."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("optax", reason="optax is not installed")

import jax
import optax

from refimpl import watch
from refimpl.errors import UsageError
from refimpl.watch._session import Failure, WatchError

PARAMS = {"dense": {"w": np.linspace(-1, 1, 60, dtype=np.float32).reshape(12, 5)}, "b": np.zeros(7, np.float32)}


def params() -> Any:
    return jax.tree.map(jax.numpy.asarray, PARAMS)


def gradients(k: int) -> Any:
    random = np.random.default_rng(k)
    return jax.tree.map(lambda x: jax.numpy.asarray((random.normal(size=x.shape) * 10.0 ** (k % 5 - 3)).astype(np.float32)), PARAMS)


def train(transformation: Any, watched: Any, steps: int = 5) -> Any:
    """Eager calls through the watch."""
    now, state = params(), transformation.init(params())
    for k in range(steps):
        updates, state = watched.update(gradients(k), state, now)
        now = optax.apply_updates(now, updates)
    return watched.report()


SCHEDULE: Any = optax.cosine_decay_schedule(1e-2, 20)
RIGHT: dict[str, tuple[Any, dict[str, Any]]] = {
    "optax.adam": (lambda: optax.adam(1e-3, b1=0.8, eps_root=1e-8), {"learning_rate": 1e-3, "b1": 0.8, "eps_root": 1e-8}),
    "optax.adamw": (lambda: optax.adamw(SCHEDULE, weight_decay=0.1), {"learning_rate": SCHEDULE, "weight_decay": 0.1}),
    "optax.nadam": (lambda: optax.nadam(1e-3), {"learning_rate": 1e-3}),
    "optax.radam": (lambda: optax.radam(1e-3), {"learning_rate": 1e-3}),
    "optax.adamax": (lambda: optax.adamax(1e-3), {"learning_rate": 1e-3}),
}


@pytest.mark.parametrize("name", RIGHT)
def test_optax_is_right_eager_and_jitted(name: str) -> None:
    make, stated = RIGHT[name]
    transformation: Any = make()
    report = train(transformation, watch.optax(transformation, name, stated, on_failure="raise"))
    assert (report.exit_code, report.elements) == (0, 5 * 67)

    def plain(now: Any, state: Any, gradient: Any) -> Any:
        updates, state = transformation.update(gradient, state, now)
        return optax.apply_updates(now, updates), state

    step = jax.jit(plain)

    now, state = params(), transformation.init(params())
    rate = jax.jit(stated["learning_rate"]) if callable(stated["learning_rate"]) else None
    with watch.optax(transformation, name, stated, on_failure="raise", every=2) as watched:
        for k in range(6):
            new, new_state = step(now, state, gradients(k))
            watched.judge(gradients(k), state, now, new_state, new, {"learning_rate": rate(k)} if rate else None)
            now, state = new, new_state
    assert [judgement.number for judgement in watched.report().judged] == [1, 3, 5]
    assert watched.report().exit_code == 0


def test_another_learning_rate_than_the_stated_one_is_wrong() -> None:
    seen: list[Failure] = []
    transformation = optax.adam(2e-3)
    report = train(transformation, watch.optax(transformation, "optax.adam", {"learning_rate": 1e-3}, on_failure=seen.append), 1)
    assert report.exit_code == 1
    assert "call 1 of optax.adam is not what optax.adam gives" in str(seen[0])


def test_the_number_of_a_schedule_in_a_jitted_step_is_read_and_never_computed() -> None:
    """In Python the 37th number of this schedule is 2.4e-6 away from that in a jitted step: more than the bound."""
    schedule = optax.cosine_decay_schedule(float(10**-0.5), 40)
    assert float(schedule(36)) != float(jax.jit(schedule)(36))
    plain, injected = optax.adamax(schedule), optax.inject_hyperparams(optax.adamax)(learning_rate=schedule)
    jitted = optax.GradientTransformation(plain.init, jax.jit(plain.update))
    state = plain.init(params())
    stated = {"learning_rate": schedule}
    with pytest.raises(UsageError, match="learning_rate is a schedule"):
        watch.optax(plain, "optax.adamax", stated).judge(gradients(0), state, params(), state, params())
    with pytest.raises(UsageError, match="learning_rate is a schedule"):
        watch.optax(jitted, "optax.adamax", stated).update(gradients(0), state, params())
    step = jax.jit(injected.update)
    now, state = params(), injected.init(params())
    with watch.optax(injected, "optax.adamax", {}, on_failure="raise") as watched:
        for k in range(40):
            updates, new_state = step(gradients(k), state, now)
            new = optax.apply_updates(now, updates)
            watched.judge(gradients(k), state, now, new_state, new)
            now, state = new, new_state
    assert watched.report().exit_code == 0


def test_moments_that_stand_still_are_wrong() -> None:
    transformation = optax.adam(1e-3)
    now, state = params(), transformation.init(params())
    watched = watch.optax(transformation, "optax.adam", {"learning_rate": 1e-3}, on_failure="raise")
    with pytest.raises(WatchError, match="step count of"):
        watched.judge(gradients(0), state, now, state, now)


def test_what_is_injected_is_read_in_the_state_and_a_mask_by_a_function_of_the_name() -> None:
    injected = optax.inject_hyperparams(optax.adamw)(learning_rate=optax.linear_schedule(1e-2, 1e-3, 4), weight_decay=0.2)
    assert train(injected, watch.optax(injected, "optax.adamw", {}, on_failure="raise")).exit_code == 0
    masked = optax.adamw(1e-2, weight_decay=0.5, mask={"dense": {"w": True}, "b": False})
    rate = {"learning_rate": 1e-2}
    with pytest.raises(UsageError, match="holds MaskedState"):
        train(masked, watch.optax(masked, "optax.adamw", {**rate, "weight_decay": 0.5}))
    by_name = lambda name: {**rate, "weight_decay": 0.0 if name == "b" else 0.5}  # noqa: E731
    assert train(masked, watch.optax(masked, "optax.adamw", by_name, on_failure="raise")).exit_code == 0


def test_it_stands_in_a_chain_behind_a_clip() -> None:
    adam = optax.adam(1e-2)
    watched = watch.optax(adam, "optax.adam", {"learning_rate": 1e-2}, on_failure="raise")
    chain = optax.chain(optax.clip(0.01), watched)
    now, state = params(), chain.init(params())
    for k in range(3):
        updates, state = chain.update(gradients(k), state, now)
        now = optax.apply_updates(now, updates)
    assert watched.report().exit_code == 0
    assert watched.report().session.calls == 3


def test_what_cannot_be_judged_is_refused_or_noted() -> None:
    adam = optax.adam(1e-2)
    rate = {"learning_rate": 1e-2}
    for dialect, stated, words in (
        ("torch.Adam", {}, "no dialect of optax"),
        ("optax.adam", {"lr": 1.0}, "no parameter"),
    ):
        with pytest.raises(UsageError, match=words):
            watch.optax(adam, dialect, stated)
    for transformation, stated, words in (
        (adam, {}, "no learning rate is stated"),
        (optax.sgd(1e-2), rate, "has 0 states with moments"),
        (optax.MultiSteps(adam, 2).gradient_transformation(), rate, "holds MultiStepsState"),
    ):
        with pytest.raises(UsageError, match=words):
            train(transformation, watch.optax(transformation, "optax.adam", stated))
    watched = watch.optax(adam, "optax.adam", rate)
    with pytest.raises(UsageError, match="traced"):
        jax.jit(watched.update)(gradients(0), adam.init(params()), params())
    with pytest.raises(UsageError, match="numbers from 1 on"):
        watch.optax(adam, "optax.adam", rate, every=0)
    assert watched.report().exit_code == 3
