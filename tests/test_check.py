import json
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from xml.etree import ElementTree

import pytest
import small_vectors
from jsonschema import Draft202012Validator

from refimpl import check
from refimpl.backends.outcome import End, Outcome
from refimpl.check import default_class, examine
from refimpl.errors import HarnessError
from refimpl.judging.verdict import Status
from refimpl.vectors import Vectors, read_vectors

SPARSE = ["--dialect", "torch.SparseAdam"]
LAST_WINS = ["--option", "deviations=duplicates-last-wins"]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_vectors.write(tmp_path_factory.mktemp("vectors"))


@pytest.fixture
def run(vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `check` in an empty directory, from which workers import: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()

    def command(*arguments: str) -> tuple[int, str, str]:
        code = check.main([*arguments, *([] if "--vectors" in arguments else ["--vectors", str(vectors)])])
        return code, *capsys.readouterr()

    return command


def backend(directory: Path, start: str, claim: str = "{'torch.SparseAdam': None}") -> None:
    """A module `mine` with a factory `make`, in a directory that workers search."""
    text = f"""
        from refimpl.backends import Unsupported

        class make:
            name, version, dialects = "mine", "7", {claim}

            def start(self, case):
                {start}
    """
    (directory / "mine.py").write_text(textwrap.dedent(text))


PROGRAM = """
    import pathlib, sys
    import numpy as np

    answers, inputs, results = map(pathlib.Path, sys.argv[1:])
    print("a program may print")
    for file in inputs.glob("*/*.npz"):
        members, written = np.load(answers / file.relative_to(inputs)), {}
        for slug in {name.split("/")[0] for name in np.load(file)}:
            for name in members:
                if name.startswith(slug + "/expect."):
                    written[name.replace("expect.", "")] = members[name].astype("float32")
            if not any(name.startswith(slug + "/") for name in written):
                written[slug + "/error"] = np.array("refused")
        (results / file.parent.name).mkdir(exist_ok=True)
        np.savez(results / file.parent.name / file.name, **written)
    sys.exit(EXIT)
"""


def program(directory: Path, answers: Path, code: int = 0) -> str:
    """A program that gives each expectation, out of a set of its own, rounded to the tensor's dtype; returns the command."""
    (directory / "program.py").write_text(textwrap.dedent(PROGRAM).replace("EXIT", str(code)))
    return f"{sys.executable} program.py {answers}"


def test_a_conformant_backend_exits_with_0_and_says_so(run: Run) -> None:
    code, out, _ = run("reference")
    assert code == 0
    assert "conforms to mindspore.LazyAdam, torch.Adam and torch.SparseAdam: 6 cases passed" in " ".join(out.split())


def test_a_wrong_backend_exits_with_1_and_the_cause_is_named(run: Run) -> None:
    code, out, _ = run("reference", *LAST_WINS)
    assert code == 1
    assert "FAILED torch.SparseAdam/duplicates/pair" in out
    assert "CAUSE duplicates-last-wins" in out
    assert "explains 2 failures" in out


def test_the_command_to_rerun_a_failure_fails_in_that_case_alone(run: Run, vectors: Path) -> None:
    _, out, _ = run("reference", *LAST_WINS)
    copied = out.replace("\\\n", "").split("rerun: refimpl check ")[1].splitlines()[0]
    code, again, _ = run(*copied.split())
    assert code == 1
    assert again.count("FAILED ") == 1


def test_dialects_and_cases_select(run: Run) -> None:
    code, out, _ = run("reference", *SPARSE, "--case", "*/duplicates/*", "--case", "*/basics/*")
    assert code == 0
    assert "torch.Adam" not in out
    assert "3 cases passed" in out


def test_reports_are_written_and_agree_with_the_exit_code(run: Run, tmp_path: Path) -> None:
    code, _, _ = run("reference", *LAST_WINS, "--json", "report.json", "--junit", "report.xml")
    document = json.loads((tmp_path / "report.json").read_text())
    schema = json.loads((resources.files("refimpl.report") / "report.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(document)
    assert document["exit_code"] == code == 1
    assert document["causes"][0]["deviations"] == ["duplicates-last-wins"]
    root = ElementTree.parse(tmp_path / "report.xml").getroot()
    assert (root.get("tests"), root.get("failures")) == ("6", "2")


def test_data_is_on_stdout_and_messages_are_on_stderr(run: Run, tmp_path: Path) -> None:
    backend(tmp_path, "raise Unsupported('not today')", "['torch.SparseAdam', 'dgl.SparseAdam']")
    code, out, err = run("mine:make")
    assert code == 3
    assert "dgl.SparseAdam" in err
    assert "dgl.SparseAdam" not in out
    assert "nothing was run: all 4 cases are unsupported" in out


def test_a_backend_that_crashes_exits_with_1(run: Run, tmp_path: Path) -> None:
    backend(tmp_path, "import os; os._exit(5)")
    code, out, _ = run("mine:make", "--case", "*/one-step")
    assert code == 1
    assert "ERROR torch.SparseAdam/basics/one-step" in out


def test_a_case_that_hangs_is_stopped_by_the_time_limit(run: Run, tmp_path: Path) -> None:
    backend(tmp_path, "import time; time.sleep(600)")
    code, out, _ = run("mine:make", "--case", "*/one-step", "--timeout", "0.5")
    assert code == 1
    assert "no answer within 0.5 s" in out


def test_nothing_selected_exits_with_3_and_says_what_may_be_meant(run: Run) -> None:
    code, out, err = run("reference", "--case", "*/duplicate/*")
    assert code == 3
    assert "nothing was run: no case was selected" in out
    assert "--case '*/duplicate/*' matches no case; did you mean '*/duplicates/*'?" in err


def test_a_backend_that_claims_nothing_that_there_are_vectors_of_exits_with_3(run: Run, tmp_path: Path) -> None:
    backend(tmp_path, "pass", "['mindspore.Adam']")
    assert run("mine:make")[0] == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such-backend"], "no backend 'no-such-backend'"),
        (["no_such_module:make"], "no module 'no_such_module'"),
        (["reference", "--dialect", "torch.NoAdam"], "no dialect 'torch.NoAdam'"),
        (["reference", "--dialect", "torch.optim.SparseAdam"], "did you mean torch.SparseAdam?"),
        (["reference", "--case", "*/basics/*", "--case", "*/duplicate/*"], "did you mean '*/duplicates/*'?"),
        (["refrence"], "did you mean reference?"),
        (["reference", "--option", "deviation=duplicates-last-wins"], "did you mean deviations?"),
        (["--program", "", *SPARSE], "--program is empty"),
        (["torch", "--dialect", "mindspore.LazyAdam"], "torch does not claim mindspore.LazyAdam"),
        (["reference", "--dialect", "mindspore.Adam"], "no vectors of dialect 'mindspore.Adam'"),
        (["reference", "--vectors", "nowhere"], "nowhere"),
        (["reference", "--waivers", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["reference", "--option", "no_such=1"], "no_such"),
        (["--program", "./no-such-program", *SPARSE], "no-such-program"),
        (["--results", "nowhere", *SPARSE], "no directory nowhere"),
    ],
)
def test_bad_input_exits_with_2_and_writes_no_report(run: Run, tmp_path: Path, arguments: list[str], said: str) -> None:
    code, out, err = run(*arguments, "--json", "report.json")
    assert code == 2
    assert out == ""
    assert said in err
    assert not (tmp_path / "report.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["reference", "--results", "there"],
        ["--results", "there", "--program", "x", *SPARSE],
        ["--results", "there"],
        ["--program", "x"],
        ["--program", "x", *SPARSE, "--option", "a=b"],
        ["reference", "--require", "perfect"],
        ["reference", "--option", "a"],
        ["reference", "--timeout", "soon"],
        ["reference", "--timeout", "0"],
        ["reference", "--timeout", "nan"],
        ["reference", "--json", "nowhere/report.json"],
        ["reference", "--no-such-flag"],
    ],
)
def test_wrong_usage_exits_with_2(run: Run, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2


def test_a_factory_that_raises_exits_with_3(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def make():\n    raise OSError('no driver')\n")
    code, _, err = run("mine:make")
    assert code == 3
    assert "no driver" in err


def test_a_tighter_class_can_be_required(run: Run) -> None:
    rounded = ["reference", *SPARSE, "--option", "tensor_scalars=yes"]
    assert run(*rounded)[0] == 0
    code, out, _ = run(*rounded, "--require", "exact-ieee")
    assert code == 1
    assert "attains tensor-faithful, required is exact-ieee" in out


@pytest.mark.parametrize(
    ("device", "required"),
    [
        (None, "tensor-faithful"),
        ("cpu", "tensor-faithful"),
        ("cuda:1", "tensor-approx"),
        ("Ascend", "tensor-approx"),
        ("npu:0", "tensor-approx"),
    ],
)
def test_an_accelerator_is_asked_for_less_than_a_cpu(device: str | None, required: str) -> None:
    assert default_class(device) == required


def waivers(directory: Path, *globs: str) -> list[str]:
    (directory / "waivers.yaml").write_text("".join(f"- {{case: '{glob}', reason: known, link: 'https://x.org/1'}}\n" for glob in globs))
    return ["--waivers", "waivers.yaml"]


def test_waived_failures_exit_with_0(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("reference", *LAST_WINS, *waivers(tmp_path, "*/duplicates/*"))
    assert code == 0
    assert "2 known failures waived" in " ".join(out.split())


def test_a_waiver_that_no_longer_applies_exits_with_1_and_is_named(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("reference", *waivers(tmp_path, "*/duplicates/*"))
    assert code == 1
    assert "PROBLEM: the waiver for '*/duplicates/*'" in out
    assert run("reference", *waivers(tmp_path, "no/such/case"))[0] == 1


def test_a_program_is_run_once_and_judged(run: Run, tmp_path: Path, vectors: Path) -> None:
    code, out, _ = run("--program", program(tmp_path, vectors), *SPARSE)
    assert code == 0
    assert "conforms to torch.SparseAdam: 4 cases passed" in " ".join(out.split())


def test_a_program_that_fails_without_a_result_exits_with_3(run: Run, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import sys; sys.exit(4)")
    code, out, err = run("--program", f"{sys.executable} program.py", *SPARSE)
    assert code == 3
    assert out == ""
    assert "ended with exit status 4 and left no result" in err


def test_a_program_that_fails_midway_keeps_its_results_and_exits_with_1(run: Run, tmp_path: Path, vectors: Path) -> None:
    command = program(tmp_path, vectors, code=4)
    file = tmp_path / "program.py"
    file.write_text(file.read_text().replace("np.savez(", "if file.stem != 'basics': np.savez("))
    code, out, _ = run("--program", command, *SPARSE)
    words = " ".join(out.split())
    assert code == 1
    assert "does not conform to torch.SparseAdam: 1 of 4 cases fails" in words
    assert "ERROR torch.SparseAdam/basics/one-step" in words
    assert "basics.npz; the program ended with exit status 4" in words


def test_a_program_that_fails_after_its_last_result_exits_with_1(run: Run, tmp_path: Path, vectors: Path) -> None:
    code, out, _ = run("--program", program(tmp_path, vectors, code=4), *SPARSE, "--junit", "report.xml")
    assert code == 1
    assert "4 cases passed, attained exact-ieee; but the program ended with exit status 4" in " ".join(out.split())
    assert ElementTree.parse(tmp_path / "report.xml").getroot().get("errors") == "1"


def test_results_that_were_made_elsewhere_are_judged(run: Run, tmp_path: Path, vectors: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    subprocess.run([*program(tmp_path, vectors).split(), str(vectors), str(results)], check=True, cwd=tmp_path)
    assert run("--results", "results", *SPARSE)[0] == 0
    (results / "torch.SparseAdam" / "basics.npz").unlink()
    code, out, _ = run("--results", "results", *SPARSE)
    assert code == 1
    assert "wrote no result" in out


def test_damaged_vectors_exit_with_2(run: Run, tmp_path: Path, vectors: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(vectors, damaged)
    file = damaged / "torch.SparseAdam" / "basics.yaml"
    file.write_text(file.read_text() + "\n")
    code, _, err = run("reference", "--vectors", "damaged")
    assert code == 2
    assert "basics.yaml" in err


def test_cases_that_cannot_be_built_here_are_unsupported(vectors: Path) -> None:
    there = read_vectors(vectors, ["torch.Adam"])
    outcomes = [Outcome(golden.case.id, End.UNSUPPORTED, message="no") for golden in there]
    lacking = Vectors(there.goldens, (("torch.Adam/elements/one", "needs scipy"),))
    verdicts = examine(check.Judged("toy", "", lacking, outcomes), "exact-ieee").verdicts
    assert [verdict.status for verdict in verdicts] == [Status.UNSUPPORTED] * 2
    assert verdicts[1].reason == "needs scipy"


def test_outcomes_that_are_missing_or_of_other_cases_are_a_failure_of_the_harness(vectors: Path) -> None:
    there = read_vectors(vectors, ["torch.Adam"])
    for outcomes in ([], [Outcome("torch.Adam/basics/other", End.UNSUPPORTED)]):
        with pytest.raises(HarnessError, match="outcomes for 1 cases"):
            examine(check.Judged("toy", "", there, outcomes), "exact-ieee")
