import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import small_vectors

from refimpl import audit, check, corpus, diff, explain, gen, guide, warm
from refimpl.checking import options
from refimpl.fuzz import _options as fuzz_options
from refimpl.vectors import read_manifest
from refimpl.watch import _command as watch

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


def commands() -> list[list[str]]:
    """Every refimpl command of the README, in a block or in a line of text, as words."""
    lines = [part for text in blocks("sh") for line in text.splitlines() for part in line.split("&&")]
    lines += re.findall(r"`(refimpl \w+ [^`]*)`", README)
    return [words for line in lines if (words := shlex.split(line, comments=True)) and Path(words[0]).name == "refimpl"]


def test_the_verdict_is_what_check_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    vectors = small_vectors.write(tmp_path / "vectors", "torch.SparseAdam/basics/*", "torch.SparseAdam/duplicates/*")
    (tmp_path / "my_adam.py").write_text(LAST_WINS)
    monkeypatch.chdir(tmp_path)
    assert check.main(["my_adam:factory", "--vectors", str(vectors)]) == 1
    printed = capsys.readouterr().out
    (shown,) = blocks("text")
    assert all(line in printed for line in shown.splitlines() if line.strip() != "...")


LAST_WINS = """
from functools import partial
from refimpl.backends.reference import factory as reference
factory = partial(reference, deviations="duplicates-last-wins")
"""


PARAM_ALONE = """
from refimpl.backends.reference import factory as reference


class MyAdam:
    name, version = "my adam", "1.1"
    dialects = {"torch.SparseAdam": {"dtypes": ["float32", "float64"], "features": ["rows"]}}

    def start(self, case):
        return Run(reference().start(case))


class Run:
    def __init__(self, run):
        self.step, self._state = run.step, run.state

    def state(self):
        return {name: {"param": arrays["param"]} for name, arrays in self._state().items()}
"""


def test_the_sentence_of_a_partial_verdict_is_what_check_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (sentence,) = re.findall(r"^> (my adam .*\n(?:> .*\n)*)", README, re.MULTILINE)
    (tmp_path / "my_adam.py").write_text(PARAM_ALONE)
    monkeypatch.chdir(tmp_path)
    assert check.main(["my_adam:MyAdam", "--vectors", str(ROOT / "vectors"), "--dialect", "torch.SparseAdam"]) == 0
    printed = capsys.readouterr().out
    assert " ".join(printed.split()).endswith(" ".join(sentence.replace("\n> ", " ").split()))


def test_every_command_of_the_text_is_one_that_the_parsers_take() -> None:
    modules: dict[str, Any] = {
        "audit": audit,
        "check": options,
        "corpus": corpus,
        "fuzz": fuzz_options,
        "gen": gen,
        "diff": diff,
        "explain": explain,
        "guide": guide,
        "warm": warm,
        "watch": watch,
    }
    every_command = commands()
    assert len(every_command) >= 3
    for _, name, *arguments in every_command:
        modules[name]._parser().parse_args(arguments)


def test_every_path_that_is_named_exists() -> None:
    paths = re.findall(r"[`(]((?:refimpl|tools|tests|vectors|[A-Z]+\.md)[\w./-]*)[`)]", README)
    assert len(paths) > 5
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_number_of_vectors_and_dialects_is_that_of_the_set() -> None:
    manifest = read_manifest(ROOT / "vectors")
    numbers = {9: "nine", 10: "ten", 11: "eleven", 12: "twelve"}
    assert f"{manifest.cases} for {numbers[len(manifest.dialects)]} dialects" in README


def test_ci_runs_the_command_for_the_tests_from_the_text() -> None:
    marked = README.split("<!-- .ci/run runs the block below -->")
    assert len(marked) == 2
    assert marked[1].startswith("\n```sh\npython -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest\n```\n")
    assert "<!-- .ci/run runs the block below -->" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
