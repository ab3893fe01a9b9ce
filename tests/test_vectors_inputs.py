"""refimpl.vectors.inputs: a program is handed its cases, whole, and nothing that says what is right."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from make_golden import golden, refused

from refimpl.case import Expected, Golden
from refimpl.errors import VectorError
from refimpl.vectors import read_manifest, read_npz, read_vectors, write_inputs, write_manifest, write_theme
from refimpl.vectors._members import same_bits

GOLDENS = [
    golden("one"),
    golden("half", dtype="bfloat16", layout="strided"),
    refused("three", lr=-1.0, eps="x"),
    golden("one", theme="eps"),
]


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    write_inputs(tmp_path / "inputs", GOLDENS)
    return tmp_path / "inputs"


def wild(slug: str) -> Golden:
    """A golden that allows more than finite results."""
    plain = golden(slug)
    expected = {
        name: {
            array: Expected(expectation.value, expectation.bound, np.full(expectation.value.shape, 3, np.uint8))
            for array, expectation in arrays.items()
        }
        for name, arrays in plain.expected.items()
    }
    return replace(plain, expected=expected)


def test_no_expectation_is_in_the_directory(tmp_path: Path) -> None:
    write_inputs(tmp_path / "inputs", [wild("one"), refused("three", lr=-1.0)])
    members = read_npz(tmp_path / "inputs" / "torch.SparseAdam" / "basics.npz")
    assert {name.split("/")[1].split(".")[0] for name in members} == {"param", "exp_avg", "exp_avg_sq", "grad"}
    text = (tmp_path / "inputs" / "torch.SparseAdam" / "basics.yaml").read_text()
    assert "counter-from-zero" not in text
    assert "error" not in text
    assert text.count("catches: []") == 2


def test_the_inputs_of_every_case_are_whole(inputs: Path) -> None:
    got = read_vectors(inputs, expects=False)
    assert [vector.case.id for vector in got] == [vector.case.id for vector in GOLDENS]
    for read, written in zip(got, GOLDENS):
        assert (read.kind, read.layout) == (written.kind, written.layout)
        assert (read.case.record, read.case.about) == (written.case.record, written.case.about)
        assert [group.hyper for group in read.case.groups] == [group.hyper for group in written.case.groups]
        assert (read.expected, read.case.catches, read.case.error) == ({}, (), None)
        for p, q in zip(read.case.params, written.case.params):
            assert same_bits(p.value, q.value)
            assert p.exp_avg is q.exp_avg is None or same_bits(p.exp_avg, q.exp_avg)
        for step, other_step in zip(read.case.steps, written.case.steps):
            assert same_bits(step.gradients["table"].values, other_step.gradients["table"].values)
            assert same_bits(step.gradients["table"].indices, other_step.gradients["table"].indices)


def test_the_directory_holds_exactly_these_cases_and_explains_itself(inputs: Path) -> None:
    names = {file.relative_to(inputs).as_posix() for file in inputs.rglob("*") if file.is_file()}
    themes = {f"torch.SparseAdam/{theme}.{end}" for theme in ("basics", "eps") for end in ("yaml", "npz")}
    assert names == {*themes, "MANIFEST.yaml", "README.md", "CHANGELOG.md", "schema/theme.json", "schema/manifest.json"}
    manifest = read_manifest(inputs)
    assert (manifest.expectations, manifest.cases) == (False, 4)
    assert manifest.roles["torch.SparseAdam"]["betas"] == ["beta1", "beta2"]


def test_a_case_that_must_be_refused_looks_like_any_other(tmp_path: Path) -> None:
    bad = refused("bad", lr=-1.0)
    write_inputs(tmp_path / "inputs", [replace(bad, case=replace(bad.case, record=()))])
    (got,) = read_vectors(tmp_path / "inputs", expects=False)
    assert got.case.record == (3,)


def test_inputs_are_refused_where_something_is_to_be_judged(inputs: Path) -> None:
    with pytest.raises(VectorError, match=r"MANIFEST\.yaml: expectations: is false: .* nothing to judge by\n  hint: give the vectors"):
        read_vectors(inputs)


def test_inputs_that_say_they_have_expectations_are_refused(inputs: Path) -> None:
    file = inputs / "MANIFEST.yaml"
    file.write_text(file.read_text().replace("expectations: false", "expectations: true"))
    with pytest.raises(VectorError, match=r"expect\.param\.table: is missing"):
        read_vectors(inputs)


def test_whole_vectors_are_refused_as_inputs(tmp_path: Path) -> None:
    write_theme(tmp_path, [golden("one")])
    write_manifest(tmp_path)
    with pytest.raises(VectorError, match="expectations: is true"):
        read_vectors(tmp_path, expects=False)


def test_expectations_among_inputs_are_refused(tmp_path: Path, inputs: Path) -> None:
    file = inputs / "torch.SparseAdam" / "eps.npz"
    write_theme(tmp_path / "whole", [golden("one", theme="eps")])
    digest = next(line for line in (inputs / "MANIFEST.yaml").read_text().splitlines() if "eps.npz" in line)
    file.write_bytes((tmp_path / "whole" / "torch.SparseAdam" / "eps.npz").read_bytes())
    from refimpl.vectors._manifest import hash_arrays

    text = (inputs / "MANIFEST.yaml").read_text().replace(digest, f'  torch.SparseAdam/eps.npz: "{hash_arrays(read_npz(file))}"')
    (inputs / "MANIFEST.yaml").write_text(text)
    with pytest.raises(VectorError, match=r"eps\.npz: one/bound\.exp_avg\..* belongs to no case"):
        read_vectors(inputs, expects=False)


def test_a_directory_that_holds_anything_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(VectorError, match="is not empty"):
        write_inputs(tmp_path, GOLDENS)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_no_case_gives_an_empty_set(tmp_path: Path) -> None:
    write_inputs(tmp_path / "none", [])
    assert len(read_vectors(tmp_path / "none", expects=False)) == 0


def test_inputs_are_written_with_numpy_and_yaml_alone(tmp_path: Path) -> None:
    write_theme(tmp_path / "vectors", [golden("one")])
    write_manifest(tmp_path / "vectors")
    code = f"""
import sys
for name in ("scipy", "ml_dtypes", "flint", "numba", "jsonschema", "rich", "torch"):
    sys.modules[name] = None
from pathlib import Path
from refimpl.vectors import read_vectors, write_inputs
write_inputs(Path({str(tmp_path / "inputs")!r}), read_vectors(Path({str(tmp_path / "vectors")!r})))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert len(read_vectors(tmp_path / "inputs", expects=False)) == 1
