"""refimpl.diff._measured: which cases a pair is compared on, and where what is expected of them comes from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_vectors

from refimpl.case import Case, Param
from refimpl.dialects import dialect
from refimpl.diff import _measured as module
from refimpl.diff._measured import cases_of, is_taken, measured_cases
from refimpl.oracle import Expectations, expectations
from refimpl.reference import scheduled

SPARSE = dialect("torch.SparseAdam")


def test_the_cases_are_those_of_both_dialects_and_mixtures() -> None:
    keras, torch = dialect("keras.Adam"), dialect("torch.Adam")
    cases = cases_of(keras, torch)
    assert {case.dialect for case in cases} == {"keras.Adam"}
    assert {case.id.split("/")[0] for case in cases} == {"keras.Adam", "torch.Adam"}
    assert {"counters", "pairs", "mixtures"} <= {case.theme for case in cases}
    slugs = [(case.theme, case.slug) for case in cases]
    assert len(set(slugs)) == len(slugs)


def test_a_case_of_the_other_comes_with_its_settings_in_the_names_of_this_one() -> None:
    keras, torch = dialect("keras.Adam"), dialect("torch.Adam")
    others = [case for case in cases_of(keras, torch, ("pairs",)) if case.id.startswith("torch.Adam/")]
    assert others
    for case in others:
        for hypers in scheduled(case):
            assert all(set(hyper) == set(keras.parameters) for hyper in hypers)
            assert all(not hyper["amsgrad"] or "amsgrad" in case.id for hyper in hypers)
    assert not any("maximize" in case.id for case in others)


def test_what_the_framework_does_not_take_is_left_out() -> None:
    lazy = dialect("mindspore.LazyAdam")
    ids = {case.slug for case in cases_of(lazy, None, ("counters",))}
    assert "three-parameters" in ids
    assert not ids & {"missing-in-turn", "late-parameter", "empty-first"}
    assert all(is_taken(case, lazy) for case in cases_of(lazy, None, ("groups", "schedules")))


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    small_vectors.write(tmp_path, "torch.SparseAdam/duplicates/pair", "torch.SparseAdam/duplicates/pair-first-row")
    monkeypatch.setattr(module, "VECTORS", tmp_path)
    return tmp_path


def counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    computed: list[str] = []

    def counted(case: Case) -> Expectations:
        computed.append(case.id)
        return expectations(case)

    monkeypatch.setattr(module, "expectations", counted)
    return computed


def test_what_the_vectors_expect_is_not_computed_again(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computed = counting(monkeypatch)
    ids = [case.id for case in measured_cases(SPARSE, None, ("duplicates",))]
    assert "torch.SparseAdam/duplicates/pair" in ids
    assert set(ids) - set(computed) == {"torch.SparseAdam/duplicates/pair"}


def test_a_stored_case_with_other_inputs_is_computed(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = cases_of(SPARSE, None, ("duplicates",))
    moved = [replace(case, params=tuple(Param(param.name, param.value + np.float32(1)) for param in case.params)) for case in real[:1]]
    monkeypatch.setattr(module, "cases_of", lambda *arguments: moved)
    computed = counting(monkeypatch)
    measured_cases(SPARSE)
    assert computed == [case.id for case in moved]


def test_without_vectors_everything_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VECTORS", tmp_path)
    computed = counting(monkeypatch)
    cases = measured_cases(SPARSE, None, ("touched",))
    assert computed == [case.id for case in cases]
