import json
from pathlib import Path

import numpy as np
import pytest
import small_vectors

from refimpl import explain
from refimpl.__main__ import main as refimpl


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_vectors.write(tmp_path_factory.mktemp("vectors"))


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = explain.main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_without_arguments_a_row_that_occurs_twice_is_worked_through(
    capsys: pytest.CaptureFixture[str], vectors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(vectors.parent)
    code, out, err = run(capsys, "--vectors", vectors, "torch.SparseAdam/duplicates/pair")
    assert (code, err) == (0, "")
    assert out.startswith("torch.SparseAdam/duplicates/pair\n")
    assert out.endswith("The vectors hold the same p, m and v, to the last digit.\n")


def test_refimpl_explain_runs_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert refimpl(["explain", "--grad", "1"]) == 0
    assert "p = p - change" in capsys.readouterr().out


def test_numbers_may_be_negative_and_have_exponents(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--dialect", "torch.SparseAdam", "--grad", "-1,-2e-3", "--lr", "1e-1", "--p", "-3e-2")
    assert code == 0
    assert "g = g[0] + g[1] = (-1) + (-0.002)" in out


def test_json_has_the_bounds_of_every_class_and_no_number_that_json_lacks(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    code, _, _ = run(capsys, "--grad", "1e30", "--json", file, "--against", "eps-inside-root")
    assert code == 0
    document = json.loads(file.read_text(), parse_constant=pytest.fail)
    assert [explanation["deviations"] for explanation in document["explanations"]] == [[], ["eps-inside-root"]]
    assert set(document["explanations"][0]["state"]["param"]["bound"]) == {
        "exact-ieee",
        "exact-faithful",
        "tensor-faithful",
        "tensor-approx",
    }


def test_vectors_that_hold_other_numbers_fail_the_check(
    capsys: pytest.CaptureFixture[str], vectors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain, "stored", lambda golden, explanation: False)
    code, _, err = run(capsys, "--vectors", vectors, "torch.SparseAdam/duplicates/pair")
    assert code == 1
    assert "the vectors hold other numbers" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["torch.SparseAdam/duplicates/pear"], "did you mean"),
        (["--grad", "one"], "is not a number"),
        (["--grad", "1", "--lr", "-1"], "lr"),
        (["--grad", "1", "--step", "2"], "--step 2"),
        (["--grad", "1", "--against", "nobody"], "neither a dialect nor a deviation"),
        (["--grad", "1", "--plot", "steps.txt"], "not the name of a figure"),
    ],
)
def test_what_cannot_be_explained_is_bad_input(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert message in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["torch.SparseAdam/duplicates/pair", "--grad", "1"], "leave out CASE"),
        (["--lr", "0.1"], "add --grad"),
        (["--col", "first"], "is not a column"),
        (["--json", "nowhere/at/all.json"], "there is no directory"),
    ],
)
def test_arguments_that_do_not_go_together_are_usage_errors(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as refused:
        explain.main(words)
    assert refused.value.code == 2
    assert message in capsys.readouterr().err


def test_there_is_nothing_to_draw_of_a_case_that_is_refused(capsys: pytest.CaptureFixture[str], vectors: Path, tmp_path: Path) -> None:
    file = tmp_path / "steps.svg"
    code, _, err = run(capsys, "--vectors", vectors, "torch.SparseAdam/refused/lr-negative", "--plot", file)
    assert code == 2
    assert "nothing to draw" in err
    assert not file.exists()


def test_a_refusal_is_explained(capsys: pytest.CaptureFixture[str], vectors: Path) -> None:
    code, out, _ = run(capsys, "--vectors", vectors, "torch.SparseAdam/refused/lr-negative")
    assert code == 0
    assert "refuses this when the optimizer is made" in out


def test_the_public_parts_work_without_a_terminal() -> None:
    explanation = explain.explain(explain.case_of(explain.Numbers(["1", "0.5"], lr=0.1)), step=2)
    assert np.isfinite(explanation.state["param"].nearest)


EXAMPLES = [line.split("   ")[0].split()[3:] for line in explain.EXAMPLES.splitlines() if line.startswith("  python -m refimpl.explain")]


@pytest.mark.parametrize("words", EXAMPLES, ids=" ".join)
def test_every_example_of_the_help_does_what_it_says(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    assert out
