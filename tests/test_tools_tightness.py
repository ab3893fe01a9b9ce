"""The tightness of bounds as a command: its table, its file, its exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest

from refimpl.arithmetic import CLASSES
from refimpl.case import Case

TOOLS = Path(__file__).resolve().parent.parent / "tools"


@pytest.fixture
def tightness(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(TOOLS))
    import tightness

    monkeypatch.setattr(tightness, "LARGEST", 60)
    return tightness


def test_each_array_has_a_block_with_a_line_per_theme_and_a_median(
    tightness: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "tightness.json"
    arguments = ["--theme", "shapes", "--cases", "1", "--json", str(report)]
    tightness.main(arguments)
    lines = capsys.readouterr().out.splitlines()
    heads = [line.split() for line in lines if line.endswith(CLASSES[-1])]
    assert heads == [[array, "dtype", *CLASSES] for array in ("param", "exp_avg", "exp_avg_sq")]
    assert sum(line.split()[:2] == ["median", "float32"] for line in lines) == 3
    rows = json.loads(report.read_text())
    assert all(0 <= ratio <= 1 for row in rows for ratio in row["themes"].values())


def test_a_theme_that_is_loose_is_named_and_fails(
    tightness: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tightness, "usage", lambda *arguments: {"param": 0.05, "exp_avg": 0.5})
    assert tightness.main(["--theme", "basics", "--cases", "1"]) == 1
    assert "loose: torch.SparseAdam, basics, float32, exact-ieee, param: 0.050" in capsys.readouterr().out
    assert tightness.main(["--theme", "ranges", "--cases", "1"]) == 0


def _cases_taken(tightness: Any, monkeypatch: pytest.MonkeyPatch, ratio: float) -> list[str]:
    taken = []

    def usage(case: Case, *arguments: Any) -> dict[str, float]:
        taken.append(case)
        return {"param": ratio}

    monkeypatch.setattr(tightness, "usage", usage)
    tightness.measured("torch.SparseAdam", ["basics"], 2)
    return list(dict.fromkeys(case.id for case in taken))


def test_cases_are_spread_over_the_small_ones_of_a_theme(tightness: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    small = tightness.small_cases("torch.SparseAdam", "basics")
    assert all(sum(param.value.size for param in case.params) * len(case.steps) <= 60 for cases in small.values() for case in cases)
    ends = [cases[k].id for cases in small.values() for k in sorted({0, len(cases) - 1})]
    assert _cases_taken(tightness, monkeypatch, 0.5) == ends


def test_every_small_case_of_a_theme_is_taken_that_seems_loose(tightness: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    small = tightness.small_cases("torch.SparseAdam", "basics")
    assert set(_cases_taken(tightness, monkeypatch, 0.05)) == {case.id for cases in small.values() for case in cases}
