"""The command `audit`: what it prints, its exit codes, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import VECTORS

from refimpl import audit
from refimpl.__main__ import main as refimpl_main
from refimpl.tolerances import rules, tightest
from refimpl.vectors import read_vectors, write_manifest, write_theme

FEW = ("--dialect", "torch.SparseAdam", "--case", "*/duplicates/pair", "--case", "*/eps/eps-one", "-j", "1")
PAIR = ("--dialect", "torch.SparseAdam", "--case", "*/duplicates/pair", "-j", "1")

Run = Callable[..., tuple[int, str, str]]


CASES = (
    "torch.SparseAdam/duplicates/pair",
    "torch.SparseAdam/duplicates/neighbours",
    "torch.SparseAdam/duplicates/sorted",
    "torch.SparseAdam/eps/eps-one",
    "torch.SparseAdam/refused/lr-negative",
    "torch.AdamW/half/odd-betas-bfloat16",
)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few of the vectors, which are read in no time."""
    directory = tmp_path_factory.mktemp("here") / "vectors"
    goldens = read_vectors(VECTORS, ["torch.SparseAdam", "torch.AdamW"], CASES).goldens
    for theme in dict.fromkeys(golden.case.id.rsplit("/", 1)[0] for golden in goldens):
        write_theme(directory, [golden for golden in goldens if golden.case.id.startswith(f"{theme}/")])
    write_manifest(directory)
    return directory


@pytest.fixture
def run(vectors: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(vectors.parent)
    capsys.readouterr()

    def call(*arguments: str) -> tuple[int, str, str]:
        code = audit.main(arguments)
        return code, *capsys.readouterr()

    return call


def test_a_loose_tolerance_is_told_with_the_mistake_and_the_case(run: Run) -> None:
    code, printed, _ = run("--rtol", "1e-2", "--atol", "1e-3", "--verbose", *FEW)
    assert code == 1
    assert "eps-inside-root-of-v: eps inside the root of v" in printed
    assert "shown by torch.SparseAdam/eps/eps-one: param of 'w'" in printed
    assert "it admits all of tensor-faithful, in every case" in printed
    assert printed.rstrip().splitlines()[-1].endswith("(tensor-faithful)")
    assert all(len(line) <= 100 for line in printed.splitlines())


def test_no_tolerance_at_all_refuses_correct_implementations_too(run: Run) -> None:
    code, printed, _ = run("--rtol", "0", "--atol", "0", *FEW)
    assert code == 1
    assert "MISTAKES it lets pass: 0 of" in printed
    assert "in 2 of 2 cases it may refuse one" in printed
    assert "in 2 cases it refused one that was run" in printed


def test_a_tolerance_that_tells_right_from_wrong_ends_with_zero(run: Run, vectors: Path) -> None:
    goldens = read_vectors(vectors, ["torch.SparseAdam"], ["*/duplicates/pair"]).goldens
    rtol = tightest(goldens, 0, 0, ("param", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"), "tensor-faithful")[0].rtol
    code, printed, _ = run("--rtol", repr(rtol), *PAIR)
    assert code == 0
    assert "the tolerance refuses all of" in printed
    assert "and admits every correct implementation (tensor-faithful)" in " ".join(printed.split())
    assert run("--rtol", repr(rtol * (1 - 1e-9)), *PAIR)[0] == 1


def test_json_says_everything_that_was_tried(run: Run, vectors: Path, tmp_path: Path) -> None:
    file = tmp_path / "audit.json"
    code, _, _ = run("--preset", "torchrec", "--json", str(file), *FEW)
    assert code == 1
    report = json.loads(file.read_text(), parse_constant=_refuse)
    assert report["holds"] is False
    assert report["rule"]["name"] == "torchrec"
    assert report["rule"]["arrays"] == ["param"]
    goldens = read_vectors(vectors, ["torch.SparseAdam"], ["*/duplicates/pair", "*/eps/eps-one"]).goldens
    assert set(report["mistakes"]) == {id for golden in goldens for id in golden.case.catches}
    for mistake in report["mistakes"].values():
        assert mistake["tried"] == len(mistake["cases"])
        assert mistake["passes"] == sum(case["excess"] != "+inf" and case["excess"] <= 1 for case in mistake["cases"].values())
    assert report["tried_on"]["cases"] == 2
    assert [one["array"] for one in report["tightest"]["arrays"]] == ["", "param"]


def _refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is not JSON")


def test_all_presets_make_a_table(run: Run) -> None:
    code, printed, _ = run("--presets", *PAIR)
    assert code == 1
    for name in rules():
        assert any(line.startswith(f"{name} ") and line.split()[-1].isdigit() for line in printed.splitlines())
    assert all(len(line) <= 100 for line in printed.splitlines())


def test_presets_that_compare_something_else_are_left_out_and_named(run: Run) -> None:
    _, printed, said = run("--presets", "--arrays", "exp_avg", *PAIR)
    assert "left out: torchrec compares param, and none of --arrays" in said
    assert "torchrec" not in printed
    assert "bitsandbytes" in printed


def test_arrays_narrow_what_is_compared(run: Run) -> None:
    code, printed, _ = run("--rtol", "0", "--atol", "0", "--arrays", "exp_avg", *FEW)
    assert code == 1
    assert "it shows in none of the arrays that are compared" in printed


def test_verbose_shows_every_mistake(run: Run) -> None:
    short, long = (run("--atol", "10", *FEW, *more)[1] for more in ((), ("--verbose",)))
    assert "(--verbose shows the cases)" in " ".join(short.split())
    assert "--verbose" not in long
    assert long.count("passes in") > short.count("passes in")


def test_a_sample_is_tried_unless_all_is_asked_for(run: Run) -> None:
    cases = [word for slug in ("pair", "neighbours", "sorted") for word in ("--case", f"*/duplicates/{slug}")]
    theme = ("--dialect", "torch.SparseAdam", *cases, "-j", "1", "--rtol", "1e-5")
    sample, everything = (run(*theme, *more)[1] for more in ((), ("--all",)))
    assert "cases (--all: every one)" in " ".join(sample.split())
    assert "--all" not in everything
    assert sample.split("TIGHTEST")[1].split("needed by")[0] == everything.split("TIGHTEST")[1].split("needed by")[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give one of --rtol and --atol, --preset NAME, or --presets"),
        (("--rtol", "1e-5", "--preset", "torch"), "give one of"),
        (("--preset", "torch", "--presets"), "give one of"),
        (("--rtol", "-1"), "'-1' is not a number of at least 0"),
        (("--rtol=nan",), "'nan' is not a number of at least 0"),
        (("--atol", "inf"), "'inf' is not a number of at least 0"),
        (("--atol", "x"), "'x' is not a number of at least 0"),
        (("--atol", "1", "--arrays", "param,momentum"), "'momentum' is none of param"),
        (("--atol", "1", "--arrays", ""), "'' is none of param"),
        (("--atol", "1", "-j", "0"), "'0' is not a number from 1 to 256"),
        (("--atol", "1", "--dtype", "int8"), "invalid choice: 'int8'"),
        (("--atol", "1", "--require", "exact"), "invalid choice: 'exact'"),
        (("--atol", "1", "--json", "/nowhere/audit.json"), "there is no directory"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_is_tried(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        audit.main(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--preset", "torhc", *PAIR), 2, "did you mean torch"),
        (("--preset", "torchrec", "--arrays", "exp_avg", *PAIR), 2, "torchrec compares param, and none of --arrays"),
        (("--preset", "bitsandbytes", "--dtype", "float64", *PAIR), 2, "bitsandbytes has no limits for float64"),
        (("--preset", "bitsandbytes", "--dtype", "all", *PAIR), 2, "it has some for float32, bfloat16, float16"),
        (("--atol", "1", "--dialect", "torch.SparsAdam"), 2, "torch.SparseAdam"),
        (("--atol", "1", "--vectors", "nowhere"), 2, "nowhere"),
        (
            ("--atol", "1", "--case", "*/refused/*"),
            3,
            "no case in float32 that shows a mistake was selected",
        ),
        (("--atol", "1", "--dtype", "bfloat16", *PAIR), 3, "no case in bfloat16"),
        (("--atol", "1", "--case", "*/nothing/*"), 3, "no case in float32"),
    ],
)
def test_bad_input_ends_with_its_exit_code_and_a_message(run: Run, arguments: tuple[str, ...], code: int, words: str) -> None:
    ended, printed, said = run(*arguments)
    assert ended == code
    assert printed == ""
    assert words in said


def test_other_dtypes_have_limits_of_their_own(run: Run) -> None:
    which = ("--dialect", "torch.AdamW", "--case", "*/half/odd-betas-bfloat16", "--dtype", "bfloat16")
    _, printed, _ = run("--preset", "torch", "-j", "1", *which)
    assert "|x - e| <= 1e-05 + 0.016 |e|" in printed


def test_the_command_is_registered(capsys: pytest.CaptureFixture[str]) -> None:
    assert refimpl_main(["audit", "--atol", "1", "--vectors", "nowhere"]) == 2
    assert "refimpl audit: " in capsys.readouterr().err


def test_help_names_every_preset(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        audit.main(["--help"])
    printed = capsys.readouterr().out
    assert all(f"  {name} " in printed for name in rules())
