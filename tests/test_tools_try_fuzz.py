"""A fast part of the corpus of faulty backends: found, and made small; and the tool that tries all of them."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from corpus.fuzzing import FAULTY
from corpus.wrong_sizes import EARLIER, SIZES

TOOL = Path(__file__).resolve().parent.parent / "tools" / "try_fuzz.py"

FAST = ("averaged", "second-group-other-eps", "33rd-duplicate-lost", "resumed-decays-once-more")


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool, without the diagnosis, which takes longer than all the rest."""
    spec = importlib.util.spec_from_file_location("try_fuzz", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "try_fuzz", module)
    monkeypatch.setattr(sys, "path", [*sys.path])
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys.modules["refimpl.fuzz._campaign"], "DIAGNOSED", 0)
    return module


def test_the_corpus_has_forty_faulty_backends() -> None:
    assert len(FAULTY) == len(SIZES) + len(EARLIER) == 40


@pytest.mark.parametrize("id", FAST)
def test_a_fault_is_found_and_made_small(tool: ModuleType, id: str) -> None:
    line = tool.attempt((id, 600.0, 1))
    assert line.found
    assert line.small
    assert line.least <= line.elements <= 12


def test_what_is_not_found_in_time_is_told_and_fails(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = tool.attempt(("call-300", 0.0, 1))
    assert not line.found
    assert tool.text(line).startswith("MISSED")
    assert tool.summary([line]).startswith("0 of 1 found")
    monkeypatch.setattr(tool, "attempt", lambda task: line)
    assert tool.main(["--only", "averaged"]) == 1
    assert "MISSED" in capsys.readouterr().out
