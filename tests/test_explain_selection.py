from pathlib import Path
from typing import Any

import pytest

from refimpl.case import Case, Golden
from refimpl.errors import UsageError
from refimpl.explain._selection import DEFAULT, Numbers, case_of, find, place
from refimpl.vectors import places


def case(core: dict[str, list[Golden]], id: str = DEFAULT) -> Case:
    return next(golden.case for golden in core[id.split("/")[0]] if golden.case.id == id)


def test_where_nothing_is_asked_for_it_is_the_row_that_occurs_most(core: dict[str, list[Golden]]) -> None:
    at = place(case(core))
    assert (at.param, at.step, at.row, at.col) == ("w", 2, 4, 0)


def test_what_is_asked_for_is_taken(core: dict[str, list[Golden]]) -> None:
    at = place(case(core), "w", 1, 0, 2)
    assert (at.step, at.row, at.col) == (1, 0, 2)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"step": 4}, "--step 4: .* has 3 steps"),
        ({"step": 0}, "--step 0"),
        ({"row": 6}, r"--row 6: 'w' has shape \(6, 3\)"),
        ({"row": -1}, "--row -1"),
        ({"col": 3}, "--col 3"),
        ({"col": (0, 1)}, "--col 0,1"),
        ({"param": "x"}, "--param x: .* no such parameter"),
    ],
)
def test_what_the_case_does_not_have_is_refused(core: dict[str, list[Golden]], asked: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        place(case(core), **asked)


def test_a_column_of_more_dimensions_is_found_by_all_its_indices(core: dict[str, list[Golden]]) -> None:
    wide = next(golden.case for golden in core["torch.Adam"] if golden.case.params and golden.case.params[0].value.ndim == 3)
    shape = wide.params[0].value.shape
    at = place(wide, row=0, col=(shape[1] - 1, 0))
    assert at.col == (shape[1] - 1) * shape[2]


def test_a_case_is_found_with_and_without_vectors(core: dict[str, list[Golden]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(places, "PACKAGED", tmp_path / "none")
    monkeypatch.setattr(places, "SOURCE", tmp_path / "none")
    drafted = find(DEFAULT, None)
    assert drafted.expected == {}
    assert (drafted.case.params[0].value == case(core).params[0].value).all()


@pytest.mark.parametrize(
    ("id", "message"),
    [
        ("torch.SparseAdam/duplicates/pear", "did you mean torch.SparseAdam/duplicates/pair"),
        ("pair", "is not the id of a case"),
        ("torch.Sparse/duplicates/pair", "no dialect"),
        ("torch.SparseAdam/nothing/pair", "no case"),
    ],
)
def test_an_id_that_is_nowhere_is_refused_with_what_is_near(id: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        find(id, None)


def test_vectors_that_are_asked_for_must_have_the_case(tmp_path: Path) -> None:
    import small_vectors

    directory = small_vectors.write(tmp_path / "v", "torch.SparseAdam/basics/one-step")
    assert find("torch.SparseAdam/basics/one-step", directory).expected
    with pytest.raises(UsageError, match="holds no case"):
        find(DEFAULT, directory)


def test_a_parameter_without_elements_leaves_nothing_to_choose() -> None:
    at = place(case_of(Numbers(["none"])))
    assert (at.step, at.row, at.col) == (1, 0, 0)
