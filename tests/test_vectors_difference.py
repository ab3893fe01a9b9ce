"""refimpl.vectors._difference: each difference is a sentence that names the file and the place."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_golden import golden

from refimpl.vectors import compare_directories, read_npz, write_manifest, write_npz, write_theme

NPZ = "torch.SparseAdam/basics.npz"


def written(directory: Path, *slugs: str, theme: str = "basics", **changes: Any) -> Path:
    write_theme(directory, [golden(slug, theme=theme, **changes) for slug in slugs])
    write_manifest(directory)
    return directory


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return written(tmp_path / "fresh", "one", "two"), written(tmp_path / "existing", "one", "two")


def test_equal_directories_do_not_differ(pair: tuple[Path, Path]) -> None:
    assert compare_directories(*pair) == []


def test_a_changed_member_is_named_with_its_place(pair: tuple[Path, Path]) -> None:
    arrays = read_npz(pair[1] / NPZ)
    table = arrays["two/param.table"].copy()
    table[1, 2] = 9
    write_npz(pair[1] / NPZ, {**arrays, "two/param.table": table})
    (sentence,) = compare_directories(*pair)
    assert sentence.startswith(f"{NPZ}: two/param.table differs in 1 of 12 elements; at (1, 2) it is 9.0 and should be -0.18")


def test_the_sign_of_zero_is_a_difference(pair: tuple[Path, Path]) -> None:
    for directory, zero in zip(pair, (0.0, -0.0)):
        write_npz(directory / NPZ, {"a": np.array([zero])})
    assert compare_directories(*pair) == [f"{NPZ}: a differs in 1 of 1 elements; at (0,) it is -0.0 and should be 0.0"]


def test_added_missing_and_reshaped_members_are_named(pair: tuple[Path, Path]) -> None:
    write_npz(pair[0] / NPZ, {"a": np.zeros(2), "b": np.zeros(1)})
    write_npz(pair[1] / NPZ, {"a": np.zeros(3), "c": np.zeros(1)})
    assert compare_directories(*pair) == [
        f"{NPZ}: b is missing",
        f"{NPZ}: c is not generated any more",
        f"{NPZ}: a is float64 (3,) and should be float64 (2,)",
    ]


def test_many_differences_are_counted(pair: tuple[Path, Path]) -> None:
    write_npz(pair[0] / NPZ, {f"a{k}": np.zeros(1) for k in range(9)})
    write_npz(pair[1] / NPZ, {})
    assert compare_directories(*pair)[-1] == f"{NPZ}: and 4 differences more"


def test_other_bytes_of_the_same_arrays_are_a_difference(pair: tuple[Path, Path]) -> None:
    arrays: dict[str, Any] = dict(read_npz(pair[1] / NPZ))
    np.savez(pair[1] / NPZ, **arrays)
    assert compare_directories(*pair) == [f"{NPZ}: says the same in other bytes"]


def test_a_changed_case_is_named_with_its_key(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    other = written(tmp_path / "other", "one", "two", catches=("a", "b"))
    differences = compare_directories(other, pair[0])
    assert "torch.SparseAdam/basics.yaml: torch.SparseAdam/basics/two: catches is [counter-from-zero] and should be [a, b]" in differences
    assert any(difference.startswith("MANIFEST.yaml: line 11 is") for difference in differences)


def test_added_and_missing_files_are_named(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    written(pair[0], "one", theme="eps")
    (pair[1] / "stray.txt").write_text("x")
    differences = compare_directories(*pair)
    assert f"torch.SparseAdam/eps.npz: is missing in {pair[1]}" in differences
    assert "stray.txt: is not generated any more" in differences


@pytest.mark.parametrize(("page", "first"), [("README.md", "# Golden vectors"), ("CHANGELOG.md", "# What changed")])
def test_a_changed_page_is_a_difference(pair: tuple[Path, Path], page: str, first: str) -> None:
    (pair[1] / page).write_text("# Something else\n")
    (sentence,) = compare_directories(*pair)
    assert sentence.startswith(f"{page}: line 1 is '# Something else' and should be '{first}")


def test_a_partial_run_is_compared_with_its_own_cases_alone(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    part = written(tmp_path / "part", "two")
    assert compare_directories(part, pair[0], partial=True) == []
    assert compare_directories(part, pair[0]) != []
    changed = written(tmp_path / "changed", "two", about="Something else.")
    sentence = "torch.SparseAdam/basics.yaml: torch.SparseAdam/basics/two: about is "
    assert [difference[: len(sentence)] for difference in compare_directories(changed, pair[0], partial=True)] == [sentence]
    absent = written(tmp_path / "absent", "three", theme="eps")
    assert f"torch.SparseAdam/eps.npz: is missing in {pair[0]}" in compare_directories(absent, pair[0], partial=True)
