"""Implementations that refimpl has never seen: every right one passes, every wrong one fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import variants

from refimpl.backends.execute import execute
from refimpl.case import Golden
from refimpl.judging.compare import judge
from refimpl.judging.verdict import CaseVerdict, Status


def verdicts(run: type, goldens: list[Golden]) -> Iterator[CaseVerdict]:
    backend = variants.Variant(run)
    return (judge(golden, execute(backend, golden), "tensor-faithful") for golden in goldens)


@pytest.mark.parametrize("run", variants.RIGHT, ids=lambda run: run.__name__)
def test_a_right_implementation_passes_every_case_that_it_supports(run: type, core: dict[str, list[Golden]]) -> None:
    judged = list(verdicts(run, core["torch.SparseAdam"]))
    assert [one.case_id for one in judged if one.status not in (Status.PASSED, Status.UNSUPPORTED)] == []
    assert sum(one.status is Status.PASSED for one in judged) > 150


@pytest.mark.parametrize("run", variants.WRONG, ids=lambda run: run.__name__)
def test_a_wrong_implementation_fails(run: type, core: dict[str, list[Golden]]) -> None:
    assert any(one.status in (Status.FAILED, Status.ERROR) for one in verdicts(run, core["torch.SparseAdam"]))


def test_scalars_in_float32_cost_the_exact_class(core: dict[str, list[Golden]]) -> None:
    assert {one.attained for one in verdicts(variants.PowersInFloat32, core["torch.SparseAdam"])} >= {"tensor-faithful", "exact-ieee"}
