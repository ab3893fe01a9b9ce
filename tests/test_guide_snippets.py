import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from refimpl.guide._snippets import SnippetFailed, Workshop, workshop


@pytest.fixture
def place() -> Iterator[Workshop]:
    with workshop("chapter") as chapter:
        yield chapter


def test_snippets_share_a_namespace_and_give_back_what_they_print(place: Workshop) -> None:
    assert place.run("x = 2\nprint(x)", 10) == "2\n"
    assert place.evaluate("x + 1") == 3


def test_an_error_names_the_line_of_the_chapter(place: Workshop) -> None:
    with pytest.raises(SnippetFailed, match="ZeroDivisionError") as failed:
        place.run("def f():\n    return 1 / 0\n\nf()", 40)
    assert failed.value.line == 41


def test_a_syntax_error_names_its_line_too(place: Workshop) -> None:
    with pytest.raises(SnippetFailed, match="SyntaxError") as failed:
        place.run("x = 1\ny = (", 7)
    assert failed.value.line == 8


def test_a_warning_counts_as_an_error(place: Workshop) -> None:
    place.names["warn"] = warnings.warn
    with pytest.raises(SnippetFailed, match="UserWarning: old"):
        place.run("warn('old')", 1)


def test_an_expected_error_is_given_back_and_any_other_is_not(place: Workshop) -> None:
    assert place.run("int('x')", 1, expected="ValueError").startswith("ValueError: ")
    with pytest.raises(SnippetFailed, match=r"raised ValueError: .*, not KeyError"):
        place.run("int('x')", 1, expected="KeyError")
    with pytest.raises(SnippetFailed, match="should have raised KeyError"):
        place.run("x = 1", 1, expected="KeyError")


def test_snippets_run_in_a_directory_that_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with workshop("chapter") as place:
        place.write("gone_soon.py", "value = 3\n")
        place.run("import gone_soon\nopen('left.txt', 'w').close()\nassert gone_soon.value == 3", 1)
        directory = place.directory
        assert (directory / "left.txt").exists()
    assert Path.cwd() == tmp_path
    assert list(tmp_path.iterdir()) == []
    assert not directory.exists()
    assert "gone_soon" not in sys.modules
    assert str(directory) not in sys.path


def test_a_file_of_the_text_cannot_leave_the_directory(place: Workshop) -> None:
    place.write("../escaped.py", "")
    assert (place.directory / "escaped.py").exists()
    assert not (place.directory.parent / "escaped.py").exists()


def test_commands_run_without_a_shell_and_end_with_the_code_that_the_text_says(place: Workshop) -> None:
    place.write("p.py", "import sys; print('$HOME', *sys.argv[1:]); sys.exit(3)")
    assert place.command("python p.py 'a b' \\\n  c", 3) == "$HOME a b c\n"
    with pytest.raises(SnippetFailed, match=r"`python p.py` ended with 3, not 0"):
        place.command("python p.py", 0)


def test_only_a_few_programs_can_be_run(place: Workshop) -> None:
    with pytest.raises(SnippetFailed, match="not 'rm'"):
        place.command("rm -rf .", 0)
