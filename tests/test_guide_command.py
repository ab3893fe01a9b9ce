import re
from collections.abc import Callable
from pathlib import Path

import pytest

from refimpl import guide
from refimpl.guide import _chapter as chapter

GOOD = "# One\n\nTwo is 2<!--= 1 + 1 -->.\n"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A directory of two chapters."""
    directory = tmp_path / "text"
    directory.mkdir()
    (directory / "README.md").write_text("# Index\n\n[One](01-one.md)\n")
    (directory / "01-one.md").write_text(GOOD)
    return directory


@pytest.fixture
def command(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = guide.main([*arguments, "--text", str(text), "--jobs", "1"])
        return code, *capsys.readouterr()

    return run


def test_pages_are_written_and_other_files_stay(command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    assert command("--out", str(out))[0] == 0
    (out / "mine.txt").write_text("mine")
    code, printed, progress = command("--out", str(out))
    assert (code, printed) == (0, "")
    assert "[2/2] 01-one: " in progress
    assert sorted(file.name for file in out.iterdir()) == ["01-one.html", "index.html", "mine.txt", "search.html"]
    page = (out / "01-one.html").read_text()
    assert "<title>One · the refimpl guide</title>" in page
    assert 'href="index.html"' in page


def test_a_wrong_number_fails_and_writes_nothing(command: Callable[..., tuple[int, str, str]], text: Path, tmp_path: Path) -> None:
    (text / "01-one.md").write_text(GOOD.replace("is 2", "is 3"))
    code, printed, _ = command("--out", str(tmp_path / "out"))
    assert code == 1
    assert printed == "01-one.md, line 3: the text says 3, and `1 + 1` is 2\n"
    assert not (tmp_path / "out").exists()


def test_a_wrong_number_leaves_earlier_pages_as_they_were(command: Callable[..., tuple[int, str, str]], text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert command("--out", str(out))[0] == 0
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    (text / "01-one.md").write_text(GOOD.replace("is 2", "is 3"))
    assert command("--out", str(out))[0] == 1
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


def test_a_check_writes_nothing(command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, _, progress = command("--check")
    assert code == 0
    assert "everything in 2 chapters holds" in progress
    assert [file.name for file in tmp_path.iterdir()] == ["text"]


def test_several_processes_build_the_same(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert guide.main(["--text", str(text), "--jobs", "2", "--out", str(tmp_path / "two")]) == 0
    assert guide.main(["--text", str(text), "--jobs", "1", "--out", str(tmp_path / "one")]) == 0
    for name in ("index.html", "01-one.html", "search.html"):
        assert (tmp_path / "two" / name).read_text() == (tmp_path / "one" / name).read_text()


def test_where_torch_is_missing_the_message_says_what_to_do(
    command: Callable[..., tuple[int, str, str]], text: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (text / "01-one.md").write_text("# One\n\n<!-- needs: torch -->\n\n```python run\nimport torch\n```\n")
    monkeypatch.setattr(guide, "find_spec", lambda name: None if name == "torch" else object())
    code, _, said = command("--out", str(tmp_path / "out"))
    assert code == 2
    assert "pip install 'refimpl[torch]'; or build without it: --without-torch" in said
    code, _, said = command("--out", str(tmp_path / "out"), "--without-torch")
    assert code == 0
    assert "01-one: left out" in said
    assert "built without torch" in (tmp_path / "out" / "01-one.html").read_text()


def test_where_a_package_is_missing_the_message_names_the_extra(
    command: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guide, "find_spec", lambda name: None if name == "latex2mathml" else object())
    code, _, said = command("--check")
    assert code == 2
    assert "needs latex2mathml" in said
    assert "pip install 'refimpl[guide]'" in said


def test_a_place_that_cannot_be_written_is_refused_before_the_work(command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, said = command("--out", str(tmp_path / "file" / "out"))
    assert code == 2
    assert "is not a directory" in said
    assert "[1/2]" not in said


def test_a_directory_without_chapters_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert guide.main(["--text", str(tmp_path), "--check"]) == 2
    assert "holds no chapters" in capsys.readouterr().err


def test_one_of_out_and_check_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        guide.main([])
    assert ended.value.code == 2
    assert "--out DIR" in capsys.readouterr().err


def test_the_index_lists_every_chapter_in_order() -> None:
    index, *others = chapter.chapters()
    assert re.findall(r"^\d+\. \[.*?\]\((.*?)\.md\)", index.text, re.MULTILINE) == [other.name for other in others]
