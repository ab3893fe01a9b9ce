"""The structure of the package: layers, private modules, the public API, and what the documents import."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from pathlib import Path

import pytest

import refimpl

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tools"))
structure = importlib.import_module("structure")

DOCUMENTS = [
    file
    for pattern in ("*.md", "refimpl/guide/text/*.md", "refimpl/vectors/*.md", "refimpl/diff/*.yaml", "tools/*.md", "tools/peers/*.py")
    for file in REPOSITORY.glob(pattern)
]


def test_no_module_imports_a_later_layer_or_a_private_module_of_another() -> None:
    assert list(structure.faults(structure.imports())) == []


@pytest.mark.parametrize(
    ("file", "line", "fault"),
    [
        ("oracle/new.py", "from ..judging.verdict import Status", "oracle.new imports refimpl.judging.verdict (line 1): a later layer"),
        ("oracle/new.py", "def f():\n    from ..gen import main", "oracle.new imports refimpl.gen (line 2): a later layer"),
        ("oracle/new.py", "from refimpl import Adam", "oracle.new imports refimpl (line 1): a later layer"),
        (
            "judging/families/new.py",
            "from ...reference._update import f",
            "judging.families.new imports refimpl.reference._update (line 1): private to refimpl.reference",
        ),
        (
            "judging/new.py",
            "import refimpl.reference._update",
            "judging.new imports refimpl.reference._update (line 1): private to refimpl.reference",
        ),
        ("novel/__init__.py", "from ..case import Case", "novel stands in no layer: add it to LAYERS in tools/structure.py"),
    ],
)
def test_what_breaks_the_layers_is_named_with_its_line(tmp_path: Path, file: str, line: str, fault: str) -> None:
    modules = ("__init__", "gen", "gradients", "oracle/__init__", "judging/__init__", "judging/verdict", "judging/families/__init__")
    for module in ("case", *modules, "reference/__init__", "reference/_update", file.removesuffix(".py")):
        path = tmp_path / "refimpl" / f"{module}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (tmp_path / "refimpl" / file).write_text(line)
    assert list(structure.faults(structure.imports(tmp_path / "refimpl"))) == [f"refimpl.{fault}"]


def test_the_map_in_contributing_is_made_from_the_imports() -> None:
    text = structure.CONTRIBUTING.read_text(encoding="utf-8")
    assert text == structure.with_picture(text, structure.imports()), "run: python tools/structure.py --write"


def test_dir_lists_the_public_names_and_nothing_else() -> None:
    assert dir(refimpl) == sorted(refimpl.__all__)
    assert all(getattr(refimpl, name) is not None for name in refimpl.__all__)


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_examples_import_nothing_private(file: Path) -> None:
    lines = re.findall(r"^ *((?:from|import) refimpl[\w.]*(?: import [\w, ]+)?)", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for line in lines:
        (node,) = ast.parse(line).body
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
        assert not [name for module in modules for name in (*module.split("."), *names) if name.startswith("_")], line
