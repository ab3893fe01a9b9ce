import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backend_cases import case, elements, ends, golden, is_alive, rows, with_slug

from refimpl.backends import BUILTIN
from refimpl.backends import _job as job
from refimpl.backends._runner import run_backend
from refimpl.backends.outcome import End, Outcome
from refimpl.case import Golden
from refimpl.errors import BAD_INPUT, HARNESS_FAILED, HarnessError, UsageError

TESTS = Path(__file__).parent


@pytest.fixture(autouse=True)
def search_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers inherit the environment: this is how they find toy_backends."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


def goldens(*slugs: str) -> list[Golden]:
    return [golden(with_slug(case(rows([0])), slug)) for slug in slugs]


def outcomes(*slugs: str, spec: str = "toy_backends:troubled", timeout: float = 30.0) -> list[Outcome]:
    return list(run_backend(spec, goldens(*slugs), timeout=timeout))


def test_outcomes_come_in_order_one_per_golden() -> None:
    results = outcomes("a", "b", "c")
    assert [outcome.case_id.rpartition("/")[2] for outcome in results] == ["a", "b", "c"]
    assert {outcome.end for outcome in results} == {End.STATES}
    made = case(rows([0]))
    expected = made.params[0].value.copy()
    expected[0] -= made.steps[0].gradients["w"].values[0]
    np.testing.assert_array_equal(results[0].states["w"]["param"][0], expected)


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ("segfault", "killed by SIGSEGV"),
        ("exit", "the process ended by itself with exit status 3"),
        ("sys-exit", "the process ended by itself with exit status 4"),
    ],
)
def test_a_crash_is_the_outcome_of_its_case_alone(trouble: str, message: str) -> None:
    before, crashed, after = outcomes("a", trouble, "b")
    assert (crashed.end, crashed.message) == (End.CRASHED, message)
    assert (before.end, after.end) == (End.STATES, End.STATES)


@pytest.mark.parametrize("trouble", ["hang", "fork-and-hang"])
def test_a_hang_is_the_outcome_of_its_case_alone(trouble: str) -> None:
    hung, after = outcomes(trouble, "b", timeout=2.0)
    assert (hung.end, hung.message) == (End.HUNG, "no answer within 2 s; the worker was stopped")
    assert after.end is End.STATES


@pytest.mark.parametrize("trouble", ["print", "write-to-fd-1", "read-stdin"])
def test_a_backend_that_uses_the_standard_streams_does_not_disturb_the_channel(trouble: str) -> None:
    assert [outcome.end for outcome in outcomes(trouble, "b")] == [End.STATES, End.STATES]


def test_what_a_backend_prints_goes_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    outcomes("print")
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == "made\nto stdout\n"


def test_a_warning_is_shown_once_in_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    outcomes("warn", "warn")
    assert capfd.readouterr().err == "made\nbackend: UserWarning: this is slow\n"


def test_an_error_is_an_outcome_and_the_worker_stays() -> None:
    with run_backend("toy_backends:process_id", goldens("raise", "b")) as run:
        assert [outcome.end for outcome in run] == [End.RAISED, End.STATES]


def test_the_run_says_what_the_backend_is() -> None:
    run = run_backend("toy_backends:troubled", [], device="cuda", options={"variant": "foreach"})
    assert (run.name, run.version, list(run.dialects)) == ("toy cuda foreach", "1", ["torch.SparseAdam"])
    run.close()


def test_no_device_is_passed_where_none_is_given() -> None:
    with run_backend("toy_backends:troubled", []) as run:
        assert run.name == "toy cpu plain"


def test_a_run_can_be_repeated() -> None:
    run = run_backend("toy_backends:troubled", goldens("a"))
    assert [outcome.end for outcome in (*run, *run)] == [End.STATES, End.STATES]


def test_the_worker_has_ended_after_the_last_outcome() -> None:
    run = run_backend("toy_backends:process_id", goldens("a"))
    assert is_alive(int(run.version))
    list(run)
    assert not is_alive(int(run.version))


def test_the_worker_has_ended_when_the_iteration_is_left() -> None:
    run = run_backend("toy_backends:process_id", goldens("a", "b"))
    iterator: Any = iter(run)
    next(iterator)
    iterator.close()
    assert not is_alive(int(run.version))


def test_the_worker_has_ended_when_the_run_is_deleted() -> None:
    run = run_backend("toy_backends:process_id", goldens("a"))
    worker = int(run.version)
    del run
    assert not is_alive(worker)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own promise, asked for with prctl")
def test_the_worker_ends_when_its_parent_ends() -> None:
    program = textwrap.dedent("""
        import os
        from refimpl.backends._runner import run_backend
        run = run_backend("toy_backends:process_id", [])
        print(run.version, flush=True)
        os._exit(0)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    worker = int(done.stdout)
    assert ends(worker)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nothing", "no backend 'nothing'.*choose from mindspore, numba, reference, torch"),
        ("no.such:", "no backend 'no.such:'"),
        ("no_such_module:factory", "no module 'no_such_module'.*current directory is on the search path"),
        ("toy_backends.inner:factory", "no module 'toy_backends.inner'"),
        ("toy_backends:missing", "toy_backends has no 'missing'.*troubled"),
        ("toy_backends:NOT_A_FACTORY", "is a int, not a factory"),
        ("toy_backends:gives_nothing", "gave a NoneType that has no name, no version, no dialects, no start"),
        ("toy_backends:unreadable", "dialects cannot be read: dialects must be a mapping"),
        ("toy_backends:refuses", "no such device.*take another"),
    ],
)
def test_a_backend_that_is_not_there_is_bad_input(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"(?s){message}") as caught:
        run_backend(spec, [])
    assert caught.value.exit_code == BAD_INPUT


def test_an_option_that_the_factory_does_not_take_is_bad_input() -> None:
    with pytest.raises(UsageError, match=r"raises\(\).* cannot be called with \{'device': 'cuda'\}"):
        run_backend("toy_backends:raises", [], device="cuda")


def test_a_factory_that_raises_is_reported_with_its_traceback() -> None:
    with pytest.raises(HarnessError, match=r"(?s)toy_backends:raises raised.*no luck") as caught:
        run_backend("toy_backends:raises", [])
    assert caught.value.exit_code == HARNESS_FAILED
    assert 'raise RuntimeError("no luck")' in caught.value.message


def test_a_module_that_raises_is_reported_with_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(HarnessError, match=r"(?s)importing broken raised.*ZeroDivisionError"):
        run_backend("broken:factory", [])


def test_a_module_that_needs_another_one_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needs.py").write_text("import not_installed_anywhere\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(HarnessError, match="needs the module 'not_installed_anywhere'"):
        run_backend("needs:factory", [])


def test_a_module_in_the_current_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here.py").write_text("from toy_backends import troubled\n")
    monkeypatch.chdir(tmp_path)
    with run_backend("here:troubled", []) as run:
        assert run.name == "toy cpu plain"


def test_a_worker_that_always_ends_at_the_start_is_given_up_after_five_attempts() -> None:
    with pytest.raises(HarnessError, match=r"exit status 7 \(attempt 5\)"):
        run_backend("toy_backends:exits", [])


def test_a_worker_that_does_not_get_ready_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "STARTUP", 0.01)
    with pytest.raises(HarnessError, match=r"no answer within 0.01 s.*\(attempt 1\)"):
        run_backend("toy_backends:troubled", [])


@pytest.mark.parametrize("name", BUILTIN)
def test_every_built_in_backend_starts_by_its_name(name: str) -> None:
    if find_spec(name) is None and name == "mindspore":
        pytest.skip("mindspore is in an environment of its own")
    with run_backend(name, goldens("a")) as run:
        assert [outcome.end for outcome in run] == [End.UNSUPPORTED if name == "mindspore" else End.STATES]


def test_a_worker_needs_nothing_but_numpy_and_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for absent in ("flint", "numba", "torch", "scipy", "jsonschema", "rich", "ml_dtypes"):
        (tmp_path / f"{absent}.py").write_text(f"raise ImportError('{absent} is not here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with run_backend("reference", goldens("a")) as run:
        assert [outcome.end for outcome in run] == [End.STATES]


def test_element_gradients_reach_the_worker_as_they_are() -> None:
    made = case(elements(([2, 2], [1, 1]), [1.0, 2.0]))
    with run_backend("reference", [golden(made)]) as run:
        (outcome,) = run
    moved = outcome.states["w"]["param"][0] != made.params[0].value
    assert outcome.changed == ()
    assert np.argwhere(moved).tolist() == [[2, 1]]
