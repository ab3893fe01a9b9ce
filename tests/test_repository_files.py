"""What newcomers and other tools read: the changelog, the citation, the hooks, the workflows and the coverage gate."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from refimpl import check
from refimpl.checking import options
from refimpl.common.cli import version

ROOT = Path(__file__).resolve().parent.parent


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_changelog_and_the_citation_name_the_version_of_the_package() -> None:
    (declared,) = re.findall(r'^version = "(.*)"$', read("pyproject.toml"), flags=re.MULTILINE)
    assert f"\n## {declared}\n" in read("CHANGELOG.md")
    assert yaml.safe_load(read("CITATION.cff"))["version"] == declared == version()


def test_ci_fails_where_the_tests_run_fewer_lines_of_the_package() -> None:
    project = read("pyproject.toml")
    step = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]["everything"]["steps"][-1]
    assert step["env"]["REFIMPL_CI_COVERAGE"]  # fail_under acts only where coverage is measured
    assert "${REFIMPL_CI_COVERAGE:+ --cov " in read(".ci/run")
    assert 'source = ["refimpl"]' in project
    assert re.search(r"^fail_under = [1-9]\d", project, flags=re.MULTILINE)


def test_ci_runs_what_dot_ci_holds() -> None:
    steps = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]["everything"]["steps"]
    assert steps[-1]["run"] == ".ci/run"
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o100


def test_what_a_short_run_leaves_out_is_run_by_a_schedule() -> None:
    workflow = yaml.safe_load(read(".github/workflows/ci.yml"))
    assert workflow[True]["schedule"]  # YAML 1.1 reads the key `on` as true
    assert "schedule" in workflow["jobs"]["everything"]["steps"][-1]["env"]["REFIMPL_CI_EXHAUSTIVE"]
    assert "${REFIMPL_CI_EXHAUSTIVE:+ --exhaustive}" in read(".ci/run")


def test_the_workflow_to_copy_calls_check_with_options_that_exist() -> None:
    steps = yaml.safe_load(read(".github/workflows/check-my-backend.yml"))["jobs"]["check"]["steps"]
    (command,) = [step["run"] for step in steps if "refimpl check" in step.get("run", "")]
    parsed = options._parser().parse_args(command.replace('"$BACKEND"', "torch").split()[2:])
    assert parsed.github
    assert callable(check.main)


def test_the_hooks_run_what_ci_runs() -> None:
    (repo,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    entries = " ".join(hook["entry"] for hook in repo["hooks"])
    for command in ("ruff check", "ruff format", "mypy"):
        assert command in entries
        assert command.split()[0] in read(".ci/run")
