from pathlib import Path

import pytest

from refimpl.guide import _sources as sources
from refimpl.guide._chapter import Wrong
from refimpl.guide._sources import line_of


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "refimpl").mkdir()
    (tmp_path / "refimpl" / "a.py").write_text("x = 1\nif x:\n    y = 2\n    z = 3\ny = 2\n")
    (tmp_path / "outside.py").write_text("x = 1\n")
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    return tmp_path


def test_lines_are_found_by_their_words_whatever_the_indentation_as_a_whole(tree: Path) -> None:
    assert line_of("refimpl/a.py", "    y = 2\n    z = 3\n") == 3
    assert line_of("refimpl/a.py", "y = 2\nz = 3\n") == 3
    assert line_of("refimpl/a.py", "x = 1") == 1


@pytest.mark.parametrize(
    ("path", "snippet", "message"),
    [
        ("refimpl/a.py", "x = 2", r"'x = 2' is not in refimpl/a.py"),
        ("refimpl/a.py", "y = 2", "stands 2 times"),
        ("refimpl/a.py", "if x:\ny = 2", "is not in"),
        ("refimpl/b.py", "x = 1", "no file refimpl/b.py"),
        ("refimpl/../outside.py", "x = 1", "no file"),
        ("outside.py", "x = 1", "no file"),
    ],
)
def test_lines_that_are_not_there_exactly_once_are_refused(tree: Path, path: str, snippet: str, message: str) -> None:
    with pytest.raises(Wrong, match=message):
        line_of(path, snippet)
