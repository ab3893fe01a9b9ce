from pathlib import Path
from typing import Any

import pytest
from made_reports import failed, other, passed

from refimpl.errors import UsageError
from refimpl.judging.verdict import Diagnosis, Status
from refimpl.judging.waivers import Waiver, read_waivers, waive

LINK = "https://example.org/issues/1"


def waiver(case: str, **fields: Any) -> Waiver:
    return Waiver(case, "known", LINK, **fields)


def read(tmp_path: Path, text: str) -> tuple[Waiver, ...]:
    file = tmp_path / "waivers.yaml"
    file.write_text(text, encoding="utf-8")
    return read_waivers(file)


def test_a_file_gives_its_entries(tmp_path: Path) -> None:
    entries = read(
        tmp_path,
        f"- {{case: 'torch.*', reason: rounds twice, link: '{LINK}'}}\n"
        f"- {{case: x, reason: y, link: 'http://z.org', deviation: duplicates-last-wins}}\n",
    )
    assert entries == (Waiver("torch.*", "rounds twice", LINK), Waiver("x", "y", "http://z.org", "duplicates-last-wins"))


ENTRY = f"case: x, reason: y, link: '{LINK}'"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not YAML"),
        ("", "must be a list"),
        ("case: x", "must be a list"),
        ("- x", "entry 1: must be a mapping"),
        (f"- {{{ENTRY}}}\n- {{case: x, reason: y}}", "entry 2: link is missing"),
        (f"- {{case: x, link: '{LINK}'}}", "entry 1: reason is missing"),
        (f"- {{reason: x, link: '{LINK}'}}", "entry 1: case is missing"),
        (f"- {{case: x, reason: '  ', link: '{LINK}'}}", "entry 1: reason: must be a text"),
        (f"- {{case: 3, reason: y, link: '{LINK}'}}", "entry 1: case: must be a text"),
        (f"- {{case: [x], reason: y, link: '{LINK}'}}", "entry 1: case: must be a text"),
        ("- {case: x, reason: y, link: TODO}", "entry 1: link: must be an http"),
        ("- {case: x, reason: y, link: 'ftp://x.org/y'}", "entry 1: link: must be an http"),
        ("- {case: x, reason: y, link: 'https://'}", "entry 1: link: must be an http"),
        ("- {case: x, reason: y, link: 'https://[x'}", "entry 1: link: must be an http"),
        (f"- {{{ENTRY}, until: never}}", "entry 1: unknown key 'until'"),
        (f"- {{{ENTRY}, deviation: no-such}}", "entry 1: deviation: no deviation 'no-such'"),
    ],
)
def test_a_bad_file_is_refused_with_file_entry_and_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        read(tmp_path, text)
    assert raised.value.message.startswith(str(tmp_path / "waivers.yaml"))
    assert said in raised.value.message
    assert raised.value.hint


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"- \xff")
    for file in (tmp_path / "none.yaml", tmp_path, tmp_path / "latin.yaml"):
        with pytest.raises(UsageError, match="cannot be read"):
            read_waivers(file)


def test_failures_and_crashes_that_match_are_waived_and_nothing_else_is() -> None:
    verdicts = [
        passed("a"),
        failed("b"),
        other(Status.ERROR, "c", theme="duplicates"),
        other(Status.UNSUPPORTED, "d"),
        failed("e", theme="eps"),
    ]
    waived, problems = waive(verdicts, [waiver("*/duplicates/*")])
    assert [verdict.status for verdict in waived] == [Status.PASSED, Status.WAIVED, Status.WAIVED, Status.UNSUPPORTED, Status.FAILED]
    assert waived[1].waiver == f"known ({LINK})"
    assert waived[0] is verdicts[0]
    assert problems == ()


def test_a_waiver_of_which_some_cases_pass_by_now_still_applies() -> None:
    waived, problems = waive([passed("a"), failed("b", theme="basics")], [waiver("*/basics/*")])
    assert [verdict.status for verdict in waived] == [Status.PASSED, Status.WAIVED]
    assert problems == ()


def test_a_waiver_that_matches_only_passing_cases_is_a_problem() -> None:
    _, (problem,) = waive([passed("a"), failed("b")], [waiver("*/basics/*")])
    assert "'*/basics/*'" in problem
    assert "every case that it matches passes (1)" in problem


@pytest.mark.parametrize("pattern", ["no/such/case", "*/basics/other"])
def test_a_waiver_that_matches_nothing_that_was_run_is_a_problem(pattern: str) -> None:
    _, (problem,) = waive([failed("a"), other(Status.UNSUPPORTED)], [waiver(pattern)])
    assert "matches no case that was run" in problem


def test_in_a_narrowed_run_a_waiver_that_matches_nothing_says_nothing_but_a_passing_case_does() -> None:
    assert waive([failed("a")], [waiver("no/such/case")], narrowed=True)[1] == ()
    assert waive([passed("a")], [waiver("*/a")], narrowed=True)[1] != ()


def test_a_waiver_with_a_deviation_covers_only_failures_of_that_cause() -> None:
    verdicts = [failed("a"), failed("b")]
    cause = Diagnosis(("duplicates-last-wins",), "about", (verdicts[0].case_id,))
    waived, problems = waive(verdicts, [waiver("*", deviation="duplicates-last-wins")], [cause])
    assert [verdict.status for verdict in waived] == [Status.WAIVED, Status.FAILED]
    assert problems == ()


def test_a_waiver_whose_cases_fail_by_another_cause_is_a_problem() -> None:
    waived, (problem,) = waive([failed("a")], [waiver("*", deviation="duplicates-last-wins")])
    assert waived[0].status is Status.FAILED
    assert "1 fail, but none by duplicates-last-wins" in problem
