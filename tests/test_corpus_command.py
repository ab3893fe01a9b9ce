"""The command `corpus`: what it lists, and names that it does not know."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from refimpl import corpus
from refimpl.__main__ import main as refimpl_main
from refimpl.dialects import deviations
from refimpl.dialects.corpus import corpus as table

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = corpus.main(arguments)
        return code, *capsys.readouterr()

    return call


def test_every_deviation_is_listed_in_a_hundred_columns(run: Run) -> None:
    code, printed, _ = run()
    assert code == 0
    assert all(id in printed for id in deviations())
    assert all(len(line) <= 100 for line in printed.splitlines())
    count = sum(len(entry.instances) for entry in table().values())
    assert printed.splitlines()[-1].startswith(f"{len(table())} deviations, {count} instances: ")


def test_one_deviation_is_shown_with_its_evidence(run: Run) -> None:
    _, printed, _ = run("--deviation", "counter-one-ahead")
    assert "measured thinc 9.1.1, route radam judged by thinc.RAdam (vectors/peers/thinc.json)" in printed
    assert "read     paddlepaddle as reported (Paddle 53052)" in printed
    assert "duplicates" not in printed


def test_a_package_is_shown_with_what_is_known_of_it(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "corpus.json"
    _, printed, _ = run("--package", "thinc", "--json", str(file))
    assert "counter-one-ahead" in printed
    assert "by design" not in printed
    (entry,) = json.loads(file.read_text())
    assert {instance["package"] for instance in entry["instances"]} == {"thinc"}


def test_a_deviation_that_nobody_has_is_said_to_be_a_mutant(run: Run) -> None:
    assert "known in no package (mutants, or options that are not read): sign-flipped" in run("--deviation", "sign-flipped")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--deviation", "counter-one-ahed"), "did you mean counter-one-ahead"),
        (("--package", "thinck"), "did you mean thinc"),
        (("--package", "thinc", "--deviation", "sign-flipped"), "nothing is known of sign-flipped in thinc"),
    ],
)
def test_unknown_names_are_refused(run: Run, arguments: tuple[str, ...], words: str) -> None:
    code, printed, said = run(*arguments)
    assert code == 2
    assert printed == ""
    assert words in said


def test_the_command_is_registered(capsys: pytest.CaptureFixture[str]) -> None:
    assert refimpl_main(["corpus", "--deviation", "eps-dropped"]) == 0
    assert "eps-dropped" in capsys.readouterr().out
