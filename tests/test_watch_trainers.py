"""The examples of the guide for Lightning and the Hugging Face Trainer, executed where these packages are installed."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")


def example(package: str) -> str:
    """The code of the chapter that imports a package."""
    text = files("refimpl.guide").joinpath("text", "22-watch.md").read_text(encoding="utf-8")
    (code,) = (code for code in re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE) if f"import {package}\n" in code)
    return str(code)


@pytest.mark.filterwarnings("default")  # these packages warn of their own affairs
@pytest.mark.parametrize(("package", "calls", "judged"), [("lightning", 16, 8), ("transformers", 4, 4)])
def test_the_example_of_the_guide_runs_and_pytorch_is_right(
    package: str, calls: int, judged: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(example(package), f"22-watch.md, {package}", "exec"), names)
    shown = capsys.readouterr().out
    assert f"{calls} calls, {judged} judged" in shown
    callback = names["callback"]
    (watch,) = getattr(callback, "watches", None) or [callback.watch]
    assert watch.report().exit_code == 0
