"""`refimpl fuzz` as a command: the whole way from a faulty backend to a vector that `check` refuses, and what is bad input."""

import json
from pathlib import Path

import pytest

from refimpl import check, explain, fuzz

FAULTY = ["reference", "--option", "deviations=duplicates-last-wins", "--dialect", "torch.SparseAdam"]


def test_a_fault_becomes_a_small_vector_that_check_refuses_and_explain_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save, report, junit = tmp_path / "found", tmp_path / "report.json", tmp_path / "report.xml"
    words = [*FAULTY, "--cases", "1", "--save", str(save), "--json", str(report), "--junit", str(junit)]
    assert fuzz.main(words) == 1
    printed = capsys.readouterr()
    assert "CAUSE duplicates-last-wins" in printed.out
    assert "element-steps/s" in printed.err
    found = json.loads(report.read_text())
    (shrunk,) = found["fuzz"]["shrunk"]
    assert (found["exit_code"], shrunk["causes"]) == (1, ["duplicates-last-wins"])
    assert shrunk["elements"] <= 12
    assert "failures" in junit.read_text()
    assert check.main([*FAULTY, "--vectors", str(save)]) == 1
    assert check.main(["reference", "--vectors", str(save), "--dialect", "torch.SparseAdam"]) == 0
    assert explain.main([shrunk["case"], "--vectors", str(save)]) == 0
    capsys.readouterr()
    again = [*FAULTY, "--case", found["cases"][0]["id"]]
    assert fuzz.main(again) == 1
    assert fuzz.main([*FAULTY[:3], "--dialect", "torch.Adam", "--case", found["cases"][0]["id"]]) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a BACKEND"),
        (["torch", "--shard", "3/2"], "is not I/N"),
        (["torch", "--shard", "1/2"], "--shard needs --json"),
        (["torch", "--cases", "0"], "a number from 1 on"),
        (["torch", "--minutes", "-1"], "minutes above 0"),
        (["torch", "--seed", "x"], "a number from 0 on"),
        (["torch", "--cases", "3", "--minutes", "1"], "not allowed with"),
        (["torch", "--dask", "tcp://here:1"], "--dask needs --cases"),
        (["torch", "--merge", "a"], "runs no BACKEND"),
    ],
)
def test_options_that_do_not_fit_are_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        fuzz.main(words)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no_such"], "no backend 'no_such'"),
        (["numba", "--dialect", "torch.Adamm"], "did you mean torch.Adam"),
        (["numba", "--dialect", "torch.NAdam"], "does not claim torch.NAdam"),
        (["numba", "--case", "torch.Adam/tall/other"], "is no case of a campaign"),
        (["--merge", "no-such-file"], "cannot be read"),
    ],
)
def test_what_does_not_exist_is_bad_input(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.main(words) == 2
    assert message in capsys.readouterr().err


def test_a_directory_of_something_else_is_not_written_into(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "README.md").write_text("mine")
    assert fuzz.main(["numba", "--cases", "1", "--save", str(tmp_path)]) == 2
    assert "README.md" in capsys.readouterr().err
    assert (tmp_path / "README.md").read_text() == "mine"
