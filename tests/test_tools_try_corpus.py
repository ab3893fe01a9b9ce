"""The corpus as a command: its lines, its totals, its file, its exit codes."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from refimpl.errors import BAD_INPUT, NOT_CONFORMANT, OK, UsageError

TOOL = Path(__file__).resolve().parent.parent / "tools" / "try_corpus.py"
PAIR = ["--dialect", "torch.SparseAdam", "--case", "torch.SparseAdam/duplicates/pair", "--jobs", "1"]
"""One case, in which a row occurs twice."""


@pytest.fixture
def corpus(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("corpus_tool", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "corpus_tool", module)
    monkeypatch.setattr(sys, "path", [*sys.path])
    spec.loader.exec_module(module)
    return module


def test_a_line_says_what_is_named_and_the_totals_count_it(corpus: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "lines.json"
    assert corpus.main([*PAIR, "--only", "averaged", "--only", "plain", "--json", str(file)]) == OK
    averaged, plain, wrong, right = capsys.readouterr().out.splitlines()
    assert averaged.split()[:3] == ["right", "averaged", "torch.SparseAdam"]
    assert plain.split()[0] == "conforms"
    assert wrong.startswith("wrong: 1 of 1 refused; 1 named or placed rightly")
    assert right == "right: 1 of 1 conform"
    assert [line["causes"] for line in json.loads(file.read_text())] == [["duplicates-averaged"], []]


def test_a_wrong_row_that_passes_is_an_exit_code_of_1(corpus: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert corpus.main([*PAIR, "--only", "occurrences-to-512"]) == NOT_CONFORMANT
    assert capsys.readouterr().out.startswith("passed")


def test_verbose_tells_what_is_allowed_and_what_was_seen(corpus: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    corpus.main([*PAIR, "--only", "averaged", "--verbose"])
    out = capsys.readouterr().out
    assert "occurrences are averaged" in out
    assert "duplicates-averaged (1)" in out
    assert "bounds away" in out


def test_a_pattern_that_no_row_has_is_bad_input(corpus: ModuleType) -> None:
    with pytest.raises(UsageError) as raised:
        corpus.main(["--only", "nothing-of-the-kind"])
    assert raised.value.exit_code == BAD_INPUT


def test_the_list_shows_every_row_and_runs_nothing(corpus: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert corpus.main(["--list"]) == OK
    assert len(capsys.readouterr().out.splitlines()) == len(corpus.WRONG) + len(corpus.RIGHT)
