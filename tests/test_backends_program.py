import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backend_cases import case, ends, golden, rows, table, with_slug

from refimpl.backends import ProgramRun
from refimpl.backends._program import judge_program, read_results, run_program
from refimpl.backends.outcome import End, Outcome
from refimpl.case import Case
from refimpl.errors import HarnessError, UsageError

STATE = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
TWO_STEPS = case(rows([0]), rows([1]), slug="one")


def written(directory: Path, made: Case = TWO_STEPS, **members: Any) -> Outcome:
    """The outcome of one case whose theme holds these members; a double underscore stands for the dot."""
    file = directory / "torch.SparseAdam" / "made.npz"
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, **{f"one/{name.replace('__', '.')}": value for name, value in members.items()})
    (outcome,) = read_results(directory, [golden(made)])
    return outcome


def test_arrays_become_states(tmp_path: Path) -> None:
    outcome = written(tmp_path, param__w=STATE, exp_avg__w=STATE + 1)
    assert outcome.end is End.STATES
    np.testing.assert_array_equal(outcome.states["w"]["param"], STATE)
    np.testing.assert_array_equal(outcome.states["w"]["exp_avg"], STATE + 1)
    assert set(outcome.states["w"]) == {"param", "exp_avg"}


def test_a_parameter_may_have_a_dot_in_its_name(tmp_path: Path) -> None:
    made = case(None, None, params=[table("layer.weight")])
    assert list(written(tmp_path, made, param__layer__weight=STATE).states) == ["layer.weight"]


def test_a_wider_dtype_is_taken_where_it_holds_the_same_numbers(tmp_path: Path) -> None:
    outcome = written(tmp_path, param__w=np.where(STATE == 5, np.nan, STATE).astype(np.float64))
    assert outcome.end is End.STATES
    assert outcome.states["w"]["param"].dtype == np.float32


def test_a_number_that_the_dtype_does_not_have_is_refused(tmp_path: Path) -> None:
    wide = STATE.astype(np.float64)
    wide[1, 0, 2] = 0.1
    outcome = written(tmp_path, param__w=wide)
    assert outcome.end is End.MISBEHAVED
    assert "param.w[1, 0, 2] = np.float64(0.1) is no float32" in outcome.message


def test_half_precision_may_come_as_float32(tmp_path: Path) -> None:
    made = case(None, None, params=[table(dtype="bfloat16")])
    assert str(written(tmp_path, made, param__w=STATE).states["w"]["param"].dtype) == "bfloat16"


def test_the_maximum_is_a_result_like_any_other(tmp_path: Path) -> None:
    outcome = written(tmp_path, param__w=STATE, max_exp_avg_sq__w=STATE + 2)
    np.testing.assert_array_equal(outcome.states["w"]["max_exp_avg_sq"], STATE + 2)


MIXED = case(None, None, params=[table(dtypes={"exp_avg": "bfloat16", "exp_avg_sq": "float64"})])


def test_each_array_comes_back_in_its_own_dtype(tmp_path: Path) -> None:
    outcome = written(tmp_path, MIXED, param__w=STATE, exp_avg__w=STATE, exp_avg_sq__w=STATE.astype(np.float64) / 3)
    assert outcome.end is End.STATES
    assert {array: str(values.dtype) for array, values in outcome.states["w"].items()} == {
        "param": "float32",
        "exp_avg": "bfloat16",
        "exp_avg_sq": "float64",
    }


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"exp_avg__w": STATE + np.float32(0.1)},
            "exp_avg.w[0, 0, 0] = np.float32(0.1) is no bfloat16; store each state as bfloat16 has it",
        ),
        ({"exp_avg_sq__w": STATE}, "exp_avg_sq of 'w' has dtype float32, not float64"),
        ({"exp_avg__w": STATE.astype(np.float16)}, "exp_avg of 'w' has dtype float16, not float32 or float64"),
    ],
)
def test_a_result_is_held_against_the_dtype_of_its_array(tmp_path: Path, members: dict[str, Any], message: str) -> None:
    outcome = written(tmp_path, MIXED, **{"param__w": STATE, **members})
    assert outcome.end is End.MISBEHAVED
    assert message in outcome.message


def test_a_second_parameter_is_held_against_its_own_dtype(tmp_path: Path) -> None:
    made = case(None, None, params=[table(), table("u", dtype="float64")])
    outcome = written(tmp_path, made, param__w=STATE, param__u=STATE.astype(np.float64) / 3)
    assert outcome.end is End.STATES
    assert outcome.states["u"]["param"].dtype == np.float64


def test_a_case_that_records_nothing_is_read_at_its_last_step(tmp_path: Path) -> None:
    made = replace(TWO_STEPS, error="invalid-lr", record=())
    assert written(tmp_path, made, param__w=STATE[:1]).end is End.STATES


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"exp_avg__w": STATE}, "parameter 'w' has no array 'param'"),
        ({"param__u": STATE}, "parameter 'u' is unknown; the case has w; parameter 'w' is missing"),
        ({"param__w": STATE, "m__w": STATE}, "parameter 'w' has an array 'm'"),
        ({"param__w": STATE[:1]}, "param of 'w' has shape (1, 4, 3), not (2, 4, 3)"),
        ({"param__w": STATE.astype(np.float16)}, "param of 'w' has dtype float16, not float32 or float64"),
        ({"param__w": STATE.astype(np.int64)}, "param of 'w' has dtype int64, not float32 or float64"),
        ({"param__w": STATE, "error": np.array("no")}, "one/error stands beside other members"),
    ],
)
def test_members_that_do_not_fit_are_named(tmp_path: Path, members: dict[str, Any], message: str) -> None:
    outcome = written(tmp_path, **members)
    assert outcome.end is End.MISBEHAVED
    assert message in outcome.message


@pytest.mark.parametrize(("member", "end"), [("error", End.RAISED), ("unsupported", End.UNSUPPORTED)])
def test_a_text_stands_for_an_end(tmp_path: Path, member: str, end: End) -> None:
    members: dict[str, Any] = {member: np.array("not today")}
    outcome = written(tmp_path, **members)
    assert (outcome.end, outcome.message) == (end, "not today")


def test_what_is_wrong_with_one_case_does_not_change_the_others(tmp_path: Path) -> None:
    file = tmp_path / "torch.SparseAdam" / "made.npz"
    file.parent.mkdir()
    members: dict[str, Any] = {"one/param.w": STATE, "two/param.w": STATE[:1], "tree/param.w": STATE}
    np.savez(file, **members)
    first, second, third = read_results(tmp_path, [golden(with_slug(TWO_STEPS, slug)) for slug in ("one", "two", "three")])
    assert (first.end, second.end, third.end) == (End.STATES, End.MISBEHAVED, End.CRASHED)
    assert third.message == "wrote no result for 'three'; the file has cases that were not asked for: tree"


def test_a_theme_without_a_file_has_no_result(tmp_path: Path) -> None:
    (outcome,) = read_results(tmp_path, [golden(TWO_STEPS)])
    assert outcome.end is End.CRASHED
    assert outcome.message.startswith("wrote no result: there is no ")


def test_a_broken_file_is_reported_for_each_of_its_cases(tmp_path: Path) -> None:
    file = tmp_path / "torch.SparseAdam" / "made.npz"
    file.parent.mkdir()
    file.write_bytes(b"PK, and nothing more")
    (outcome,) = read_results(tmp_path, [golden(TWO_STEPS)])
    assert outcome.end is End.MISBEHAVED
    assert "made.npz" in outcome.message


def test_pickled_objects_are_not_read(tmp_path: Path) -> None:
    outcome = written(tmp_path, param__w=np.array([print], dtype=object))
    assert outcome.end is End.MISBEHAVED
    assert "one/param.w" in outcome.message


def test_results_that_are_not_there_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no directory"):
        list(read_results(tmp_path / "nowhere", []))


def program(tmp_path: Path, text: str) -> str:
    """A command that runs a program of a few lines."""
    file = tmp_path / "the program.py"
    file.write_text(textwrap.dedent(text))
    return f"'{sys.executable}' '{file}'"


def run(tmp_path: Path, command: str, timeout: float = 30.0) -> int:
    vectors = tmp_path / "vectors"
    vectors.mkdir()
    return run_program(command, vectors, tmp_path / "made" / "results", timeout)


def test_a_program_is_called_with_both_directories(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status = run(tmp_path, program(tmp_path, "import sys; print(sys.argv[1:]); open(sys.argv[2] + '/here', 'w')"))
    captured = capfd.readouterr()
    assert status == 0
    assert captured.out == ""
    assert str([str(tmp_path / "vectors"), str(tmp_path / "made" / "results")]) in captured.err
    assert (tmp_path / "made" / "results" / "here").exists()


def test_no_shell_reads_the_command(tmp_path: Path) -> None:
    assert run(tmp_path, program(tmp_path, "import sys; sys.exit(sys.argv[1] != '$HOME;')") + " '$HOME;'") == 0


def test_the_status_of_a_program_is_given_and_its_results_stay(tmp_path: Path) -> None:
    command = program(tmp_path, "import sys; open(sys.argv[2] + '/here', 'w'); sys.exit(9)")
    assert run(tmp_path, command) == 9
    assert (tmp_path / "made" / "results" / "here").exists()


def test_a_program_that_takes_too_long_is_stopped_with_all_that_it_started(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = program(
        tmp_path,
        """
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        with open(sys.argv[2] + "/child", "w") as file:
            file.write(str(child.pid))
        child.wait()
        """,
    )
    assert run(tmp_path, command, timeout=2.0) == -9
    assert ends(int((tmp_path / "made" / "results" / "child").read_text()))
    assert "stopped after 2 s" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("command", "message"),
    [("no-such-program-here", "cannot run 'no-such-program-here'"), ("", "--program is empty"), ("it's", "No closing quotation")],
)
def test_a_command_that_cannot_be_run_is_bad_input(tmp_path: Path, command: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(tmp_path, command)


def test_vectors_that_are_not_there_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no directory"):
        run_program("true", tmp_path / "nowhere", tmp_path / "results", 1.0)
    assert not (tmp_path / "results").exists()


FAILURES = {
    "os.kill(os.getpid(), signal.SIGSEGV)": "was killed by SIGSEGV",
    "time.sleep(600)": "was stopped after 2 s",
    "sys.exit(7)": "ended with exit status 7",
}


def judged(tmp_path: Path, text: str) -> ProgramRun:
    """The run of a program, over the themes `made` and `next` of a case each; `made.npz` lies ready for it."""
    vectors = tmp_path / "vectors"
    vectors.mkdir()
    members: dict[str, Any] = {"one/param.w": STATE}
    np.savez(tmp_path / "made.npz", **members)
    next_theme = replace(TWO_STEPS, id="torch.SparseAdam/next/one")
    head = f"""
        import os, shutil, signal, sys, time
        ready, folder = {str(tmp_path / "made.npz")!r}, sys.argv[2] + "/torch.SparseAdam"
        os.mkdir(folder)
    """
    command = program(tmp_path, textwrap.dedent(head) + textwrap.dedent(text))
    return judge_program(command, vectors, tmp_path / "results", [golden(TWO_STEPS), golden(next_theme)], 2.0)


@pytest.mark.parametrize(("failing", "failure"), FAILURES.items())
def test_a_program_that_fails_midway_fails_only_the_cases_that_it_has_not_written(tmp_path: Path, failing: str, failure: str) -> None:
    run = judged(tmp_path, f"shutil.copy(ready, folder)\n{failing}")
    first, second = run.outcomes
    assert first.end is End.STATES
    assert second.end is End.CRASHED
    assert second.message.endswith(f"the program {failure}")
    assert run.failure == f"the program {failure}"


def test_half_a_file_fails_its_own_cases_alone(tmp_path: Path) -> None:
    half = "shutil.copy(ready, folder)\nopen(folder + '/next.npz', 'wb').write(open(ready, 'rb').read()[:200])\nos.abort()"
    first, second = judged(tmp_path, half).outcomes
    assert first.end is End.STATES
    assert second.end is End.MISBEHAVED
    assert "is not a whole NPZ file" in second.message
    assert second.message.endswith("the program was killed by SIGABRT")


@pytest.mark.parametrize("nothing", ["sys.exit(7)", "open(folder + '/made.npz', 'w').close(); sys.exit(7)"])
def test_a_program_that_fails_without_a_result_is_a_failure_of_the_harness(tmp_path: Path, nothing: str) -> None:
    with pytest.raises(HarnessError, match="ended with exit status 7 and left no result"):
        judged(tmp_path, nothing)


def test_a_program_that_ends_well_is_not_blamed(tmp_path: Path) -> None:
    run = judged(tmp_path, "shutil.copy(ready, folder)")
    assert run.failure == ""
    assert run.outcomes[1].message.startswith("wrote no result: there is no ")
