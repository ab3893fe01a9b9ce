import re
import shlex
from pathlib import Path

import pytest
import small_vectors

from refimpl import check, diff, explain, gen
from refimpl.arithmetic import CLASSES
from refimpl.checking import options
from refimpl.dialects import deviations, dialects
from refimpl.judging.waivers import read_waivers

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def blocks(language):
    return [text for name, text in BLOCKS if name == language]


def commands():
    """Every refimpl command of the README, as words."""
    lines = (part for text in blocks("sh") for line in text.splitlines() for part in line.split("&&"))
    return [words for line in lines if (words := shlex.split(line, comments=True)) and Path(words[0]).name == "refimpl"]


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    cases = ("torch.SparseAdam/basics/*", "torch.SparseAdam/duplicates/*", "torch.SparseAdam/refused/lr-negative")
    return small_vectors.write(tmp_path_factory.mktemp("vectors"), *cases)


@pytest.fixture
def judge(vectors, tmp_path, monkeypatch, capsys):
    """Write the module of the README, without the lines of a marker, and judge it: exit code and stdout."""
    monkeypatch.chdir(tmp_path)

    def run(arguments, without=None):
        (text,) = [text for text in blocks("python") if text.startswith("# my_adam.py\n")]
        kept = [line for line in text.splitlines() if without is None or not line.endswith(f"  # {without}")]
        (tmp_path / "my_adam.py").write_text("\n".join(kept))
        return check.main([*arguments, "--vectors", str(vectors)]), capsys.readouterr().out

    return run


def check_of_my_adam():
    """The command below it, without `refimpl check`."""
    (words,) = [words[2:] for words in commands() if "my_adam:MyAdam" in words and "*/basics/*" in words]
    return words


def test_the_backend_in_python_passes_as_the_text_says(judge):
    code, out = judge(check_of_my_adam())
    assert code == 0, out
    assert "my adam 1.0 conforms to torch.SparseAdam" in out


def test_without_the_marked_lines_it_fails_by_the_cause_that_the_text_names(judge):
    code, out = judge(check_of_my_adam(), without="merge")
    assert code == 1
    assert "CAUSE duplicates-last-wins" in out
    assert "`duplicates-last-wins`" in README
    (shown,) = blocks("text")
    assert all(line in out for line in shown.splitlines() if line.strip() != "...")


def test_without_a_selection_it_fails_in_refused_as_the_text_says(judge):
    code, out = judge(["my_adam:MyAdam"])
    assert code == 1
    assert "FAILED torch.SparseAdam/refused/lr-negative" in out


def test_the_other_snippets_run():
    found = [text for text in blocks("python") if not text.startswith("# my_adam.py\n")]
    assert found
    for text in found:
        exec(compile(text, "README.md", "exec"), {})


def test_the_waivers_of_the_text_are_a_waiver_file(tmp_path):
    (text,) = blocks("yaml")
    (tmp_path / "waivers.yaml").write_text(text)
    (waiver,) = read_waivers(tmp_path / "waivers.yaml")
    assert waiver.deviation in deviations()


def test_every_command_of_the_text_is_one_that_the_parsers_take():
    parsers = {"check": options._parser(), "gen": gen._parser(), "diff": diff._parser(), "explain": explain._parser()}
    found = commands()
    assert len(found) >= 5
    for _, name, *arguments in found:
        parsers[name].parse_args(arguments)


def test_every_dialect_and_class_is_explained():
    for name in (*dialects(), *CLASSES):
        assert f"| `{name}` |" in README


def test_every_path_that_is_named_exists():
    paths = re.findall(r"`((?:refimpl|tools|tests)/[\w./-]*)`", README)
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_ci_runs_the_command_for_the_tests_from_the_text():
    marked = README.split("<!-- .ci/run runs the block below -->")
    assert len(marked) == 2
    assert marked[1].startswith("\n```sh\npython -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest\n```\n")
    assert "<!-- .ci/run runs the block below -->" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
