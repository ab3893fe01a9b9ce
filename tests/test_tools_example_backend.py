"""tools/example_backend.cpp: it compiles without a warning, and what it computes from vectors lies within their bounds."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_golden import golden, refused, rows
from scipy.sparse import coo_array

from refimpl.arithmetic import CLASSES, numpy_dtype
from refimpl.case import ALWAYS_KEPT, Expected, Golden, Param, Step
from refimpl.gradients import RowGradient
from refimpl.oracle import expectations
from refimpl.vectors import read_npz, roundtrip, write_inputs, write_manifest, write_theme
from refimpl.vectors._members import same_bits

TOOLS = Path(__file__).parent.parent / "tools"
MAXIMIZING = {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3, "maximize": True}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    built = tmp_path_factory.mktemp("built") / "example_backend"
    command = ["g++", "-O2", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-o", str(built), str(TOOLS / "example_backend.cpp"), "-lz"]
    subprocess.run(command, check=True)
    return built


def run(program: Path, tmp_path: Path, goldens: list[Golden]) -> dict[str, np.ndarray]:
    """The members of its results for cases of one theme, as it is handed them."""
    write_inputs(tmp_path / "inputs", goldens)
    subprocess.run([program, tmp_path / "inputs", tmp_path / "results"], check=True)
    case = goldens[0].case
    return read_npz(tmp_path / "results" / case.dialect / f"{case.theme}.npz")


def with_params(slug: str, change: Callable[[Param], Param]) -> Golden:
    """A case whose second parameter is changed."""
    plain = golden(slug)
    return Golden(replace(plain.case, params=(plain.case.params[0], change(plain.case.params[1]))), {})


def with_step(slug: str, gradient: Any) -> Golden:
    """A case that expects an error and has this gradient in its second step."""
    plain = golden(slug)
    steps = (plain.case.steps[0], Step({"table": gradient, "bias.b": None}, ({}, {})))
    return Golden(replace(plain.case, steps=steps, error="x", record=()), {})


def test_results_lie_within_the_bounds(program: Path, tmp_path: Path) -> None:
    many = Step({"table": rows([1, 1], 3, (4, 3)), "bias.b": rows([3], 1, (5,))}, ({}, {}))
    goldens = [
        golden("single"),
        golden("double", dtype="float64"),
        golden("long", steps=(many,) * 300, record=(1, 299, 300)),
        golden(
            "int32",
            steps=(Step({"table": RowGradient(np.array([2], np.int32), np.ones((1, 3), np.float32), (4, 3)), "bias.b": None}, ({}, {})),),
            record=(1,),
        ),
        golden("maximize", groups=tuple(replace(group, hyper=MAXIMIZING) for group in golden().case.groups)),
    ]
    goldens = [replace(vector, expected=expectations(vector.case)) for vector in map(roundtrip, goldens)]
    results = run(program, tmp_path, goldens)
    for vector in goldens:
        for name, arrays in vector.expected.items():
            for array in ALWAYS_KEPT:
                got, expected = results.pop(f"{vector.case.slug}/{array}.{name}"), arrays[array]
                assert got.dtype == vector.case.dtype
                assert got.shape == expected.value.shape
                assert (np.abs(got - expected.value) <= expected.bound["exact-ieee"]).all(), (vector.case.id, array)
    assert not results


def test_tables_without_rows_and_without_dimensions_are_handled(program: Path, tmp_path: Path) -> None:
    plain = golden("empty")
    params = (Param("none", np.zeros((0, 3), np.float32)), Param("scalar", np.ones((), np.float32), 1))
    steps = (Step({"none": rows([], 3, (0, 3)), "scalar": None}, ({}, {})),) * 2
    case = replace(plain.case, params=params, steps=steps, record=(1, 2))
    expected = {param.name: {array: _zeros(param) for array in ALWAYS_KEPT} for param in params}
    results = run(program, tmp_path, [Golden(case, expected)])
    assert {name: array.shape for name, array in results.items()} == {
        f"empty/{array}.{name}": shape for name, shape in (("none", (2, 0, 3)), ("scalar", (2,))) for array in ALWAYS_KEPT
    }


def _zeros(param: Param) -> Expected:
    shape = (2, *param.value.shape)
    return Expected(np.zeros(shape), dict.fromkeys(CLASSES, np.zeros(shape, np.float32)))


def test_what_is_invalid_is_an_error_and_what_it_cannot_do_is_unsupported(program: Path, tmp_path: Path) -> None:
    elements = coo_array((np.ones(1, np.float32), ([1], [2])), shape=(4, 3))
    errors = {
        "zero-lr": refused("zero-lr", lr=0.0),
        "nan-lr": refused("nan-lr", lr=float("nan")),
        "string": refused("string", eps="1e-8"),
        "beta-of-one": refused("beta-of-one", betas=(0.9, 1.0)),
        "one-beta": refused("one-beta", betas=(0.9,)),
        "dense": with_step("dense", np.ones((4, 3), np.float32)),
        "outside": with_step("outside", rows([4], 3, (4, 3))),
        "shape": with_step("shape", rows([1], 2, (4, 2))),
    }
    unsupported = {
        "elements": with_step("elements", elements),
        "half": golden("half", dtype="bfloat16"),
        "half-moment": with_params(
            "half-moment", lambda param: replace(param, dtypes={"exp_avg": "bfloat16"}, exp_avg=None, exp_avg_sq=None)
        ),
        "half-bias": with_params("half-bias", lambda param: replace(param, value=param.value.astype(numpy_dtype("bfloat16")))),
    }
    results = run(program, tmp_path, [*errors.values(), *unsupported.values()])
    assert sorted(results) == sorted([f"{slug}/error" for slug in errors] + [f"{slug}/unsupported" for slug in unsupported])
    assert str(results["zero-lr/error"]) == "Invalid learning rate"
    assert str(results["half/unsupported"]) == "dtype bfloat16"
    assert results["half/unsupported"].shape == ()


def test_other_dialects_are_unsupported(program: Path, tmp_path: Path) -> None:
    plain = golden("one")
    other = replace(plain, case=replace(plain.case, id="torch.Adam/basics/one", dialect="torch.Adam"))
    assert str(run(program, tmp_path, [other])["one/unsupported"]) == "dialect torch.Adam"


def test_misuse_and_broken_files_end_with_a_message(program: Path, tmp_path: Path) -> None:
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.startswith("usage: ")) == (2, True)
    write_theme(tmp_path / "vectors", [golden("one")])
    write_manifest(tmp_path / "vectors")
    file = tmp_path / "vectors" / "torch.SparseAdam" / "basics.npz"
    file.write_bytes(file.read_bytes()[:-40])
    done = subprocess.run([program, tmp_path / "vectors", tmp_path / "results"], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "truncated" in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("name", ["MANIFEST.yaml", "torch.SparseAdam/basics.yaml"])
def test_another_format_is_refused(program: Path, tmp_path: Path, name: str) -> None:
    write_inputs(tmp_path / "inputs", [golden("one")])
    file = tmp_path / "inputs" / name
    file.write_text(file.read_text().replace("format: 2", "format: 3"))
    done = subprocess.run([program, tmp_path / "inputs", tmp_path / "results"], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.endswith(f"{name}: format: 3 is unknown\n")


def test_whole_vectors_are_read_as_well(program: Path, tmp_path: Path) -> None:
    plain = golden("one")
    write_theme(tmp_path / "vectors", [plain])
    write_manifest(tmp_path / "vectors")
    subprocess.run([program, tmp_path / "vectors", tmp_path / "whole"], check=True)
    results = run(program, tmp_path, [plain])
    whole = read_npz(tmp_path / "whole" / "torch.SparseAdam" / "basics.npz")
    assert whole.keys() == results.keys()
    assert all(same_bits(whole[name], array) for name, array in results.items())
