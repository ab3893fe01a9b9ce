"""refimpl.vectors._write, read and manifest: complete directories are read, incomplete and changed ones refused."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml
from make_golden import golden, refused

from refimpl.errors import UsageError, VectorError
from refimpl.vectors import Vectors, read_manifest, read_npz, read_vectors, write_manifest, write_npz, write_theme
from refimpl.vectors._manifest import Manifest, hash_arrays, hash_bytes
from refimpl.vectors._roles import roles_of

YAML, NPZ = "torch.SparseAdam/basics.yaml", "torch.SparseAdam/basics.npz"


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    directory = tmp_path / "vectors"
    write_theme(directory, [golden("one"), golden("two", dtype="bfloat16"), refused("three", lr=-1.0)], about="First steps.")
    write_theme(directory, [golden("one", theme="eps")])
    write_manifest(directory)
    return directory


def files(directory: Path) -> dict[str, bytes]:
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def edited(directory: Path, name: str, old: str, new: str) -> None:
    """Change a text file, and the hash in the manifest with it, as a careful attacker would."""
    text = (directory / name).read_text()
    assert old in text
    (directory / name).write_text(text.replace(old, new, 1))
    signed(directory)


def signed(directory: Path) -> None:
    """Make the hashes and counts of the manifest those of the files as they are."""
    hashes = {f"torch.SparseAdam/{file.name}": hash_bytes(file.read_bytes()) for file in directory.glob("torch.*/*.yaml")}
    hashes |= {f"torch.SparseAdam/{file.name}": hash_arrays(read_npz(file)) for file in directory.glob("torch.*/*.npz")}
    counts = {f"torch.SparseAdam/{file.stem}": file.read_text().count("- id:") for file in directory.glob("torch.*/*.yaml")}
    manifest = Manifest("1", counts, {"torch.SparseAdam": roles_of("torch.SparseAdam")}, hashes)
    (directory / "MANIFEST.yaml").write_text(manifest.text())


def test_everything_that_was_written_is_read_in_order(vectors: Path) -> None:
    got = read_vectors(vectors)
    assert isinstance(got, Vectors)
    assert [vector.case.id.split("/", 1)[1] for vector in got] == ["basics/one", "basics/two", "basics/three", "eps/one"]
    assert (len(got), got[0].case.slug, got.unreadable) == (4, "one", ())


def test_a_directory_of_vectors_has_its_readme_changelog_and_schemas(vectors: Path) -> None:
    assert set(files(vectors)) == {
        "MANIFEST.yaml",
        "README.md",
        "CHANGELOG.md",
        "schema/theme.json",
        "schema/manifest.json",
        YAML,
        NPZ,
        "torch.SparseAdam/eps.yaml",
        "torch.SparseAdam/eps.npz",
    }
    manifest = read_manifest(vectors)
    assert (manifest.format, manifest.version, manifest.cases, manifest.expectations) == (2, "3", 4, True)
    assert manifest.dialects == ["torch.SparseAdam"]
    assert manifest.themes == {"torch.SparseAdam/basics": 3, "torch.SparseAdam/eps": 1}
    assert manifest.roles == {"torch.SparseAdam": {"lr": "lr", "betas": ["beta1", "beta2"], "eps": "eps", "maximize": "switch"}}
    assert yaml.safe_load((vectors / "MANIFEST.yaml").read_text())["files"] == dict(manifest.files)
    assert yaml.safe_load((vectors / YAML).read_text())["about"] == "First steps."


def test_the_same_cases_give_the_same_bytes(vectors: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    write_theme(again, [golden("one", theme="eps")])
    write_theme(again, [golden("one"), golden("two", dtype="bfloat16"), refused("three", lr=-1.0)], about="First steps.")
    write_manifest(again)
    assert files(again) == files(vectors)


def test_what_was_read_gives_the_same_bytes_when_it_is_written_again(vectors: Path, tmp_path: Path) -> None:
    write_theme(tmp_path, [vector for vector in read_vectors(vectors) if vector.case.theme == "basics"], about="First steps.")
    assert (tmp_path / YAML).read_bytes() == (vectors / YAML).read_bytes()
    assert (tmp_path / NPZ).read_bytes() == (vectors / NPZ).read_bytes()


def test_the_manifest_takes_a_version(vectors: Path) -> None:
    assert write_manifest(vectors, "2.1").version == "2.1"
    assert read_manifest(vectors).version == "2.1"


def test_the_version_that_is_written_is_the_newest_in_the_changelog(vectors: Path) -> None:
    newest = next(line for line in (vectors / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))
    assert newest.startswith(f"## Version {read_manifest(vectors).version} ")


def test_filters_select_by_dialect_and_glob(vectors: Path) -> None:
    assert [vector.case.slug for vector in read_vectors(vectors, case_globs=["*/basics/t*"])] == ["two", "three"]
    assert len(read_vectors(vectors, ["torch.SparseAdam"], ["*/eps/*"])) == 1
    assert len(read_vectors(vectors, case_globs=["nothing"])) == 0
    with pytest.raises(UsageError, match=r"no vectors of dialect 'torch\.Adam'\n  hint: it has torch\.SparseAdam"):
        read_vectors(vectors, ["torch.Adam"])


def test_a_theme_of_which_nothing_is_selected_is_not_unpacked(vectors: Path) -> None:
    (vectors / NPZ).write_bytes(b"rubbish")
    assert len(read_vectors(vectors, case_globs=["*/eps/*"])) == 1


def test_a_case_that_needs_a_missing_package_does_not_keep_the_others_from_being_read(vectors: Path) -> None:
    code = f"""
import sys
for name in ("scipy", "ml_dtypes", "flint", "numba", "jsonschema", "rich", "torch"):
    sys.modules[name] = None
from pathlib import Path
from refimpl.vectors import read_vectors
got = read_vectors(Path({str(vectors)!r}))
print([one.case.slug for one in got], got.unreadable)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['one', 'three', 'one'] (('torch.SparseAdam/basics/two', 'needs ml_dtypes, which is not installed'),)"


def test_reading_works_without_libyaml(vectors: Path) -> None:
    code = f"""
import yaml
del yaml.CSafeLoader
from pathlib import Path
from refimpl.vectors import read_vectors
print(len(read_vectors(Path({str(vectors)!r}))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "4"


def test_a_directory_without_vectors_says_how_to_write_some(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "none"):
        with pytest.raises(VectorError, match=r"has no MANIFEST\.yaml.*\n  hint: .*refimpl\.gen --out"):
            read_vectors(directory)


def refuse(directory: Path, reason: str) -> None:
    with pytest.raises(VectorError) as caught:
        read_vectors(directory)
    assert reason in str(caught.value)


@pytest.mark.parametrize("name", [YAML, NPZ])
def test_a_missing_file_is_refused(vectors: Path, name: str) -> None:
    (vectors / name).unlink()
    refuse(vectors, f"{name.rsplit('/')[-1]}: cannot be read: No such file")


@pytest.mark.parametrize("name", [YAML, NPZ])
def test_a_truncated_file_is_refused(vectors: Path, name: str) -> None:
    content = (vectors / name).read_bytes()
    (vectors / name).write_bytes(content[: len(content) // 2])
    refuse(vectors, name)


def test_a_changed_number_is_refused(vectors: Path) -> None:
    arrays = read_npz(vectors / NPZ)
    bound = arrays["one/bound.param.table"].copy()
    bound[3, 0, 0, 0] *= 2
    write_npz(vectors / NPZ, {**arrays, "one/bound.param.table": bound})
    refuse(vectors, "basics.npz: is not what MANIFEST.yaml records: SHA-256")


def test_a_changed_case_is_refused(vectors: Path) -> None:
    text = (vectors / YAML).read_text()
    (vectors / YAML).write_text(text.replace("lr: 0.5", "lr: 0.25"))
    refuse(vectors, "basics.yaml: is not what MANIFEST.yaml records")


def test_the_same_arrays_in_another_zip_are_accepted(vectors: Path) -> None:
    arrays: dict[str, Any] = dict(read_npz(vectors / NPZ))
    np.savez_compressed(vectors / NPZ, **arrays)
    assert len(read_vectors(vectors)) == 4


@pytest.mark.parametrize("change", [lambda arrays: arrays.pop("one/param.table"), lambda arrays: arrays.update({"one/more": np.zeros(1)})])
def test_a_missing_or_an_extra_member_is_refused_even_if_the_manifest_knows_it(
    vectors: Path, change: Callable[[dict[str, np.ndarray]], object]
) -> None:
    arrays = read_npz(vectors / NPZ)
    change(arrays)
    write_npz(vectors / NPZ, arrays)
    signed(vectors)
    with pytest.raises(VectorError, match=r"basics\.npz: one/(param\.table: is missing|more: belongs to no case)"):
        read_vectors(vectors)


EDITS = {
    "unknown format": ("format: 2", "format: 3", "format: 3 is unknown, this refimpl reads format 2"),
    "the format before": ("format: 2", "format: 1", "format: 1 is unknown, this refimpl reads format 2"),
    "format that is a float": ("format: 2", "format: 2.0", "format: 2.0 is unknown"),
    "format that is text": ("format: 2", 'format: "2"', "format: '2' is unknown"),
    "no format": ("format: 2\n", "", "format: None is unknown"),
    "unknown key of the file": ("theme: basics\n", "theme: basics\nmood: good\n", "mood: is not a key here"),
    "unknown key of a case": ("  record:", "  colour: red\n  record:", "cases[0].colour: is not a key here"),
    "missing key": ("  record: [1, 3]\n", "", "cases[0].record: is missing"),
    "wrong type": ("record: [1, 3]", "record: all", "cases[0].record: 'all' is not of type array"),
    "unknown layout": ("layout: contiguous", "layout: wavy", "cases[0].layout: 'wavy' is none of"),
    "slug that leaves the directory": ("basics/one", 'basics/../../one"', ""),
    "path in an id": ("id: torch.SparseAdam/basics/one", 'id: "torch.SparseAdam/basics/../one"', "does not match"),
    "name that is a path": ("name: table", 'name: "../table"', "does not match"),
    "id of another theme": (
        "id: torch.SparseAdam/basics/one",
        "id: torch.SparseAdam/eps/one",
        "does not start with torch.SparseAdam/basics/",
    ),
    "id twice": ("id: torch.SparseAdam/basics/two", "id: torch.SparseAdam/basics/one", "is there twice"),
    "file of another theme": ("theme: basics", "theme: eps", "torch.SparseAdam/eps stands in the file of torch.SparseAdam/basics"),
    "wrong shape": ("shape: [4, 3]", "shape: [3, 4]", "has shape (4, 3) and must have (3, 4)"),
    "no cases": ("cases:", "cases: []\nold:", "old"),
    "not a mapping": ("format: 2", "- format: 2", ""),
    "state that does not exist": ("moments: true", "moments: true, dtypes: {momentum: float16}", "dtypes.momentum: is not a key here"),
    "dtype that does not exist": ("moments: true", "moments: true, dtypes: {exp_avg: int8}", "dtypes.exp_avg: 'int8' is none of"),
    "dtype that the moments do not have": (
        "moments: true",
        "moments: true, dtypes: {exp_avg_sq: float64}",
        "one/exp_avg_sq.table: has dtype float32 and must have float64",
    ),
    "no maximum": ("moments: true", "moments: true, maximum: false", "maximum: False must be True"),
    "hyper-parameter that the dialect does not have": (
        "groups:\n  - {lr: 0.01,",
        "groups:\n  - {rate: 0.01,",
        "torch.SparseAdam/basics/one, groups[0].rate: has no role in the manifest; it has lr, betas, eps, maximize",
    ),
    "hyper-parameter that a schedule makes up": (
        "hyper: [{}, {lr: 0.5}]",
        "hyper: [{}, {speed: 0.5}]",
        "torch.SparseAdam/basics/one, steps[1].hyper[1].speed: has no role",
    ),
    "three betas": (
        "betas: [0.9, 0.999]",
        "betas: [0.9, 0.999, 0.5]",
        "groups[0].betas: is [0.9, 0.999, 0.5], and the roles are beta1, beta2",
    ),
    "betas that are one number": ("betas: [0.9, 0.999]", "betas: 0.9", "groups[0].betas: is 0.9, and the roles are beta1, beta2"),
}


@pytest.mark.parametrize(("old", "new", "reason"), EDITS.values(), ids=EDITS)
def test_an_edited_theme_is_refused_by_its_key(vectors: Path, old: str, new: str, reason: str) -> None:
    edited(vectors, YAML, old, new)
    refuse(vectors, reason or "basics.yaml")


MANIFESTS = {
    "unknown format": ("format: 2", "format: 7", "format: 7 is unknown"),
    "the format before": ("format: 2", "format: 1", "format: 1 is unknown"),
    "unknown key": ("cases:", "extra: 1\ncases:", "extra: is not a key here"),
    "wrong total": ("cases: 4", "cases: 5", "MANIFEST.yaml: cases: 5 is not the sum over the themes, 4"),
    "total that is no count": ("cases: 4", "cases: 4.0", "MANIFEST.yaml: cases: 4.0 is not of type integer"),
    "negative total": ("cases: 4", "cases: -4", "MANIFEST.yaml: cases: -4 is below 0"),
    "too many cases of a theme": (
        "cases: 4\nthemes:\n  torch.SparseAdam/basics: 3",
        "cases: 5\nthemes:\n  torch.SparseAdam/basics: 4",
        "MANIFEST.yaml: themes.torch.SparseAdam/basics: counts 4 cases, and torch.SparseAdam/basics.yaml holds 3",
    ),
    "cases moved from theme to theme": (
        "torch.SparseAdam/basics: 3\n  torch.SparseAdam/eps: 1",
        "torch.SparseAdam/basics: 1\n  torch.SparseAdam/eps: 3",
        "themes.torch.SparseAdam/basics: counts 1 cases",
    ),
    "a theme without cases": ("torch.SparseAdam/eps: 1", "torch.SparseAdam/eps: 0", "themes.torch.SparseAdam/eps: 0 is below 1"),
    "count of a theme that is not there": (
        "cases: 4\nthemes:",
        "cases: 9\nthemes:\n  torch.SparseAdam/rows: 5",
        "files.torch.SparseAdam/rows.yaml: is missing, and its cases are counted",
    ),
    "a theme that is not counted": (
        "cases: 4\nthemes:\n  torch.SparseAdam/basics: 3\n",
        "cases: 1\nthemes:\n",
        "themes.torch.SparseAdam/basics: is missing, and its files are named",
    ),
    "exchanged roles": (
        "betas: [beta1, beta2]",
        "betas: [beta2, beta1]",
        "roles.torch.SparseAdam.betas: is ['beta2', 'beta1'], and the dialect has ['beta1', 'beta2']",
    ),
    "role of another": ("eps: eps", "eps: eps_root", "roles.torch.SparseAdam.eps: is 'eps_root', and the dialect has 'eps'"),
    "role that is made up": ("eps: eps", "eps: temperature", "roles.torch.SparseAdam.eps: 'temperature' is none of"),
    "role left out": (", maximize: switch", "", "roles.torch.SparseAdam.maximize: is absent, and the dialect has 'switch'"),
    "parameter that the dialect does not have": (
        "maximize: switch",
        "maximize: switch, amsgrad: switch",
        "roles.torch.SparseAdam.amsgrad: is 'switch', and the dialect has absent",
    ),
    "roles left out": ("roles:\n  torch.SparseAdam: ", "roles: {}\nold: ", ""),
    "no roles": (
        "roles:\n  torch.SparseAdam: {lr: lr, betas: [beta1, beta2], eps: eps, maximize: switch}",
        "roles: {}",
        "roles.torch.SparseAdam: is missing",
    ),
    "roles of a dialect that is not there": ("roles:\n", "roles:\n  torch.Adam: {lr: lr}\n", "roles.torch.Adam: is there, and no file"),
    "expectations that are not there": ("expectations: true", "expectations: false", "MANIFEST.yaml: expectations: is false"),
    "expectations that are a word": ("expectations: true", "expectations: maybe", "expectations: 'maybe' is not of type boolean"),
    "version that is no version": ('version: "3"', "version: latest", "version: 'latest' does not match"),
    "a billion counted": ("torch.SparseAdam/eps: 1", f"torch.SparseAdam/eps: {'9' * 4000}", "is above 1000000"),
    "roles that nest": ("betas: [beta1, beta2]", "betas: [[beta1], beta2]", "roles.torch.SparseAdam.betas"),
    "path outside": ("torch.SparseAdam/basics.yaml", '"../basics.yaml"', "does not match"),
    "absolute path": ("torch.SparseAdam/basics.yaml", '"/etc/passwd.yaml"', "does not match"),
    "not a hash": ("version:", "version: 1.0\nold:", ""),
    "half a pair": ("torch.SparseAdam/eps.npz", "torch.SparseAdam/other.npz", "stands without"),
}


@pytest.mark.parametrize(("old", "new", "reason"), MANIFESTS.values(), ids=MANIFESTS)
def test_an_edited_manifest_is_refused(vectors: Path, old: str, new: str, reason: str) -> None:
    file = vectors / "MANIFEST.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))
    refuse(vectors, reason)


def test_a_theme_that_the_manifest_does_not_know_is_refused(vectors: Path) -> None:
    (vectors / "torch.SparseAdam/more.yaml").write_text("format: 2\n")
    refuse(vectors, "files.torch.SparseAdam/more.yaml: is missing, and the file exists")


def test_a_file_holds_one_theme() -> None:
    with pytest.raises(VectorError, match="the cases of one theme"):
        write_theme(Path("never"), [golden("one"), golden("one", theme="eps")])
    with pytest.raises(VectorError, match="the cases of one theme"):
        write_theme(Path("never"), [])
    assert not Path("never").exists()


@pytest.mark.parametrize(
    "id", ["torch.SparseAdam/basics/Ünder", "torch.SparseAdam/basics/a b", "torch.SparseAdam/../up", "torch.SparseAdam/basics/"]
)
def test_an_id_that_is_no_path_of_slugs_is_not_written(tmp_path: Path, id: str) -> None:
    with pytest.raises(VectorError):
        write_theme(tmp_path / "v", [golden(id=id)])
    assert not (tmp_path / "v").exists()


def test_the_same_case_twice_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(VectorError, match="is there twice"):
        write_theme(tmp_path, [golden("one"), golden("one")])
    assert list(tmp_path.iterdir()) == []


def test_expectations_that_no_reader_would_take_are_not_written(tmp_path: Path) -> None:
    whole = golden("one")
    expected = {array: value for array, value in whole.expected["table"].items() if array != "exp_avg"}
    with pytest.raises(VectorError, match=r"one/expect\.exp_avg\.table: is missing"):
        write_theme(tmp_path, [replace(whole, expected={"table": expected})])
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_files_and_nothing_else(vectors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(vectors)

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_theme(vectors, [golden("other")])
    with pytest.raises(OSError, match="disk full"):
        write_manifest(vectors, "9")
    assert files(vectors) == before


def test_jsonschema_validates_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = SimpleNamespace(iter_errors=lambda document: [jsonschema.ValidationError("refused by the standard", path=["cases", 0])])
    monkeypatch.setattr(jsonschema, "Draft202012Validator", lambda schema: refusing)
    with pytest.raises(VectorError, match=r"\$\.cases\[0\]: refused by the standard"):
        write_theme(tmp_path, [golden("one")])
    assert list(tmp_path.iterdir()) == []
