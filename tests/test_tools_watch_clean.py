"""The tool that counts clean steps: what it prints, and its exit code where a step is called wrong."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from watched_optimizers import NoOp

from refimpl.errors import NOT_CONFORMANT, OK
from refimpl.watch import _session, _torch

TOOLS = Path(__file__).resolve().parent.parent / "tools"


@pytest.fixture
def watch_clean(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The tool with two runs in float32, and no search for causes, which takes seconds."""
    monkeypatch.syspath_prepend(str(TOOLS))
    tool = importlib.import_module("watch_clean")
    monkeypatch.setattr(tool, "VARIANTS", {"SparseAdam": ({},), "Adamax": ({},)})
    monkeypatch.setattr(tool, "DTYPES", (torch.float32,))
    monkeypatch.setattr(_session, "DIAGNOSED", 0)
    return tool


def test_clean_steps_are_counted(watch_clean: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert watch_clean.main(["--steps", "2"]) == OK
    assert capsys.readouterr().out.startswith("4 clean calls, ")


def test_a_step_that_is_called_wrong_is_a_failure(
    watch_clean: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def still(*options: Any, lr: float = 0.0, **others: Any) -> Any:
        return NoOp(*options, lr=lr)

    monkeypatch.setattr(watch_clean, "VARIANTS", {"Adam": ({},)})
    monkeypatch.setattr(_torch, "claimed_by", lambda optimizer, claimed: "torch.Adam")
    monkeypatch.setattr(torch.optim, "Adam", still)
    assert watch_clean.main(["--steps", "1"]) == NOT_CONFORMANT
    assert "1 calls called wrong" in capsys.readouterr().out


def test_settings_at_random_follow_until_the_time_is_over(watch_clean: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert watch_clean.main(["--steps", "2", "--minutes", "0.02", "--seed", "3"]) == OK
    calls = int(capsys.readouterr().out.split(" ")[0])
    assert calls > 4
