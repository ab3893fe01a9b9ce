"""CONTRIBUTING.md: every recipe is carried out as it is written, on a copy of the package, and touches as few files as it says."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
TEXT = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")

FILES = {
    "Add a dialect": 1,
    "Add a deviation": 1,
    "Add an alternative": 3,
    "Add a hypothesis": 2,
    "Add a theme": 2,
    "Add a backend": 0,
    "Add a peer": 2,
}
"""Section to how many files of the repository it touches, apart from the vectors."""


def section(title: str) -> str:
    (section,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL)
    return str(section)


def blocks(title: str) -> Iterator[tuple[str, str]]:
    yield from re.findall(r"^```(\w+)\n(.*?)^```$", section(title), flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and the tools, without vectors and what tools have built."""
    without = shutil.ignore_patterns("core", "text")
    shutil.copytree(REPOSITORY / "refimpl", tmp_path / "refimpl", ignore=without)
    shutil.copytree(REPOSITORY / "tools", tmp_path / "tools", ignore=without)
    (tmp_path / "build").mkdir()
    return tmp_path


def write(root: Path, text: str) -> str:
    """Put a block into the file that its first line names, which it returns."""
    first, _, rest = text.partition("\n")
    header = re.fullmatch(r"# (\S+)( \(append\))?", first)
    assert header, first
    file = root / header[1]
    assert file.exists() == bool(header[2]), f"{file} {'is missing' if header[2] else 'exists'}"
    file.write_text((file.read_text(encoding="utf-8") if header[2] else "") + rest, encoding="utf-8")
    return header[1]


def insert(root: Path, text: str) -> str:
    """Put each line with a plus behind the line above it, which must be in the file once; the file's name."""
    head, *lines = text.splitlines()
    name = head.removeprefix("+++ ")
    after = ""
    content = (root / name).read_text(encoding="utf-8")
    for line in lines:
        if line.startswith("+"):
            content = content.replace(f"{after}\n", f"{after}\n{line[1:]}\n")
        else:
            after = line[1:]
            assert content.splitlines().count(after) == 1, after
    (root / name).write_text(content, encoding="utf-8")
    return name


def run(root: Path, line: str) -> None:
    """Run a command; behind it a comment may say with which exit code it ends and what it prints."""
    command, _, comment = line.partition("  # ")
    program, *arguments = shlex.split(command)
    words = [sys.executable, *(["-m", "refimpl"] if program == "refimpl" else []), *arguments]
    paths = os.pathsep.join((str(root), str(root / "build")))
    environment = {**os.environ, "PYTHONPATH": paths, "NO_COLOR": "1", "COLUMNS": "200"}
    ended = subprocess.run(words, cwd=root, env=environment, capture_output=True, text=True)
    code, _, printed = comment.removeprefix("exit code ").partition(", ") if comment.startswith("exit code") else ("0", "", "")
    assert ended.returncode == int(code), ended.stdout + ended.stderr
    assert printed in ended.stdout


@pytest.mark.parametrize("title", FILES)
@pytest.mark.sampled(3)
def test_a_recipe_works_as_it_is_written(title: str, copy: Path) -> None:
    touched: set[str] = set()
    for language, text in blocks(title):
        if language == "sh":
            for line in text.splitlines():
                run(copy, line)
        else:
            touched.add((insert if language == "diff" else write)(copy, text))
    assert len({file for file in touched if not file.startswith("build/")}) == FILES[title]


def test_every_recipe_is_tried() -> None:
    assert re.findall(r"^## (Add .*)$", TEXT, flags=re.MULTILINE) == list(FILES)
