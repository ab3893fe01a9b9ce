"""The benchmark as a command: its table, its files, its refusals. The times that it measures are not tested."""

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refimpl.errors import BAD_INPUT, OK

TOOL = Path(__file__).resolve().parent.parent / "tools" / "bench.py"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.syspath_prepend(str(TOOL.parent))
    spec = importlib.util.spec_from_file_location("bench", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "bench", module)
    spec.loader.exec_module(module)
    cells = (module.Cell(50, 4, 8), module.Cell(50, 4, 8, "repeated"), module.Cell(9000, 1, 0, "dense"))
    monkeypatch.setattr(module, "QUICK", cells)
    monkeypatch.setattr(module, "SETTLE", 0.0)
    for name in ("bench_contestants", "bench_limits", "bench_page", "bench_cells"):
        setattr(module, name, importlib.import_module(name))
    monkeypatch.setattr(module.bench_limits, "TRIES", 1)
    monkeypatch.setattr(module.bench_page, "FOLDER", tmp_path / "bench")
    monkeypatch.setattr(module.bench_page, "PAGE", tmp_path / "BENCH.md")
    return module


def test_the_table_has_a_row_per_cell_with_the_times_and_ratios_of_its_contestants(bench: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--quick", "--repeats", "2"]) == OK
    times, ratios, memory, about = capsys.readouterr().out.split("\n\n")
    head, _, sparse, _, dense = ([cell.strip() for cell in line.strip("|").split("|")] for line in times.splitlines())
    assert head[:6] == ["milliseconds", "limit", "kernel", "step", "serial", "optimizer"]
    assert sparse[0] == "50x4, 8 sorted, distinct"
    assert dense[0] == "dense 9e+03"
    assert all(float(time) > 0 for time in sparse[1:6])
    assert ratios.startswith("| ratio | limit/kernel | limit/step | ")
    assert "serial on 8" in ratios
    assert memory.startswith("copy ")
    assert "optimizer - kernel" in memory
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


@pytest.mark.parametrize("kind", ["distinct", "repeated"])
@pytest.mark.parametrize("name", ["limit", "kernel", "step", "optimizer", "torch"])
def test_every_contestant_of_a_sparse_cell_changes_the_rows_of_the_gradient_and_no_others(
    bench: Any, name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = kept_arrays(bench, monkeypatch)
    run = bench.contest(bench.Cell(40, 3, 12, kind), seed=0).runs[name]
    before = kept[0].copy()
    run()
    assert (kept[0] != before).any(axis=1).sum() == (9 if kind == "repeated" else 12)


@pytest.mark.parametrize("name", ["limit", "step", "optimizer", "torch fused", "torch foreach"])
def test_every_contestant_of_a_dense_cell_changes_every_element(bench: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = kept_arrays(bench, monkeypatch)
    run = bench.contest(bench.Cell(8192, 1, 0, "dense"), seed=0).runs[name]
    before = kept[0].copy()
    run()
    assert (kept[0] != before).mean() > 0.99  # an element whose gradient is almost zero need not change


def test_every_program_that_may_be_the_limit_adds_each_value_to_its_row_once(bench: Any) -> None:
    rng = np.random.default_rng(0)
    indices, values = rng.integers(0, 30, 40), np.ones((40, 5))
    expected = np.zeros((30, 5))
    np.add.at(expected, indices, values)
    arrays = [np.zeros((30, 5)) for _ in range(3)]
    one_thread = [(name, run) for name, run in bench.bench_limits.rows_programs(arrays, indices, values) if " 1 threads" in f" {name}"]
    assert {name.split(",")[0] for name, _ in one_thread} == {"as they come", "by row", "by first occurrence"}
    for name, run in one_thread:
        for array in arrays:
            array[:] = 0
        run()
        for array in arrays:
            np.testing.assert_array_equal(array, expected, name)


def test_streaming_stores_write_the_same_sums(bench: Any) -> None:
    arrays = [np.arange(64, dtype=np.float32) for _ in range(3)]
    programs = dict(bench.bench_limits.dense_programs(arrays, np.ones(64, np.float32)))
    for number, name in enumerate(["plain, 1 threads", "streaming, 1 threads"], start=1):
        programs[name]()
        for array in arrays:
            np.testing.assert_array_equal(array, np.arange(64) + number)


def test_the_zipf_cell_repeats_about_three_fifths_of_its_rows(bench: Any) -> None:
    indices = bench.bench_cells.drawn(bench.Cell(100_000, 4, 3000, "zipf"), np.random.default_rng(0))
    assert 1 - len(np.unique(indices)) / 3000 == pytest.approx(0.6, abs=0.02)


def test_the_page_shows_machines_side_by_side_and_what_falls_short(bench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = bench.bench_page
    machine = {"cpu": "A", "target": "old", "threads": 2}
    cell = {"label": "50x4, 8 sorted, distinct", "kind": "distinct", "touched": 8, "seconds": {}, "ratios": {"limit/kernel": 0.5}}
    page.write_page({"machine": machine, "cells": [cell]})
    assert bench.main(["--quick", "--repeats", "1", "--json", str(tmp_path / "now.json")]) == OK
    document = json.loads((tmp_path / "now.json").read_text())
    document["cells"][0]["ratios"]["limit/kernel"] = 0.95
    page.write_page(document)
    lines = (tmp_path / "BENCH.md").read_text().splitlines()
    aim = next(line for line in lines if line.startswith("| distinct rows"))
    assert "missed in 1 of 1: 0.50 < 0.92 at 50x4, 8 sorted, distinct" in aim
    assert "met in all 1; 0.95 at 50x4, 8 sorted, distinct" in aim
    both = next(line for line in lines if line.startswith("| 50x4, 8 sorted, distinct | "))
    assert sorted(cell.strip() for cell in both.strip("|").split("|")[1:]) == ["0.50", "0.95"]


def test_the_page_in_the_repository_is_what_its_figures_give(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.bench_page, "FOLDER", TOOL.parent / "bench")
    assert (TOOL.parent / "BENCH.md").read_text().splitlines() == list(bench.bench_page.page(bench.bench_page.kept()))
