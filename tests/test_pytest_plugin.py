import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import small_vectors

CASES = (
    "basics/one-step",
    "basics/five-steps",
    "duplicates/pair",
    "options/maximize",
    "refused/lr-negative",
    "groups/lr",
    "eps/eps-near-root",
)

INSTALLED = any(entry_point.value == "refimpl.pytest_plugin" for entry_point in entry_points(group="pytest11"))
PLUGIN = [] if INSTALLED else ["-p", "refimpl.pytest_plugin"]
"""What makes pytest know the plugin: nothing, once refimpl is installed."""

BACKEND = """
import numpy as np
from refimpl.backends import Capabilities, Unsupported
from refimpl.backends.reference import factory as reference


class Wrong:
    name, version = "wrong", "1"
    dialects = {"torch.SparseAdam": Capabilities(dtypes=("float32",))}

    def __init__(self, deviations):
        self.inner = reference(deviations=deviations)

    def start(self, case):
        if len(case.groups) > 1:
            raise Unsupported("one group only")
        return self.inner.start(case)


def last_wins(): return Wrong("duplicates-last-wins")
def no_sign(): return Wrong("maximize-ignored")
def eps_moved(): return Wrong("eps-beside-sqrt-v-hat")
def right(): return Wrong("")


def misspelt():
    backend = right()
    backend.dialects = {"torch.SparseAdam": {"features": ["row"]}}
    return backend


class Raising(Wrong):
    def start(self, case):
        raise ValueError("on principle")


def raising(): return Raising("")


def test_mine(refimpl_case, refimpl_judge):
    refimpl_judge(right(), refimpl_case)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An author's project: vectors, and a module with three wrong backends of a few lines and a right one."""
    directory = tmp_path_factory.mktemp("project")
    small_vectors.write(directory / "vectors", *(f"torch.SparseAdam/{case}" for case in CASES))
    (directory / "mine.py").write_text(BACKEND)
    (directory / "test_own.py").write_text("from mine import test_mine")
    return directory


def ran(project: Path, *arguments: str) -> tuple[int, dict[str, str], str]:
    """The exit code, the end of each vector by its id, and all that was printed."""
    command = [sys.executable, "-m", "pytest", *PLUGIN, "-p", "no:cacheprovider", "-rA", "-v", *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, env=None)
    ends = dict(re.findall(r"^\S*refimpl::torch\.SparseAdam/(\S+) ([A-Z]+)", done.stdout, re.MULTILINE))
    return done.returncode, ends, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("factory", "failing", "cause"),
    [
        ("last_wins", {"duplicates/pair"}, "duplicates-last-wins"),
        ("no_sign", {"options/maximize"}, "maximize-ignored"),
        ("eps_moved", {"eps/eps-near-root", "options/maximize"}, "eps-beside-sqrt-v-hat"),
    ],
)
@pytest.mark.sampled(3)
def test_a_wrong_backend_fails_in_exactly_the_tests_that_its_fault_concerns(
    project: Path, factory: str, failing: set[str], cause: str
) -> None:
    code, ends, text = ran(project, "--refimpl-backend", f"mine:{factory}", "-k", "torch.SparseAdam and not test_mine")
    assert code == 1
    assert {case for case, end in ends.items() if end == "FAILED"} == failing
    assert ends["groups/lr"] == "SKIPPED"
    assert set(ends) == set(CASES)
    assert f"CAUSE {cause}: " in text
    assert "first outside its bound" in text
    assert f"rerun: refimpl check mine:{factory} --case torch.SparseAdam/{min(failing)}" in " ".join(text.replace("\\\n", " ").split())


def test_a_backend_that_refuses_whatever_it_is_given_passes_no_refusal(project: Path, tmp_path: Path) -> None:
    wanted = ["--refimpl-case", "*/refused/*"]
    code, ends, _ = ran(project, "--refimpl-backend", "mine:raising", "-k", "not test_mine", *wanted)
    assert (code, ends) == (1, {"refused/lr-negative": "FAILED"})
    (project / "own_raising.py").write_text(
        "from mine import raising\ndef test_it(refimpl_case, refimpl_judge):\n    refimpl_judge(raising(), refimpl_case)\n"
    )
    code, _, text = ran(project, "own_raising.py", *wanted)
    assert (code, "it refuses lr = 0.001 as well" in text) == (1, True)


def test_a_right_backend_passes_and_what_it_does_not_claim_is_skipped_with_the_reason(project: Path) -> None:
    code, ends, text = ran(project, "--refimpl-backend", "mine:right", "-k", "not test_mine")
    assert code == 0
    assert {end for case, end in ends.items() if case != "groups/lr"} == {"PASSED"}
    assert "one group only" in text


@pytest.mark.parametrize(("factory", "end", "code"), [("last_wins", "XFAIL", 0), ("right", "FAILED", 1)])
def test_a_waiver_is_an_expected_failure_that_must_fail(project: Path, tmp_path: Path, factory: str, end: str, code: int) -> None:
    waivers = tmp_path / "waivers.yaml"
    waivers.write_text(
        "- {case: '*/duplicates/*', reason: not merged yet, link: 'https://example.org/1', deviation: duplicates-last-wins}\n"
    )
    wanted = ["--refimpl-waivers", str(waivers), "--refimpl-case", "*/duplicates/*", "-k", "not test_mine"]
    exit_code, ends, _ = ran(project, "--refimpl-backend", f"mine:{factory}", *wanted)
    assert (exit_code, ends) == (code, {"duplicates/pair": end})


def test_a_test_of_ones_own_runs_once_per_vector(project: Path) -> None:
    code, ends, text = ran(project, "test_own.py")
    assert code == 0
    assert ends == {}
    assert "6 passed, 1 skipped" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--refimpl-backend", "mine:nothing"], "nothing"),
        (["--refimpl-backend", "mine:right", "--refimpl-vectors", "nowhere"], "nowhere"),
        (["--refimpl-backend", "mine:right", "--refimpl-waivers", "none.yaml"], "none.yaml"),
        (["--refimpl-backend", "mine:right", "--refimpl-dialect", "torch.optim.SparseAdam"], "did you mean torch.SparseAdam?"),
        (["--refimpl-backend", "mine:misspelt"], "did you mean rows?"),
    ],
)
@pytest.mark.sampled(3)
def test_what_cannot_be_is_a_usage_error_that_says_why(project: Path, arguments: list[str], said: str) -> None:
    code, _, text = ran(project, *arguments)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert said in text


def test_without_the_option_nothing_heavy_is_imported(tmp_path: Path) -> None:
    arguments = [*PLUGIN, "-q", "--co", "-p", "no:cacheprovider", "-o", "addopts=", "nothing"]
    heavy = "[name for name in sys.modules if name.startswith(('refimpl.vec', 'refimpl.back', 'refimpl.oracle', 'numba'))]"
    code = f"import sys, pytest; pytest.main({arguments}); print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip().endswith("[]")
