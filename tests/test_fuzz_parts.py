"""A campaign in parts: one report, byte for byte, however many parts; and a part that is not whole never counts."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz_runs import SETTINGS, Broken, right, sessions, small_only

import refimpl.fuzz._parts as _parts
import refimpl.fuzz._running as running
from refimpl.backends import Capabilities
from refimpl.errors import RefimplError
from refimpl.fuzz._options import Shard
from refimpl.fuzz._parts import Part, merged, read_part
from refimpl.fuzz._report import conclude, to_json, to_text
from refimpl.fuzz._running import run


def doubled(case: Any, number: int, state: Any) -> Any:
    some = any(param.value.shape[1] > 3 for param in case.params) and number > 1
    return {name: {**arrays, "exp_avg": arrays["exp_avg"] * np.float32(2)} for name, arrays in state.items()} if some else state


@pytest.fixture(autouse=True)
def _only_small_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    small_only(monkeypatch)
    monkeypatch.setattr(running, "SHRUNK", 1)
    monkeypatch.setattr(_parts, "SHRUNK", 1)
    monkeypatch.setattr("refimpl.fuzz._shrinking.CANDIDATES", 6)  # every part shrinks its own first failure


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run a campaign in so many parts, and write their files."""

    def made(count: int, fault: Any = right, cases: int = 8, seed: int = 3) -> list[Path]:
        monkeypatch.setattr(running, "session", sessions(Broken(fault)))
        files = []
        for index in range(1, count + 1):
            part = run(replace(SETTINGS, cases=cases, seed=seed), Shard(index, count), None, False)
            files.append(tmp_path / f"{seed}-{index}-of-{count}.json")
            files[-1].write_text(part.text())
        return files

    return made


def merge(files: Sequence[Path]) -> Part:
    return merged(files, [read_part(file) for file in files])


def refused(files: Sequence[Path]) -> RefimplError:
    with pytest.raises(RefimplError) as caught:
        merge(files)
    return caught.value


def test_one_two_and_seven_parts_make_the_same_report_and_the_same_vectors(parts: Any) -> None:
    one, two, seven = (merge(parts(count, doubled)) for count in (1, 2, 7))
    assert one.shrunk
    assert len(one.results) == 8
    assert to_json(one) == to_json(two) == to_json(seven)
    assert to_text(one, None) == to_text(two, None) == to_text(seven, None)
    assert [shrunk.theme for shrunk in one.shrunk] == [shrunk.theme for shrunk in two.shrunk] == [shrunk.theme for shrunk in seven.shrunk]
    assert conclude(one).exit_code == 1


def test_a_campaign_without_parts_gives_the_same_report(parts: Any) -> None:
    both = merge(parts(2))
    whole = run(replace(SETTINGS, cases=8), Shard(1, 1), None, False)
    assert to_json(whole) == to_json(both)


def test_what_is_read_is_what_was_written(parts: Any) -> None:
    (file,) = parts(1, doubled)
    assert read_part(file).text() == file.read_text()


def test_a_lost_part_is_named(parts: Any) -> None:
    files = parts(7)
    error = refused([*files[:4], *files[5:]])
    assert (error.exit_code, error.message) == (3, "part 5 of 7 is missing")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.9, 0.999])
def test_a_part_that_was_cut_off_is_an_error(parts: Any, share: float) -> None:
    files = parts(2)
    text = files[1].read_text()
    files[1].write_text(text[: int(len(text) * share)])
    assert refused(files).exit_code in (2, 3)


def test_a_part_that_was_edited_is_an_error(parts: Any) -> None:
    files = parts(2, doubled)
    files[0].write_text(files[0].read_text().replace('"failed"', '"passed"'))
    error = refused(files)
    assert error.exit_code == 3
    assert "digest" in error.message


def test_a_part_that_is_given_twice_is_an_error(parts: Any) -> None:
    files = parts(2)
    assert refused([files[0], files[0]]).exit_code == 2


def test_a_part_of_another_campaign_is_an_error_that_names_the_difference(parts: Any) -> None:
    error = refused([parts(2)[0], parts(2, seed=4)[1]])
    assert error.exit_code == 2
    assert "seed 4 instead of 3" in error.message
    error = refused([parts(2)[0], parts(7)[1]])
    assert "7 parts instead of 2" in error.message


@pytest.mark.parametrize(
    ("field", "words"), [("version", "version '2' instead of '1'"), ("refimpl", "refimpl '9'"), ("numpy", "numpy '9'")]
)
def test_a_part_of_another_version_is_an_error(parts: Any, field: str, words: str) -> None:
    files = parts(2)
    part = read_part(files[1])
    other: Any = {field: words.split("'")[1]}
    changed = replace(part, identity=replace(part.identity, **other))
    files[1].write_text(changed.text())
    error = refused(files)
    assert error.exit_code == 2
    assert words in error.message


def test_a_part_with_fewer_cases_than_it_should_have_is_an_error(parts: Any) -> None:
    files = parts(2)
    part = read_part(files[1])
    files[1].write_text(replace(part, results=part.results[:-1]).text())
    error = refused(files)
    assert error.exit_code == 3
    assert "1 of its cases are missing" in error.message


def test_a_file_that_is_no_part_is_bad_input(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    for text in ("[]", json.dumps({"format": 1}), "hello"):
        file.write_text(text)
        assert refused([file]).exit_code == 2
    assert refused([tmp_path / "missing.json"]).exit_code == 2


def test_an_interrupt_keeps_what_was_judged_and_passes_nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fault(case: Any, number: int, state: Any) -> Any:
        if case.id.endswith("-case-3"):
            raise KeyboardInterrupt
        return state

    monkeypatch.setattr(running, "session", sessions(Broken(fault)))
    part = run(replace(SETTINGS, cases=8), Shard(1, 1), None, False)
    conclusion = conclude(part)
    assert len(part.results) == 3
    assert conclusion.exit_code == 3
    assert "5 cases not run: interrupted" in conclusion.sentence
    (tmp_path / "part.json").write_text(part.text())
    assert refused([tmp_path / "part.json"]).exit_code == 3


def test_a_campaign_by_time_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "session", sessions(Broken(right)))
    part = run(replace(SETTINGS, cases=None), Shard(1, 1), 0.3 / 60, False)
    assert part.stopped == ""
    assert part.missing == 0
    assert conclude(part).exit_code == (0 if part.results else 3)


def test_a_stop_at_the_first_failure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "session", sessions(Broken(doubled)))
    part = run(replace(SETTINGS, cases=8), Shard(1, 1), None, True)
    assert conclude(part).exit_code == 1
    assert f"{8 - len(part.results)} cases not run: stopped at the first failure" in conclude(part).sentence


def test_nothing_run_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Broken(right)
    backend.dialects = {"torch.SparseAdam": Capabilities(features=("dense",))}  # a claim of what the dialect has not
    monkeypatch.setattr(running, "session", sessions(backend))
    conclusion = conclude(run(replace(SETTINGS, cases=2), Shard(1, 1), None, False))
    assert conclusion.exit_code == 3
    assert conclusion.sentence.startswith("nothing was run")
