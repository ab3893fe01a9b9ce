"""`gen`: what it selects, that it writes the same bytes again, and what --check finds."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from conftest import VECTORS

from refimpl import gen
from refimpl.vectors import read_vectors

ONE_THEME = ["--dialect", "torch.SparseAdam", "--case", "*/duplicates/pair*", "--jobs", "1"]


def digest(directory: Path) -> dict[str, str]:
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_command_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert gen.main(["--out", str(tmp_path / name), *ONE_THEME]) == 0
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_processes_do_not_change_the_bytes(tmp_path: Path) -> None:
    assert gen.main(["--out", str(tmp_path / "one"), *ONE_THEME]) == 0
    assert gen.main(["--out", str(tmp_path / "two"), *ONE_THEME[:-1], "2"]) == 0
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_check_agrees_with_what_was_written_and_writes_nothing(tmp_path: Path) -> None:
    gen.main(["--out", str(tmp_path), *ONE_THEME])
    before = digest(tmp_path)
    assert gen.main(["--out", str(tmp_path), "--check", *ONE_THEME]) == 0
    assert digest(tmp_path) == before


def test_the_vectors_of_this_repository_are_what_gen_writes() -> None:
    for golden in [golden for work in WORKS for golden in gen.compute(work)]:
        (kept,) = read_vectors(VECTORS, [golden.case.dialect], [golden.case.id]).goldens
        assert kept.case.catches == golden.case.catches
        for name, arrays in golden.expected.items():
            for array, expected in arrays.items():
                assert np.array_equal(kept.expected[name][array].value, expected.value, equal_nan=True)
                for numerics_class, bound in expected.bound.items():
                    assert np.array_equal(kept.expected[name][array].bound[numerics_class], bound)


WORKS = [
    ("torch.SparseAdam", "duplicates", ("*/neighbours",)),
    ("torch.Adam", "options", ("*/amsgrad-falling",)),
    ("mindspore.LazyAdam", "ranges", ("*/square-overflows",)),
]


def test_check_prints_a_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gen.main(["--out", str(tmp_path), *ONE_THEME])
    path = tmp_path / "torch.SparseAdam" / "duplicates.yaml"
    path.write_text(path.read_text().replace("another between", "none between"))
    assert gen.main(["--out", str(tmp_path), "--check", *ONE_THEME]) == 1
    assert "duplicates.yaml" in capsys.readouterr().out


def test_check_of_a_directory_without_vectors_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gen.main(["--out", str(tmp_path), "--check", *ONE_THEME]) == 2
    assert "holds no vectors" in capsys.readouterr().err


def test_list_prints_ids_and_computes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gen.main(["--out", str(tmp_path / "none"), "--list", *ONE_THEME]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["torch.SparseAdam/duplicates/pair", "torch.SparseAdam/duplicates/pair-float64"]
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("arguments", [["--dialect", "no.Such"], ["--case", "no/such/case"]])
def test_a_selection_that_does_not_exist_is_bad_input(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert gen.main(["--list", *arguments]) == 2
    assert "hint" in capsys.readouterr().err
