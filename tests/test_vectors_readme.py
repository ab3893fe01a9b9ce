"""refimpl/vectors/README.md: what it shows is what the reader accepts and what the writer writes."""

import re
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
from make_golden import golden

from refimpl.arithmetic import CLASSES
from refimpl.case import ARRAYS
from refimpl.vectors import _schema as schema
from refimpl.vectors._encode import encode
from refimpl.vectors._manifest import parse_manifest
from refimpl.vectors._roles import roles_of
from refimpl.vectors.text import load

README = (resources.files("refimpl.vectors") / "README.md").read_text(encoding="utf-8")
MANIFEST, CASE = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)


def test_the_case_that_it_shows_satisfies_the_schema() -> None:
    cases = load(f"cases:\n{CASE}", "README.md")["cases"]
    schema.check({"format": 2, "dialect": "torch.SparseAdam", "theme": "basics", "cases": cases}, "theme", "README.md")


def test_the_manifest_that_it_shows_is_one() -> None:
    digest = '"' + "0" * 64 + '"'
    themes = load(MANIFEST, "README.md")["themes"]
    files = "".join(f"  {theme}.{end}: {digest}\n" for theme in themes for end in ("npz", "yaml"))
    manifest = parse_manifest(MANIFEST[: MANIFEST.index("files:")] + "files:\n" + files, "README.md")
    assert manifest.roles["torch.SparseAdam"] == roles_of("torch.SparseAdam")


@pytest.mark.parametrize("part", ["case", "param"])
def test_every_key_of_a_case_and_of_a_parameter_is_explained(part: str) -> None:
    for key in schema.schema("theme")["$defs"][part]["properties"]:
        assert re.search(rf"`{key}\b", README), key


def test_every_role_and_every_array_is_explained() -> None:
    words = schema.schema("manifest")["$defs"]["role"]["enum"]
    assert all(f"`{word}`" in README for word in (*words, *ARRAYS))


def test_the_classes_stand_in_the_order_of_the_first_axis() -> None:
    assert ", ".join(f"{k} `{name}`" for k, name in enumerate(CLASSES)) in README.replace("\n", " ")


def test_the_place_of_a_bound_is_that_of_the_c_code_in_the_readme() -> None:
    plain = golden()
    bound = {name: np.random.default_rng(k).random((2, 4, 3), np.float32) for k, name in enumerate(CLASSES)}
    table = {array: replace(expectation, bound=bound) for array, expectation in plain.expected["table"].items()}
    arrays = encode(replace(plain, expected={**plain.expected, "table": table}), "x")[1]
    flat = arrays["two-steps/bound.param.table"].reshape(-1)
    assert "bound[(c * T + k) * n + i]" in README
    c, k, i = 2, 1, 7
    assert flat[(c * 2 + k) * 12 + i] == bound["tensor-faithful"][1].reshape(-1)[7]
