"""The examples of the guide for Lightning, the Hugging Face Trainer, several ranks and optax, executed where the packages are installed."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
from watched_examples import example


@pytest.mark.filterwarnings("default")  # these packages warn of their own affairs
@pytest.mark.parametrize(
    ("package", "file", "said"),
    [
        ("lightning", "watch_lightning.py", "16 calls, 8 judged"),
        ("transformers", "watch_transformers.py", "4 calls, 4 judged"),
        ("optax", "watch_optax.py", "optax.adamw does what optax.adamw does in all of 10 calls judged"),
    ],
)
def test_the_example_of_the_guide_runs_and_the_optimizer_is_right(
    package: str, file: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "example"}
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        exec(compile(example(file), file, "exec"), names)
    assert said in " ".join(shown.getvalue().split())
    opened = [*getattr(names.get("callback"), "watches", []), getattr(names.get("callback"), "watch", None), names.get("watch")]
    (watch,) = (one for one in opened if one is not None)
    assert watch.report().exit_code == 0
