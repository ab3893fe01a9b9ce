"""Measuring the corpus again: live is what the diagnosis names in the version that is recorded, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from conftest import VECTORS
from toy_peer import HERE, runs, toy

from refimpl.dialects.corpus import Entry, Instance
from refimpl.vectors import read_vectors

measure_corpus: Any = import_module("measure_corpus")

LAST_WINS = Instance("toy", "7.1", "measured", "vectors/peers/toy.json", "toy", "lazy", "torch.SparseAdam")
BACKEND = """
from functools import partial
from refimpl.backends.reference import factory as reference
factory = partial(reference, deviations="DEVIATION")
"""


def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, computes: str = "duplicates-last-wins", version: str = "7.1") -> int:
    """Measure `duplicates-last-wins` in a toy whose backend computes something."""
    (tmp_path / "toy_backend.py").write_text(BACKEND.replace("DEVIATION", computes))
    monkeypatch.setattr(runs, "BACKENDS", tmp_path)
    peer = replace(toy(tmp_path), backend="toy_backend:factory")
    entry = Entry("duplicates-last-wins", "", "B", (LAST_WINS,), ())
    goldens = list(read_vectors(VECTORS, ["torch.SparseAdam"], ["*/duplicates/pair", "*/duplicates/sorted", "*/basics/one-step"]).goldens)
    for name, value in {
        "find_peer": lambda name: peer,
        "make_environment": lambda *arguments: replace(HERE, version=version),
        "selected": lambda names, packages: [entry],
        "kept": lambda instance: {},
        "cases": lambda name, instance, judged: goldens,
    }.items():
        monkeypatch.setattr(measure_corpus, name, value)
    code: int = measure_corpus.main(["--package", "toy", "--work", str(tmp_path)])
    return code


def test_a_deviation_that_the_diagnosis_names_is_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measured(tmp_path, monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "duplicates-last-wins: live in toy 7.1, route lazy judged by torch.SparseAdam" in printed
    assert "it explains 2 of 2 failures of 3 cases" in printed


@pytest.mark.parametrize("computes", ["duplicates-first-wins", ""])
def test_another_deviation_or_none_is_not_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], computes: str
) -> None:
    assert measured(tmp_path, monkeypatch, computes) == 1
    assert "duplicates-last-wins: NOT live in toy 7.1" in capsys.readouterr().out


def test_another_version_is_not_what_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measured(tmp_path, monkeypatch, version="7.2") == 1
    assert "toy 7.1 (installed: 7.2)" in capsys.readouterr().out


def test_the_cases_are_those_of_the_themes_that_showed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = {
        "deviations": [
            {"id": "duplicates-last-wins", "first": ["torch.SparseAdam/duplicates/pair", "torch.SparseAdam/duplicates/sorted"]},
            {"id": "eps-dropped", "first": ["torch.SparseAdam/eps/eps-one"]},
            {"id": "duplicates-last-wins", "first": ["torch.SparseAdam/sizes/one"]},
        ]
    }
    monkeypatch.setattr(measure_corpus.gen, "compute", lambda work: [work])
    made = measure_corpus.cases("duplicates-last-wins", LAST_WINS, judged)
    assert made == [("torch.SparseAdam", "duplicates", ()), ("torch.SparseAdam", "sizes", ())]


def test_what_was_kept_is_read_from_its_source() -> None:
    instance = Instance("thinc", "9.1.1", "measured", "vectors/peers/thinc.json", "thinc", "radam", "thinc.RAdam")
    assert [entry["id"] for entry in measure_corpus.kept(instance)["deviations"]] == ["counter-one-ahead"]
    assert json.loads((VECTORS / "peers" / "thinc.json").read_text())["version"] == "9.1.1"


def test_what_is_only_read_cannot_be_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert measure_corpus.main(["--deviation", "eps-subtracted"]) == 2
    assert "nothing of this was measured" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [(), ("--all", "--package", "thinc")])
def test_something_must_be_chosen(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        measure_corpus.main(arguments)
    assert ended.value.code == 2
    assert "say what to measure" in capsys.readouterr().err
