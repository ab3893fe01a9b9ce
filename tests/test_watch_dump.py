"""Calls that any framework writes, and the command that judges them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refimpl import AdamW, RowGradient, SparseAdam
from refimpl.case import Case, Group, Param, Step
from refimpl.dialects import dialect
from refimpl.errors import UsageError
from refimpl.oracle import expectations
from refimpl.watch import main, record

HYPER: dict[str, Any] = {"lr": 0.01, "betas": (0.9, 0.999), "eps": 1e-8}


def state(table: Any, optimizer: Any) -> dict[str, Any]:
    """The state of one of refimpl's own optimizers over a NumPy array, which is here the foreign framework."""
    kept = optimizer.state_dict()["state"].get(0, {})
    return {"param": table.copy(), **{name: np.array(value) if name != "step" else int(value) for name, value in kept.items()}}


def dump(file: Path, wrong: float = 1.0, sparse: bool = False, steps: int = 2) -> Path:
    random = np.random.default_rng(0)
    table = random.normal(size=(6, 3)).astype(np.float32)
    optimizer = (SparseAdam if sparse else AdamW)([table], **HYPER)
    for _ in range(steps):
        values = random.normal(size=(4, 3) if sparse else (6, 3)).astype(np.float32)
        gradient = RowGradient(np.array([4, 1, 4, 2]), values, (6, 3)) if sparse else values
        before = state(table, optimizer)
        optimizer.step([gradient])
        after = state(table, optimizer)
    after["exp_avg"] = after["exp_avg"] * np.float32(wrong)
    dialect = "torch.SparseAdam" if sparse else "torch.AdamW"
    record({"w": before}, {"w": after}, {"w": gradient}, HYPER, file, dialect=dialect, number=steps)
    return file.with_suffix(".npz")


@pytest.mark.parametrize("sparse", [False, True])
def test_a_right_call_passes_and_a_wrong_one_fails(sparse: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(dump(tmp_path / "right", sparse=sparse))]) == 0
    assert "does what" in capsys.readouterr().out
    wrong = dump(tmp_path / "wrong", 1.001, sparse)
    files = ["--json", str(tmp_path / "r.json"), "--html", str(tmp_path / "r.html"), "--save", str(tmp_path / "saved")]
    assert main([str(wrong), *files]) == 1
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["worst"]["exp_avg"] > 100 > 1 > document["worst"]["exp_avg_sq"]
    assert (tmp_path / "saved" / "MANIFEST.yaml").is_file()
    assert "Calls that are wrong" in (tmp_path / "r.html").read_text()


def test_the_first_call_has_no_moments_before_and_a_directory_is_read_whole(tmp_path: Path) -> None:
    dump(tmp_path / "first", steps=1)
    dump(tmp_path / "second")
    assert main([str(tmp_path), "--json", str(tmp_path.parent / "r.json")]) == 0
    assert json.loads((tmp_path.parent / "r.json").read_text())["calls"] == 2


def test_a_row_that_is_not_stored_must_keep_its_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    w: dict[str, Any] = {"param": np.ones((3, 2), np.float32), "step": 0}
    moved = {"param": np.array([[1, 1], [1, 1], [1, 1.5]], np.float32), "step": 1, "exp_avg": 0 * w["param"], "exp_avg_sq": 0 * w["param"]}
    nothing = RowGradient(np.array([0]), np.zeros((1, 2), np.float32), (3, 2))
    record({"w": w}, {"w": moved}, {"w": nothing}, {}, tmp_path / "leaky", dialect="torch.SparseAdam")
    assert main([str(tmp_path / "leaky.npz")]) == 1
    assert "param of 'w' changes at 2, a row that the gradient does not store" in capsys.readouterr().out


def test_a_dialect_that_counts_calls_and_moves_every_row_is_judged_by_its_own_rules(tmp_path: Path) -> None:
    """keras.Adam: a parameter without a gradient shares the count, and a gradient by rows moves the rows that it does not store."""
    table, still = np.ones((4, 2), np.float32), np.ones(3, np.float32)
    moments: dict[str, Any] = {"exp_avg": np.full((4, 2), 0.5, np.float32), "exp_avg_sq": np.full((4, 2), 0.25, np.float32)}
    gradient = RowGradient(np.array([1]), np.ones((1, 2), np.float32), (4, 2))
    dense = np.zeros((4, 2), np.float32)
    dense[1] = 1
    case = Case(
        "keras.Adam/watch/a", "", "keras.Adam", (Param("w", table, step=3, **moments),), (Group(dialect("keras.Adam").defaults()),),
        (Step({"w": gradient}),), (1,),
    )  # fmt: skip
    exact = expectations(case)["w"]
    before = {"w": {"param": table, **moments, "step": 3}, "b": {"param": still, "step": 3}}
    moved = {array: values.value[0].astype(np.float32) for array, values in exact.items()}
    after = {"w": {**moved, "step": 4}, "b": {"param": still, "step": 4}}
    record(before, after, {"w": gradient, "b": None}, {}, tmp_path / "right", dialect="keras.Adam")
    assert main([str(tmp_path / "right.npz")]) == 0
    moved["param"] = np.where(dense > 0, moved["param"], table)  # as a lazy optimizer would leave it
    record(before, {**after, "w": {**moved, "step": 4}}, {"w": gradient, "b": None}, {}, tmp_path / "lazy", dialect="keras.Adam")
    assert main([str(tmp_path / "lazy.npz")]) == 1
    record(before, {**after, "b": {"param": still, "step": 3}}, {"w": gradient, "b": None}, {}, tmp_path / "late", dialect="keras.Adam")
    assert main([str(tmp_path / "late.npz")]) == 1


BAD: list[tuple[dict[str, Any], str]] = [
    ({"settings": {"lr": -1.0}}, "Invalid learning rate"),
    ({"settings": {"momentum": 0.9}}, "has no parameter 'momentum'"),
    ({"before": {}}, "has no state before"),
    ({"before": {"w": {"step": 0}}}, "there is no `param`"),
    ({"before": {"w": {"param": np.zeros(3, np.int64)}}}, "has dtype int64"),
    ({"after": {"w": {"param": np.zeros(4, np.float32)}}}, "is not of the shape"),
    ({"gradients": {"w": np.zeros(4, np.float32)}}, "gradient"),
    ({"gradients": {"w": RowGradient(np.array([0]), np.zeros(1, np.float32), (3,))}}, "the gradient is rows"),
    ({"gradients": {"w": None, "v": None}}, "v has no state before"),
    ({"before": {"w": {"param": np.zeros(3, np.float32), "step": np.nan}}}, "step is nan"),
    ({"dialect": "torch.AdamX"}, "torch.AdamX"),
]


@pytest.mark.parametrize(("change", "words"), BAD, ids=lambda value: value if isinstance(value, str) else None)
def test_what_a_dump_cannot_hold_is_refused_and_nothing_is_written(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    w: dict[str, Any] = {"param": np.zeros(3, np.float32), "step": 0}
    call: dict[str, Any] = {
        "before": {"w": w},
        "after": {"w": w},
        "gradients": {"w": None},
        "settings": {},
        "dialect": "torch.AdamW",
        **change,
    }
    with pytest.raises(UsageError, match=words):
        record(call["before"], call["after"], call["gradients"], call["settings"], tmp_path / "a", dialect=call["dialect"])
    assert list(tmp_path.iterdir()) == []


def damage(file: Path, old: str, new: str) -> None:
    text = file.with_suffix(".yaml").read_text()
    assert old in text
    file.with_suffix(".yaml").write_text(text.replace(old, new))


BROKEN = [
    ("format: 1", "format: 9", "format: is not 1"),
    ("format: 1", "format: [", "is no YAML"),
    ("torch.AdamW", "torch.AdamX", "torch.AdamX"),
    ("lr: 0.01", "lr: -1.0", "Invalid learning rate"),
    ("gradient: dense", "gradient: rows", "takes dense"),
    ("call: 2", "call: x", "is no dump"),
    ("before.param: float32", "before.param: int", "is no format"),
    ("name: w", "nam: w", "is no dump"),
    ("after.exp_avg:", "after.exp_avg_:", "is no array of a state"),
]


@pytest.mark.parametrize(("old", "new", "words"), BROKEN)
def test_a_broken_dump_is_bad_input(old: str, new: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = dump(tmp_path / "a")
    damage(file, old, new)
    assert main([str(file)]) == 2
    assert words in capsys.readouterr().err


def test_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "examples:" in capsys.readouterr().out
    assert main([str(tmp_path)]) == 2
    assert main([str(tmp_path / "none.npz")]) == 2
