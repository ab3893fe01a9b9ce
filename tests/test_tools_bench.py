"""The benchmark as a command: its table, its files, its refusals. The times that it measures are not tested."""

import importlib
import importlib.util
import json
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refimpl.errors import BAD_INPUT, OK

TOOL = Path(__file__).resolve().parent.parent / "tools" / "bench.py"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(TOOL.parent))
    spec = importlib.util.spec_from_file_location("bench", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "bench", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "QUICK", (module.Cell(50, 4, 8), module.Cell(50, 4, 8, True), module.Cell(9000, 1, 0)))
    monkeypatch.setattr(module, "SETTLE", 0.0)
    module.bench_contestants = importlib.import_module("bench_contestants")
    return module


def test_the_table_has_a_row_per_cell_with_the_times_and_ratios_of_its_contestants(bench: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--quick", "--repeats", "2"]) == OK
    times, ratios, about = capsys.readouterr().out.split("\n\n")
    head, _, sparse, _, dense = ([cell.strip() for cell in line.strip("|").split("|")] for line in times.splitlines())
    assert head[:5] == ["milliseconds", "limit", "kernel", "step", "optimizer"]
    assert sparse[0] == "5e1x4, 8e0 sorted, distinct"
    assert dense[0] == "dense 9e+03"
    assert all(float(time) > 0 for time in sparse[1:5])
    assert ratios.startswith("| ratio | limit/kernel | limit/step | ")
    assert "stream/step" in ratios
    assert "2 rounds" in about


def test_the_cost_of_a_watch_stands_beside_its_bar(bench: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--watch", "--quick", "--repeats", "1"]) == OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("|")[-2].strip() == "bar"
    assert [line.split("|")[1].strip().split(",")[0] for line in lines[2:4]] == ["fused AdamW", "SparseAdam"]
    assert "elements per second of one core" in lines[5]


def programmed(tmp_path: Path, text: str) -> str:
    """A Python, as `--mindspore` names one, whatever program it is given to run."""
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\n{text}\n")
    python.chmod(0o755)
    return str(python)


def test_the_kernel_of_another_environment_is_listed_with_the_seconds_that_it_prints(
    bench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    python = programmed(tmp_path, "import sys\nprint('9.9', flush=True)\nfor _ in sys.stdin: print(7.25, flush=True)")
    assert bench.main(["--quick", "--repeats", "1", "--mindspore", python, "--json", str(tmp_path / "b.json")]) == OK
    cells = json.loads((tmp_path / "b.json").read_text())["cells"]
    assert [cell["seconds"].get("mindspore") for cell in cells] == [7.25, 7.25, None]
    assert "mindspore/kernel" in capsys.readouterr().out


def test_an_environment_without_what_it_needs_is_refused_with_the_command_that_failed(
    bench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    python = programmed(tmp_path, "raise SystemExit(4)")
    assert bench.main(["--quick", "--repeats", "1", "--mindspore", python]) == BAD_INPUT
    assert "bench_mindspore.py" in (printed := capsys.readouterr().err)
    assert "ended with status 4" in printed


def test_json_holds_what_the_table_shows(bench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--quick", "--repeats", "1", "--json", str(tmp_path / "b.json")]) == OK
    document = json.loads((tmp_path / "b.json").read_text())
    assert [cell["label"] for cell in document["cells"]] == [line.split(" | ")[0][2:] for line in capsys.readouterr().out.splitlines()[2:5]]
    assert document["machine"]["threads"] >= 1
    assert document["cells"][0]["ratios"]["limit/kernel"] > 0


def test_the_plot_is_drawn(bench: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert bench.main(["--quick", "--repeats", "1", "--plot", str(tmp_path / "b.svg")]) == OK
    assert (tmp_path / "b.svg").read_text().count("<path") > 20


def test_a_plot_without_matplotlib_is_refused_before_anything_is_measured(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "find_spec", lambda name: None)
    assert bench.main(["--quick", "--plot", str(tmp_path / "b.png")]) == BAD_INPUT
    assert "needs matplotlib" in capsys.readouterr().err


def kept_arrays(bench: Any, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The arrays of every contestant that is made from now on."""
    made = bench.bench_contestants.state
    kept: list[np.ndarray] = []

    def keeping(*arguments: Any) -> list[np.ndarray]:
        kept.extend(made(*arguments))
        return kept

    monkeypatch.setattr(bench.bench_contestants, "state", keeping)
    return kept


@pytest.mark.parametrize(
    ("name", "duplicated"),
    [*product(["limit", "kernel", "step", "optimizer", "torch"], [False, True]), ("stream", True)],
)
def test_every_contestant_of_a_sparse_cell_changes_the_rows_of_the_gradient_and_no_others(
    bench: Any, name: str, duplicated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = kept_arrays(bench, monkeypatch)
    run = bench.contenders(bench.Cell(40, 3, 12, duplicated), seed=0)[name]
    before = kept[0].copy()
    run()
    assert (kept[0] != before).any(axis=1).sum() == (9 if duplicated else 12)


@pytest.mark.parametrize("name", ["limit", "step", "optimizer", "torch fused", "torch foreach"])
def test_every_contestant_of_a_dense_cell_changes_every_element_of_whole_blocks(
    bench: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = kept_arrays(bench, monkeypatch)
    run = bench.contenders(bench.Cell(8192, 1, 0), seed=0)[name]
    before = kept[0].copy()
    run()
    assert (kept[0] != before).mean() > 0.99  # an element whose gradient is almost zero need not change
