"""Cases that must be refused: where, by which errors, and their controls."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from backend_cases import Toy, ToyRun, case, elements, golden, rows, table

from refimpl.backends.execute import execute
from refimpl.backends.outcome import End, Outcome, Raised
from refimpl.backends.reference import factory
from refimpl.backends.refusals import bad_step, control, misplaced, run_with_control
from refimpl.case import Case, Golden, Step
from refimpl.errors import Unsupported
from refimpl.judging.compare import judge
from refimpl.judging.verdict import CaseVerdict, Status

DENSE = np.ones((4, 3), np.float32)
BAD_LR = case(rows([0]), groups=({"lr": -1.0},), error="invalid-lr")
BAD_LATER = case(rows([0]), rows([1]), changes={2: [{"lr": 0.0}]}, error="invalid-lr")
DENSE_LATER = case(rows([0]), DENSE, error="dense-gradient")


@pytest.mark.parametrize(
    ("made", "step"),
    [
        (case(rows([0])), None),
        (BAD_LR, 0),
        (BAD_LATER, 2),
        (DENSE_LATER, 2),
        (case(rows([0]), groups=({}, {"betas": (0.9, 1.0)})), 0),
        (case(rows([0]), groups=({"speed": 1},)), 0),
        (case(rows([0]), rows([4])), 2),
        (case(elements(([3], [0]), [1.0], shape=(5, 3))), 1),
        (case({"w": rows([0]), "u": rows([0])}), 1),
    ],
)
def test_what_must_be_refused_is_found_by_the_dialect_itself(made: Case, step: int | None) -> None:
    assert bad_step(made) == step


def test_every_case_of_the_set_that_must_be_refused_has_its_place_and_a_control_with_nothing_wrong(core: dict[str, list[Golden]]) -> None:
    made = [vector.case for goldens in core.values() for vector in goldens if vector.case.error is not None]
    assert len(made) > 50
    for refused in made:
        assert bad_step(refused) is not None, refused.id
        assert bad_step(control(refused).case) is None, refused.id
        assert control(refused).corrected, refused.id


@pytest.mark.parametrize(
    ("made", "corrected"),
    [
        (BAD_LR, "lr = 0.001"),
        (BAD_LATER, "lr = 0.001"),
        (DENSE_LATER, "a gradient by rows in step 2"),
        (case(DENSE[:2], name="torch.Adam"), "a dense gradient in step 1"),
        (case(rows([0]), groups=({"speed": 1, "eps": -1.0},)), "eps = 1e-08, no speed"),
        (case({"w": rows([0]), "u": rows([0])}), "no gradient of 'u' in step 1"),
    ],
)
def test_a_control_is_the_same_case_with_what_is_wrong_mended(made: Case, corrected: str) -> None:
    proper = control(made)
    assert proper.corrected == corrected
    assert (proper.case.id, proper.case.about, len(proper.case.steps)) == (made.id, made.about, len(made.steps))
    assert execute(factory(), golden(proper.case)).end is End.STATES


@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (2, 3, 4)])
def test_a_control_fits_parameters_of_every_shape(shape: tuple[int, ...]) -> None:
    made = case(np.ones(shape, np.float32), params=[table(shape=shape)])
    assert execute(factory(), golden(control(made).case)).end is End.STATES


@pytest.mark.parametrize(
    ("made", "step", "words"),
    [
        (BAD_LR, 0, ""),
        (BAD_LR, 1, ""),
        (BAD_LATER, 2, ""),
        (DENSE_LATER, 2, ""),
        (DENSE_LATER, 0, "raised in start, before anything was wrong: what must be refused comes in step 2"),
        (DENSE_LATER, 1, "raised in step 1, before anything was wrong"),
        (replace(DENSE_LATER, steps=DENSE_LATER.steps * 2), 3, "raised in step 3, after it had accepted what must be refused in step 2"),
        (replace(BAD_LR, steps=BAD_LR.steps * 2), 2, "raised in step 2, after it had accepted what must be refused in start"),
    ],
)
def test_an_error_refuses_only_what_is_wrong_at_its_place(made: Case, step: int, words: str) -> None:
    said = misplaced(made, Raised("step", step, ("ValueError", "Exception")))
    assert said.startswith(words)
    assert bool(said) == bool(words)


MISTAKES: list[type[Exception]] = [
    NameError,
    UnboundLocalError,
    AttributeError,
    ImportError,
    ModuleNotFoundError,
    SyntaxError,
    RecursionError,
    MemoryError,
]
REFUSALS: list[type[Exception]] = [
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    RuntimeError,
    NotImplementedError,
    AssertionError,
    OSError,
    OverflowError,
]


def raising(error: type[Exception], first: int = 1) -> Any:
    """A backend that raises in its step `first` and in every one after it, whatever it is given."""

    def before_step(self: Toy, run: ToyRun, step: Step) -> None:
        if run.calls >= first:
            raise error("on principle")

    return type("Raising", (Toy,), {"before_step": before_step})()


def verdict(backend: Any, made: Case) -> CaseVerdict:
    outcome = run_with_control(golden(made), lambda vector: execute(backend, vector))
    return judge(golden(made), outcome, "tensor-approx")


@pytest.mark.parametrize("made", [BAD_LR, DENSE_LATER])
@pytest.mark.parametrize("error", MISTAKES + REFUSALS)
@pytest.mark.parametrize("first", [1, 2])
def test_a_backend_that_raises_whatever_it_is_given_refuses_nothing(made: Case, error: type[Exception], first: int) -> None:
    assert verdict(raising(error, first), made).status is Status.FAILED


@pytest.mark.parametrize("error", MISTAKES + REFUSALS)
def test_a_backend_whose_start_always_raises_refuses_nothing(error: type[Exception]) -> None:
    def start(self: Toy, made: Case) -> None:
        raise error("on principle")

    judged = verdict(type("Raising", (Toy,), {"start": start})(), BAD_LR)
    assert judged.status is Status.FAILED
    assert ("the program is broken" if error in MISTAKES else "it refuses lr = 0.001 as well") in judged.reason


def lr_of(made: Case) -> Any:
    return made.groups[0].hyper["lr"]


def refusing_lr(error: type[Exception]) -> Any:
    def start(self: Toy, made: Case) -> ToyRun:
        if lr_of(made) <= 0:
            raise error("bad lr")
        return Toy.start(self, made)

    return type("Refusing", (Toy,), {"start": start})()


@pytest.mark.parametrize("error", REFUSALS)
def test_an_error_for_what_is_wrong_alone_is_a_refusal(error: type[Exception]) -> None:
    judged = verdict(refusing_lr(error), BAD_LR)
    assert (judged.status, judged.reason) == (Status.PASSED, f"refused: {error('bad lr').__class__.__name__}: {error('bad lr')} (in start)")


@pytest.mark.parametrize("error", MISTAKES)
def test_a_mistake_of_the_program_refuses_nothing_even_where_it_comes_in_time(error: type[Exception]) -> None:
    judged = verdict(refusing_lr(error), BAD_LR)
    assert judged.status is Status.FAILED
    assert f"a {error.__name__} in start refuses nothing" in judged.reason


def test_a_backend_that_refuses_by_the_id_also_refuses_the_control() -> None:
    def start(self: Toy, made: Case) -> ToyRun:
        if "/made/" in made.id:
            raise ValueError("as expected")
        return Toy.start(self, made)

    assert verdict(type("Reading", (Toy,), {"start": start})(), BAD_LR).status is Status.FAILED


def test_a_control_that_is_unsupported_leaves_the_refusal_unsupported() -> None:
    def start(self: Toy, made: Case) -> None:
        raise ValueError("bad lr") if lr_of(made) < 0 else Unsupported("not this either")

    judged = verdict(type("Picky", (Toy,), {"start": start})(), BAD_LR)
    assert judged.status is Status.UNSUPPORTED
    assert "the same case with lr = 0.001 is unsupported (not this either)" in judged.reason


def test_a_state_that_raises_is_no_refusal() -> None:
    judged = verdict(type("Blind", (Toy,), {"state": lambda self, run: 1 / 0})(), BAD_LR)
    assert judged.status is Status.ERROR
    assert "in state after step 1" in judged.reason


def test_no_control_is_run_for_other_cases() -> None:
    seen = []

    def run(vector: Golden) -> Outcome:
        seen.append(vector)
        return execute(raising(ValueError), vector)

    run_with_control(golden(case(rows([0]))), run)
    assert len(seen) == 1
