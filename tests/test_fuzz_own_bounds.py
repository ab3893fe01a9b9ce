"""The campaign of refimpl's own bounds as a command: its table, its file, its exit codes."""

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from refimpl.arithmetic import CLASSES
from refimpl.dialects import dialects
from refimpl.fuzz import own_bounds


@pytest.fixture
def campaign(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module: ModuleType = own_bounds
    parts: Any = module
    monkeypatch.setattr(module, "BATCH", len(dialects()))  # one case per dialect
    monkeypatch.setattr(module, "SIZES", (parts.Size(4, 16, 2),))
    monkeypatch.setattr(parts.multiprocessing, "get_context", lambda method: _InThisProcess)
    return module


class _InThisProcess:
    """A pool that runs in this process: the tests are of the campaign, not of multiprocessing."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    Pool = classmethod(lambda cls, jobs: cls(jobs))

    def __enter__(self) -> "_InThisProcess":
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def imap(self, function: Any, tasks: Any) -> Any:
        return map(function, tasks)


def test_every_dialect_and_class_has_a_row_and_the_file_holds_the_same(
    campaign: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "campaign.json"
    assert campaign.main(["--element-steps", "1", "--seed", "7", "--json", str(report)]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    rows = [(name, numerics_class) for name in dialects() for numerics_class in CLASSES]
    assert [tuple(line.split()[:2]) for line in lines[1 : 1 + len(rows)]] == rows
    assert f"{len(dialects())} cases, 0 outside" in printed.err
    written = json.loads(report.read_text())
    assert written["element_steps"] == sum(int(line.split()[3].replace(",", "")) for line in lines[1 : 1 + len(rows)]) > 0
    assert all(0 <= row["worst"][array]["ratio"] <= 1 for row in written["rows"] for array in ("param", "exp_avg", "exp_avg_sq"))
    assert len([line for line in lines if line.startswith(CLASSES)]) in (12, 16)  # p, m, v; the maximum where some case keeps one


def test_a_bound_that_is_left_is_shown_and_fails(
    campaign: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    honest = campaign.run

    def run(task: tuple[int, int]) -> Any:
        first, *rest = honest(task)
        return [replace(first, ratio=1.5) if task[1] == 3 else first, *rest]

    monkeypatch.setattr(campaign, "run", run)
    assert campaign.main(["--element-steps", "1"]) == 1
    (outside,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("outside")]
    assert "ratio=1.5" in outside
    assert "(seed 1, case 3)" in outside


def test_the_same_seed_gives_the_same_margins(campaign: ModuleType) -> None:
    assert campaign.run((1, 2)) == campaign.run((1, 2)) != campaign.run((2, 2))


@pytest.mark.parametrize("arguments", [["--element-steps", "0"], ["--jobs", "-1"], ["--seed", "-1"], ["--seed", "x"]])
def test_what_is_no_number_of_the_kind_is_refused(campaign: ModuleType, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        campaign.main(arguments)
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err
