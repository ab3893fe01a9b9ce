"""What `check` says of backends and programs that raise in every call, claim or show little, read answers, or vary from run to run."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import small_vectors
from backend_cases import ends
from jsonschema import Draft202012Validator

from refimpl import check

CASES = (
    "basics/one-step",
    "basics/five-steps",
    "duplicates/pair",
    "groups/lr",
    "refused/lr-negative",
    "refused/dense-gradient",
    "refused/dense-after-sparse",
)
SCHEMA = json.loads((resources.files("refimpl.report") / "report.schema.json").read_text(encoding="utf-8"))

Run = Callable[..., tuple[int, str, dict[str, Any], str]]


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_vectors.write(tmp_path_factory.mktemp("vectors"), *(f"torch.SparseAdam/{case}" for case in CASES))


@pytest.fixture
def run(vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `check` in an empty directory; what it gives: exit code, last line, the JSON report, all that was printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    capsys.readouterr()

    def command(*arguments: str) -> tuple[int, str, dict[str, Any], str]:
        code = check.main([*arguments, "--vectors", str(vectors), "--json", "report.json"])
        out, err = capsys.readouterr()
        file = tmp_path / "report.json"
        document = json.loads(file.read_text()) if file.exists() else {}
        if document:
            Draft202012Validator(SCHEMA).validate(document)
        return code, " ".join(out.rpartition("\n\n")[2].split()), document, " ".join((out + err).split())

    return command


def statuses(document: dict[str, Any]) -> dict[str, str]:
    return {case["id"].partition("/")[2]: case["status"] for case in document["cases"]}


@pytest.mark.parametrize(("error", "call"), [("ValueError", "start"), ("NotImplementedError", "step"), ("NameError", "step")])
@pytest.mark.sampled(3)
def test_a_backend_whose_every_call_raises_passes_no_case(run: Run, error: str, call: str) -> None:
    code, _, document, _ = run("toy_backends:raising", "--option", f"error={error}", "--option", f"call={call}")
    assert code == 1
    assert document["counts"]["passed"] == 0


def test_a_backend_that_raises_only_where_it_must_passes(run: Run) -> None:
    code, last, document, _ = run("reference", "--strict")
    assert code == 0
    assert last.endswith("conforms to torch.SparseAdam: 7 cases passed, attained exact-ieee")
    coverage = document["coverage"]
    assert (coverage["selected"], coverage["judged"], coverage["unsupported"], coverage["not_shown"]) == (7, 7, {}, {})
    assert document["rerun"] is None


def test_unsupported_that_is_raised_late_is_an_error(run: Run) -> None:
    code, _, document, printed = run("toy_backends:late")
    assert code == 1
    assert statuses(document)["duplicates/pair"] == "error"
    assert "raised Unsupported in step 1, and only start may: no duplicates" in printed


def test_what_a_claim_leaves_out_stands_in_the_last_line_and_fails_under_strict(run: Run) -> None:
    code, last, document, _ = run("toy_backends:claiming")
    assert code == 0
    assert last == "odd 1 conforms to torch.SparseAdam on 4 of 7 cases: dense, groups unsupported; attained exact-ieee"
    assert document["coverage"]["unsupported"] == {"dense": 2, "groups": 1}
    code, last, _, _ = run("toy_backends:claiming", "--strict")
    assert code == 1
    assert "--strict takes nothing as passed that was not judged" in last


def test_moments_that_are_not_shown_stand_in_the_last_line_and_fail_under_strict(run: Run) -> None:
    code, last, document, _ = run("toy_backends:param_alone")
    assert code == 0
    assert last == "odd 1 conforms to torch.SparseAdam on 7 of 7 cases: exp_avg and exp_avg_sq not shown; attained exact-ieee"
    assert document["coverage"]["not_shown"] == {array: {"cases": 4, "of": 4} for array in ("exp_avg", "exp_avg_sq")}
    assert run("toy_backends:param_alone", "--strict")[0] == 1


def test_a_narrowed_selection_stands_in_the_last_line(run: Run) -> None:
    code, last, document, _ = run("reference", "--case", "*/basics/*")
    assert (code, document["coverage"]["narrowed"]) == (0, True)
    assert last.endswith("conforms to torch.SparseAdam: 2 cases passed of the 2 selected, attained exact-ieee")


def test_refusals_alone_are_not_conformance(run: Run) -> None:
    code, last, _, _ = run("reference", "--case", "*/refused/*")
    assert code == 0
    assert "refuses what torch.SparseAdam refuses on 3 of the 3 selected cases: of torch.SparseAdam only refusals were judged" in last


@pytest.mark.parametrize(
    ("option", "hint"),
    [("feature=row", "did you mean rows?"), ("dtype=flaot32", "did you mean float32?"), ("features=rows", "did you mean feature?")],
)
def test_a_claim_or_an_option_that_is_misspelt_exits_with_2(run: Run, option: str, hint: str) -> None:
    code, _, document, printed = run("toy_backends:claiming", "--option", option)
    assert (code, document) == (2, {})
    assert hint in printed


def test_the_process_of_a_backend_holds_no_expectation(run: Run) -> None:
    assert run("toy_backends:searching")[0] == 0


def causes(document: dict[str, Any]) -> dict[str, list[str]]:
    return {name: cause["cases"] for cause in document["causes"] for name in cause["deviations"]}


def test_results_that_differ_from_run_to_run_are_reported(run: Run) -> None:
    code, _, document, printed = run("toy_backends:restless")
    assert code == 1
    assert document["rerun"] == {"case_id": "torch.SparseAdam/basics/one-step", "alone_passes": False, "deterministic": False}
    assert causes(document)["not-deterministic"] == ["torch.SparseAdam/basics/one-step"]
    assert "the same calls do not give the same results" in printed


def test_a_failure_that_comes_only_after_other_cases_is_reported(run: Run) -> None:
    code, _, document, _ = run("toy_backends:forgetful", "--case", "*/basics/*", "--case", "*/duplicates/*")
    assert code == 1
    assert (document["rerun"]["alone_passes"], document["rerun"]["deterministic"]) == (True, True)
    assert document["rerun"]["case_id"] in causes(document)["only-after-other-cases"]


def test_a_failure_that_does_not_come_again_after_the_same_cases_is_not_blamed_on_them(run: Run) -> None:
    code, _, document, _ = run("toy_backends:fickle")
    assert code == 1
    assert (document["rerun"]["alone_passes"], document["rerun"]["deterministic"]) == (True, False)
    assert "only-after-other-cases" not in causes(document)
    assert "not-deterministic" in causes(document)


def test_a_failure_that_is_the_same_in_every_run_is_not_called_nondeterministic(run: Run) -> None:
    _, _, document, _ = run("reference", "--option", "deviations=duplicates-last-wins")
    assert (document["rerun"]["alone_passes"], document["rerun"]["deterministic"]) == (False, True)
    assert causes(document).keys().isdisjoint({"not-deterministic", "only-after-other-cases"})


INSPECTING = """
    import pathlib, sys
    import numpy as np

    inputs, results = map(pathlib.Path, sys.argv[1:])
    with open("handed", "w") as file:
        print(inputs, results, file=file)
        for text in sorted(inputs.glob("*/*.yaml")):
            print(text.read_text(), file=file)
        for arrays in sorted(inputs.glob("*/*.npz")):
            print(*np.load(arrays), file=file)
    (results / "torch.SparseAdam").mkdir()
    refused = {f"{slug}/error": np.array("no") for slug in ("lr-negative", "dense-gradient", "dense-after-sparse")}
    np.savez(results / "torch.SparseAdam" / "refused.npz", **refused)
    sys.exit(STATUS)
"""


def inspecting(directory: Path, status: int = 0) -> list[str]:
    (directory / "inspecting.py").write_text(textwrap.dedent(INSPECTING).replace("STATUS", str(status)))
    return ["--program", f"{sys.executable} inspecting.py", "--dialect", "torch.SparseAdam"]


@pytest.mark.parametrize("status", [0, 5])
def test_a_program_gets_its_cases_without_expectations_and_nothing_is_left_behind(run: Run, tmp_path: Path, status: int) -> None:
    run(*inspecting(tmp_path, status), "--case", "*/refused/*", "--case", "*/basics/one-step")
    handed = (tmp_path / "handed").read_text()
    inputs, results = handed.splitlines()[0].split()
    assert not Path(inputs).exists()
    assert not Path(results).exists()
    ids = [line.split()[2].partition("/")[2] for line in handed.splitlines() if line.startswith("- id: ")]
    assert sorted(ids) == ["basics/one-step", "refused/dense-after-sparse", "refused/dense-gradient", "refused/lr-negative"]
    assert "/expect." not in handed
    assert "/bound." not in handed
    assert "error:" not in handed
    assert "duplicates-" not in handed  # no deviation that a case catches


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_check_that_is_terminated_ends_its_program_and_leaves_nothing_behind(vectors: Path, tmp_path: Path) -> None:
    (tmp_path / "waiting.py").write_text("import os, sys, time; print(os.getpid(), sys.argv[1], flush=True); time.sleep(600)")
    words = ["--program", f"{sys.executable} waiting.py", "--dialect", "torch.SparseAdam", "--vectors", str(vectors)]
    command = [sys.executable, "-m", "refimpl.check", *words]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("judging ")
        pid, inputs = process.stderr.readline().split()
        assert Path(inputs).is_dir()
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    assert ends(int(pid))
    assert not Path(inputs).parent.exists()


def test_a_program_that_only_refuses_is_not_called_conformant(run: Run, tmp_path: Path) -> None:
    code, last, document, _ = run(*inspecting(tmp_path), "--case", "*/refused/*")
    assert (code, document["coverage"]["refusals"]) == (0, ["torch.SparseAdam"])
    assert "conforms" not in last
    assert "only refusals were judged" in last
