"""`check` in daily use: failures as they come, the end at the first, a rerun of the last failures, several workers, another Python."""

import json
import subprocess
import sys
import textwrap
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
import small_vectors

from refimpl import check

SPARSE = ["--dialect", "torch.SparseAdam"]
LAST_WINS = ["--option", "deviations=duplicates-last-wins"]
PAIR, NEIGHBOURS = "torch.SparseAdam/duplicates/pair", "torch.SparseAdam/duplicates/neighbours"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_vectors.write(tmp_path_factory.mktemp("vectors"))


@pytest.fixture
def run(vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `check` in an empty directory with a cache of its own: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    capsys.readouterr()

    def command(*arguments: str) -> tuple[int, str, str]:
        code = check.main([*arguments, "--vectors", str(vectors)])
        return code, *capsys.readouterr()

    return command


def test_failures_are_printed_on_standard_error_as_they_come(run: Run) -> None:
    code, _, err = run("reference", *SPARSE, *LAST_WINS)
    told = [line for line in err.splitlines() if line.startswith("FAILED ")]
    assert code == 1
    assert {line.split()[1].rstrip(":") for line in told} == {PAIR, NEIGHBOURS}
    assert all("bounds off: " in line for line in told)


def test_the_first_failure_can_be_the_last(run: Run) -> None:
    code, out, _ = run("reference", *SPARSE, *LAST_WINS, "-x")
    words = " ".join(out.split())
    assert code == 1
    assert out.count("\nFAILED ") == 1
    assert "stopped at the first failure: 2 selected cases not run" in words


def test_stopping_early_changes_nothing_where_nothing_fails(run: Run) -> None:
    assert run("reference", "-x")[0] == 0


def test_a_waived_failure_does_not_stop_the_run(run: Run, tmp_path: Path) -> None:
    (tmp_path / "waivers.yaml").write_text("- {case: '*/duplicates/*', reason: known, link: 'https://x.org/1'}\n")
    code, out, _ = run("reference", *LAST_WINS, "-x", "--waivers", "waivers.yaml")
    assert code == 0
    assert "not run" not in out


def test_the_selected_cases_can_be_listed_without_being_run(run: Run) -> None:
    code, out, _ = run("reference", "--list", "--case", "*/duplicates/*")
    assert code == 0
    assert sorted(line.split("\t")[0] for line in out.splitlines()) == [NEIGHBOURS, PAIR]
    assert run("--list", *SPARSE)[1].count("\n") == 4


def test_what_failed_last_time_is_run_alone_and_then_everything(run: Run) -> None:
    assert "none of the selected cases failed last time" in run("reference", "--last-failed")[2]
    run("reference", *LAST_WINS)
    code, out, _ = run("reference", *LAST_WINS, "--last-failed")
    assert code == 1
    assert "2 of 2 cases fail" in " ".join(out.split())


def test_what_failed_is_remembered_for_each_backend_and_until_it_passes(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        textwrap.dedent("""
            import pathlib
            from refimpl.backends.reference import factory
            def make():
                wrong = pathlib.Path("wrong").exists()
                return factory(deviations="duplicates-last-wins") if wrong else factory()
        """)
    )
    (tmp_path / "wrong").touch()
    assert run("mine:make")[0] == 1
    assert "failed last time" in run("reference", "--last-failed")[2]
    (tmp_path / "wrong").unlink()
    code, out, _ = run("mine:make", "--last-failed")
    assert code == 0
    assert "2 cases passed of the 2 selected" in " ".join(out.split())
    assert "failed last time" in run("mine:make", "--last-failed")[2]


def test_a_cache_that_cannot_be_written_to_does_not_matter(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert run("reference", *SPARSE, "--last-failed")[0] == 0


@pytest.mark.parametrize("options", [[], LAST_WINS])
@pytest.mark.sampled(2)
def test_several_workers_give_the_same_report(run: Run, tmp_path: Path, options: list[str]) -> None:
    reports = []
    for jobs in ("1", "2", "3"):
        code, out, _ = run("reference", *options, "-j", jobs, "--json", "report.json")
        document = json.loads((tmp_path / "report.json").read_text())
        for case in document["cases"]:
            case["seconds"] = 0
        reports.append((code, out, document))
    assert reports[0] == reports[1] == reports[2]


def test_with_several_workers_the_first_failure_can_be_the_last(run: Run) -> None:
    code, out, _ = run("reference", *SPARSE, *LAST_WINS, "-x", "-j", "2")
    assert code == 1
    assert "2 selected cases not run" in " ".join(out.split())


def test_annotations_for_github_name_the_case_and_the_summary_is_appended(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "summary.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    _, out, _ = run("reference", *SPARSE, *LAST_WINS, "--github")
    assert f"::error title={PAIR}::outside its bound: param of 'w', step 1, row 4, column 1%0A" in out
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("before\n### refimpl: reference")
    assert "**Cause** duplicates-last-wins" in summary


def test_the_nearest_dialect_is_named_with_what_is_done_otherwise(run: Run) -> None:
    code, out, _ = run("reference", *SPARSE, *LAST_WINS, "--nearest")
    assert code == 0
    table = out.splitlines()[3:]
    assert table[0].split()[:4] == ["torch.SparseAdam", "1", "of", "3"]
    assert "duplicates" in table[0]
    assert "torch.SparseAdam, but: duplicates-last-wins" in " ".join(out.split())


def test_the_dialect_of_a_right_backend_is_the_nearest(run: Run) -> None:
    _, out, _ = run("reference", "--dialect", "torch.SparseAdam", "--nearest")
    assert "torch.SparseAdam: within its bound everywhere" in out


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ("no-such-python", "no such program"),
        (__file__, "no such program"),
        ("/bin/true", "ended with exit status 0"),
    ],
)
def test_a_python_that_is_none_is_bad_input(run: Run, python: str, said: str) -> None:
    code, _, err = run("reference", "--python", python)
    assert code == 2
    assert f"--python {python}: " in err
    assert said in err


def test_an_environment_without_numpy_is_refused_with_what_to_install(run: Run, tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    python = str(tmp_path / "bare" / "bin" / "python")
    code, _, err = run("reference", "--python", python)
    assert code == 2
    assert "No module named 'numpy'" in err
    assert "-m pip install numpy pyyaml" in err


def test_a_backend_runs_in_another_python_with_this_refimpl_and_its_own_packages(run: Run, tmp_path: Path) -> None:
    """An environment that sees NumPy and PyYAML alone: links to the ones that are installed here."""
    venv.create(tmp_path / "other", with_pip=False)
    python = tmp_path / "other" / "bin" / "python"
    purelib = Path(subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True).strip())
    import numpy
    import yaml

    for package in (numpy, yaml):
        (purelib / package.__name__).symlink_to(Path(str(package.__file__)).parent)
    for entry in Path(numpy.__file__).parent.parent.glob("numpy.libs"):
        (purelib / entry.name).symlink_to(entry)
    (tmp_path / "mine.py").write_text(
        textwrap.dedent("""
            import sys
            from refimpl.backends.reference import factory
            def make():
                backend = factory()
                backend.version = sys.prefix
                return backend
        """)
    )
    code, out, err = run("mine:make", *SPARSE, "--python", str(python))
    assert code == 0, err
    assert str(tmp_path / "other") in out.replace("\n", "")
    assert "conforms to torch.SparseAdam: 4 cases passed" in " ".join(out.split())


def test_unsupported_cases_take_one_line_unless_all_is_asked_for(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        textwrap.dedent("""
            from refimpl.backends.reference import factory
            class Mine:
                def __init__(self):
                    self.reference = factory()
                    self.name, self.version = "mine", "1"
                    self.dialects = {"torch.SparseAdam": {"dtypes": ["float32"], "features": ["dense"]}}
                def start(self, case):
                    return self.reference.start(case)
        """)
    )
    short, long = (run("mine:Mine", *SPARSE, *words)[1] for words in ([], ["--verbose"]))
    assert "unsupported: 4 cases: the case needs rows, and the backend claims dense (--verbose shows which)" in short
    assert PAIR not in short
    assert PAIR in long
    assert NEIGHBOURS in long


@pytest.mark.parametrize("jobs", ["0", "-1", "many", "1.5", "100000"])
def test_a_number_of_workers_that_is_none_is_wrong_usage(run: Run, jobs: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run("reference", "-j", jobs)
    assert ended.value.code == 2


def test_without_vectors_in_the_directory_the_packaged_ones_are_judged(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "refimpl.check", "--list", *SPARSE, "--case", PAIR], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(PAIR)
