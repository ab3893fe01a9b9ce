"""PyTorch under torch.distributed: real processes conform, and a wrong reduction is refused by the moments and named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from judging_runs import causes

pytest.importorskip("torch.distributed")

from refimpl.backends._rank_pool import RankError, RankPool
from refimpl.backends.execute import execute
from refimpl.backends.outcome import End, Outcome
from refimpl.backends.torch_distributed import RANK, VARIANTS, DistributedBackend, differences, factory
from refimpl.case import Golden, Step
from refimpl.errors import Unsupported, UsageError
from refimpl.judging.compare import judge
from refimpl.judging.verdict import Status
from refimpl.vectors import read_vectors
from refimpl.vectors.places import here


@pytest.fixture(scope="module")
def pool() -> Iterator[list[RankPool]]:
    """The processes of all tests of this module: they are started once, and again where a test has ended them."""
    kept: list[RankPool] = []
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([os.path.dirname(__file__), before])  # the hooks are imported by the ranks
    yield kept
    os.environ["PYTHONPATH"] = before
    for one in kept:
        one.close()


def backend(pool: list[RankPool], variant: str = "ddp", hook: str = "") -> DistributedBackend:
    """A backend on the processes that are there."""
    made = factory(variant, hook and f"wrong_hooks:{hook}")
    if not pool or pool[-1].closed:
        pool.append(RankPool(3, RANK))
    made._pool = pool[-1]
    return made


def golden_of(id: str) -> Golden:
    (golden,) = read_vectors(here(), [id.split("/")[0]], [id])
    return golden


def status(golden: Golden, outcome: Outcome) -> Status:
    return judge(golden, outcome, "exact-ieee").status


SLUGS = {
    "torch.SparseAdam": ("duplicates", "empty", "several", "another-number", "summed"),
    "torch.Adam": ("idle", "several", "another-number", "summed", "resumed"),
    "torch.AdamW": ("uneven",),
}
"""The cases that each route runs here; `refimpl check torch-distributed` runs them all."""


@pytest.mark.parametrize(("variant", "name"), [(variant, name) for variant, (_, names) in VARIANTS.items() for name in names])
@pytest.mark.sampled(4)
def test_every_route_conforms(pool: list[RankPool], variant: str, name: str) -> None:
    for slug in SLUGS[name]:
        golden = golden_of(f"{name}/ranks/{slug}")
        assert status(golden, execute(backend(pool, variant), golden)) is Status.PASSED, slug


def test_a_case_without_ranks_runs_on_one(pool: list[RankPool]) -> None:
    golden = golden_of("torch.SparseAdam/duplicates/pair")
    assert status(golden, execute(backend(pool), golden)) is Status.PASSED


def test_a_right_hook_conforms(pool: list[RankPool]) -> None:
    golden = golden_of("torch.AdamW/ranks/uneven")
    assert judge(golden, execute(backend(pool, hook="averaging"), golden), "tensor-faithful").status is Status.PASSED


@pytest.mark.parametrize(("hook", "cause"), [("summing", "ranks-summed"), ("halving", "ranks-averaged-twice")])
@pytest.mark.parametrize("id", ["torch.SparseAdam/ranks/duplicates", "torch.Adam/ranks/two"])
def test_a_hook_that_reduces_wrongly_is_refused_by_the_moments_and_named(pool: list[RankPool], id: str, hook: str, cause: str) -> None:
    golden = golden_of(id)
    outcome = execute(backend(pool, hook=hook), golden)
    verdict = judge(golden, outcome, "tensor-approx")
    assert verdict.status is Status.FAILED
    moments = replace(golden, expected={name: {"exp_avg": arrays["exp_avg"]} for name, arrays in golden.expected.items()})
    assert judge(moments, outcome, "tensor-approx").status is Status.FAILED
    assert causes([golden], [outcome])[0].deviations == (cause,)


def test_a_rank_that_silently_differs_is_named(pool: list[RankPool]) -> None:
    golden = golden_of("torch.Adam/ranks/two")
    outcome = execute(backend(pool, hook="keeping"), golden)
    assert outcome.end is End.RAISED
    assert "rank 1 differs from rank 0: param of 'w' [0, 0]" in outcome.message


@pytest.mark.parametrize(("hook", "said"), [("failing", "rank 1: ValueError: no more memory on this rank"), ("ending", "exit status 9")])
def test_the_error_of_a_rank_is_that_of_the_case_and_the_next_case_has_new_processes(pool: list[RankPool], hook: str, said: str) -> None:
    golden = golden_of("torch.Adam/ranks/two")
    own = backend(pool, hook=hook)
    before = own._pool
    outcome = execute(own, golden)
    assert outcome.end is End.RAISED
    assert "rank 1" in outcome.message
    assert said in outcome.message
    assert before is not None
    assert before.closed
    assert not any(process.is_alive() for process in before._processes)


def test_an_error_of_every_rank_leaves_the_processes_as_they_are(pool: list[RankPool]) -> None:
    golden = golden_of("torch.Adam/ranks/two")
    outcome = execute(backend(pool, hook="nowhere"), golden)
    assert "rank 0: AttributeError" in outcome.message
    assert not pool[-1].closed
    assert status(golden, execute(backend(pool), golden)) is Status.PASSED


@pytest.mark.parametrize("world", [1, 2, 3])
def test_one_batch_on_any_number_of_ranks_gives_the_same_within_the_bound(pool: list[RankPool], world: int) -> None:
    """The occurrences of the case `summed`, dealt out to one, two or three ranks: the expectation stays that of the case."""
    golden = golden_of("torch.SparseAdam/ranks/summed")
    steps = []
    for step in golden.case.steps:
        whole: Any = step.gradients["w"]
        shares = [replace(whole, indices=whole.indices[rank::world], values=whole.values[rank::world]) for rank in range(world)]
        steps.append(Step.of_ranks([{"w": share} for share in shares], step.hyper))
    dealt = replace(golden, case=replace(golden.case, steps=tuple(steps)))
    assert status(golden, execute(backend(pool), dealt)) is Status.PASSED


def test_another_number_of_ranks_without_a_reload_is_an_error(pool: list[RankPool]) -> None:
    golden = golden_of("torch.SparseAdam/ranks/another-number")
    steps = tuple(replace(step, reload=False) for step in golden.case.steps)
    outcome = execute(backend(pool), replace(golden, case=replace(golden.case, steps=steps)))
    assert "a step of 3 ranks follows one of 2" in outcome.message


def test_what_it_does_not_run_is_unsupported(pool: list[RankPool]) -> None:
    golden = golden_of("torch.SparseAdam/ranks/by-occurrences")
    assert execute(backend(pool), golden).end is End.UNSUPPORTED
    vector = golden_of("torch.SparseAdam/ranks/two").case
    flat = replace(vector, params=(replace(vector.params[0], value=np.zeros(4, np.float32)),))
    with pytest.raises(Unsupported, match="two dimensions"):
        backend(pool).start(flat)
    with pytest.raises(Unsupported, match=r"no torch\.SparseAdam"):
        backend(pool, "fsdp").start(vector)


@pytest.mark.parametrize(
    ("options", "said"), [({"variant": "horovod"}, "no variant 'horovod'"), ({"hook": "summing"}, "no hook 'summing'")]
)
def test_wrong_options_are_refused_with_what_there_is(options: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        factory(**options)


def test_differences_name_rank_array_and_place() -> None:
    ones = {"w": {"param": np.ones((2, 2), np.float32)}}
    other = {"w": {"param": np.array([[1, 1], [1, 1.5]], np.float32)}}
    assert list(differences([ones, ones, {}])) == []
    assert list(differences([{}, ones, other])) == ["rank 2 differs from rank 1: param of 'w' [1, 1] is 1.5, and 1.0 on the other"]


def test_a_closed_pool_answers_no_more(pool: list[RankPool]) -> None:
    backend(pool)
    pool[-1].close()
    with pytest.raises(RankError, match="ended by an earlier error"):
        pool[-1].ask({0: ("state",)}, 1.0)
