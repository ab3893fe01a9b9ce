"""refimpl.vectors.write, read and manifest: directories that are whole, and what is said of those that are not."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import numpy as np
import pytest
import yaml
from make_golden import golden, refused

from refimpl.errors import UsageError, VectorError
from refimpl.vectors import Vectors, read_manifest, read_npz, read_vectors, write_manifest, write_npz, write_theme

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
    """Make the hashes of the manifest those of the files as they are."""
    from refimpl.vectors.manifest import Manifest, hash_arrays, hash_bytes

    found = {f"torch.SparseAdam/{file.name}": hash_bytes(file.read_bytes()) for file in directory.glob("*/*.yaml")}
    found |= {f"torch.SparseAdam/{file.name}": hash_arrays(read_npz(file)) for file in directory.glob("*/*.npz")}
    (directory / "MANIFEST.yaml").write_text(Manifest("1", 0, found).text())


def test_everything_that_was_written_is_read_in_order(vectors):
    got = read_vectors(vectors)
    assert isinstance(got, Vectors)
    assert [one.case.id.split("/", 1)[1] for one in got] == ["basics/one", "basics/two", "basics/three", "eps/one"]
    assert (len(got), got[0].case.slug, got.unreadable) == (4, "one", ())


def test_a_directory_explains_itself(vectors):
    assert set(files(vectors)) == {
        "MANIFEST.yaml",
        "README.md",
        "schema/theme.json",
        "schema/manifest.json",
        YAML,
        NPZ,
        "torch.SparseAdam/eps.yaml",
        "torch.SparseAdam/eps.npz",
    }
    manifest = read_manifest(vectors)
    assert (manifest.format, manifest.version, manifest.cases) == (1, "1", 4)
    assert manifest.dialects == ["torch.SparseAdam"]
    assert yaml.safe_load((vectors / "MANIFEST.yaml").read_text())["files"] == dict(manifest.files)
    assert yaml.safe_load((vectors / YAML).read_text())["about"] == "First steps."


def test_the_same_cases_give_the_same_bytes(vectors, tmp_path):
    again = tmp_path / "again"
    write_theme(again, [golden("one", theme="eps")])
    write_theme(again, [golden("one"), golden("two", dtype="bfloat16"), refused("three", lr=-1.0)], about="First steps.")
    write_manifest(again)
    assert files(again) == files(vectors)


def test_what_was_read_gives_the_same_bytes_when_it_is_written_again(vectors, tmp_path):
    write_theme(tmp_path, [one for one in read_vectors(vectors) if one.case.theme == "basics"], about="First steps.")
    assert (tmp_path / YAML).read_bytes() == (vectors / YAML).read_bytes()
    assert (tmp_path / NPZ).read_bytes() == (vectors / NPZ).read_bytes()


def test_the_manifest_counts_cases_and_takes_a_version(vectors):
    assert write_manifest(vectors, "2.0").version == "2.0"
    assert read_manifest(vectors).version == "2.0"


def test_filters_select_by_dialect_and_glob(vectors):
    assert [one.case.slug for one in read_vectors(vectors, case_globs=["*/basics/t*"])] == ["two", "three"]
    assert len(read_vectors(vectors, ["torch.SparseAdam"], ["*/eps/*"])) == 1
    assert len(read_vectors(vectors, case_globs=["nothing"])) == 0
    with pytest.raises(UsageError, match=r"no vectors of dialect 'torch\.Adam'\n  hint: it has torch\.SparseAdam"):
        read_vectors(vectors, ["torch.Adam"])


def test_a_theme_of_which_nothing_is_selected_is_not_unpacked(vectors):
    (vectors / NPZ).write_bytes(b"rubbish")
    assert len(read_vectors(vectors, case_globs=["*/eps/*"])) == 1


def test_a_case_that_needs_a_missing_package_does_not_keep_the_others_from_being_read(vectors):
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


def test_reading_works_without_libyaml(vectors):
    code = f"""
import yaml
del yaml.CSafeLoader
from pathlib import Path
from refimpl.vectors import read_vectors
print(len(read_vectors(Path({str(vectors)!r}))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "4"


def test_a_directory_without_vectors_says_how_to_write_some(tmp_path):
    for directory in (tmp_path, tmp_path / "none"):
        with pytest.raises(VectorError, match=r"has no MANIFEST\.yaml.*\n  hint: .*refimpl\.gen --out"):
            read_vectors(directory)


def refuse(directory: Path, reason: str) -> None:
    with pytest.raises(VectorError) as caught:
        read_vectors(directory)
    assert reason in str(caught.value)


@pytest.mark.parametrize("name", [YAML, NPZ])
def test_a_missing_file_is_refused(vectors, name):
    (vectors / name).unlink()
    refuse(vectors, f"{name.rsplit('/')[-1]}: cannot be read: No such file")


@pytest.mark.parametrize("name", [YAML, NPZ])
def test_a_truncated_file_is_refused(vectors, name):
    content = (vectors / name).read_bytes()
    (vectors / name).write_bytes(content[: len(content) // 2])
    refuse(vectors, name)


def test_a_changed_number_is_refused(vectors):
    arrays = read_npz(vectors / NPZ)
    bound = arrays["one/bound.exact-ieee.param.table"].copy()
    bound[0, 0, 0] *= 2
    write_npz(vectors / NPZ, {**arrays, "one/bound.exact-ieee.param.table": bound})
    refuse(vectors, "basics.npz: is not what MANIFEST.yaml records: SHA-256")


def test_a_changed_case_is_refused(vectors):
    text = (vectors / YAML).read_text()
    (vectors / YAML).write_text(text.replace("lr: 0.5", "lr: 0.25"))
    refuse(vectors, "basics.yaml: is not what MANIFEST.yaml records")


def test_the_same_arrays_in_another_zip_are_accepted(vectors):
    np.savez_compressed(vectors / NPZ, **read_npz(vectors / NPZ))
    assert len(read_vectors(vectors)) == 4


@pytest.mark.parametrize("change", [lambda arrays: arrays.pop("one/param.table"), lambda arrays: arrays.update({"one/more": np.zeros(1)})])
def test_a_missing_or_an_extra_member_is_refused_even_if_the_manifest_knows_it(vectors, change):
    arrays = read_npz(vectors / NPZ)
    change(arrays)
    write_npz(vectors / NPZ, arrays)
    signed(vectors)
    with pytest.raises(VectorError, match=r"basics\.npz: one/(param\.table: is missing|more: belongs to no case)"):
        read_vectors(vectors)


EDITS = {
    "unknown format": ("format: 1", "format: 2", "format: 2 is unknown, this refimpl reads format 1"),
    "no format": ("format: 1\n", "", "format: None is unknown"),
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
    "not a mapping": ("format: 1", "- format: 1", ""),
}


@pytest.mark.parametrize(("old", "new", "reason"), EDITS.values(), ids=EDITS)
def test_an_edited_theme_is_refused_by_its_key(vectors, old, new, reason):
    edited(vectors, YAML, old, new)
    refuse(vectors, reason or "basics.yaml")


MANIFESTS = {
    "unknown format": ("format: 1", "format: 7", "format: 7 is unknown"),
    "unknown key": ("cases:", "extra: 1\ncases:", "extra: is not a key here"),
    "path outside": ("torch.SparseAdam/basics.yaml", '"../basics.yaml"', "does not match"),
    "absolute path": ("torch.SparseAdam/basics.yaml", '"/etc/passwd.yaml"', "does not match"),
    "not a hash": ("version:", "version: 1.0\nold:", ""),
    "half a pair": ("torch.SparseAdam/eps.npz", "torch.SparseAdam/other.npz", "stands without"),
}


@pytest.mark.parametrize(("old", "new", "reason"), MANIFESTS.values(), ids=MANIFESTS)
def test_an_edited_manifest_is_refused(vectors, old, new, reason):
    file = vectors / "MANIFEST.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))
    refuse(vectors, reason)


def test_a_theme_that_the_manifest_does_not_know_is_refused(vectors):
    (vectors / "torch.SparseAdam/more.yaml").write_text("format: 1\n")
    refuse(vectors, "files.torch.SparseAdam/more.yaml: is missing, and the file exists")


def test_a_file_holds_one_theme():
    with pytest.raises(VectorError, match="the cases of one theme"):
        write_theme(Path("never"), [golden("one"), golden("one", theme="eps")])
    with pytest.raises(VectorError, match="the cases of one theme"):
        write_theme(Path("never"), [])
    assert not Path("never").exists()


@pytest.mark.parametrize(
    "id", ["torch.SparseAdam/basics/Ünder", "torch.SparseAdam/basics/a b", "torch.SparseAdam/../up", "torch.SparseAdam/basics/"]
)
def test_an_id_that_is_no_path_of_slugs_is_not_written(tmp_path, id):
    with pytest.raises(VectorError):
        write_theme(tmp_path / "v", [golden(id=id)])
    assert not (tmp_path / "v").exists()


def test_the_same_case_twice_is_not_written(tmp_path):
    with pytest.raises(VectorError, match="is there twice"):
        write_theme(tmp_path, [golden("one"), golden("one")])
    assert list(tmp_path.iterdir()) == []


def test_expectations_that_no_reader_would_take_are_not_written(tmp_path):
    one = golden("one")
    del one.expected["table"]["exp_avg"]
    with pytest.raises(VectorError, match=r"one/expect\.exp_avg\.table: is missing"):
        write_theme(tmp_path, [one])
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_files_and_nothing_else(vectors, monkeypatch):
    before = files(vectors)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_theme(vectors, [golden("other")])
    with pytest.raises(OSError, match="disk full"):
        write_manifest(vectors, "9")
    assert files(vectors) == before


def test_jsonschema_has_the_last_word_when_writing(tmp_path, monkeypatch):
    refusing = SimpleNamespace(iter_errors=lambda document: [jsonschema.ValidationError("refused by the standard", path=["cases", 0])])
    monkeypatch.setattr(jsonschema, "Draft202012Validator", lambda schema: refusing)
    with pytest.raises(VectorError, match=r"\$\.cases\[0\]: refused by the standard"):
        write_theme(tmp_path, [golden("one")])
    assert list(tmp_path.iterdir()) == []
