import math

import pytest
from made_reports import array, everything, failed, mismatch, other, passed, report

from refimpl.common.text import first_few, position, printable, ratio
from refimpl.judging.verdict import Diagnosis, Status
from refimpl.report import to_text
from refimpl.report.mismatch import worst


def rows(text: str) -> dict[str, list[str]]:
    """The rows of the tables: theme or `all` -> its cells."""
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.startswith("  ") and len(line.split()) == 11}


def test_the_table_counts_by_theme_and_gives_the_worst_of_each_array() -> None:
    text = to_text(report(passed(), passed("b"), failed(), other(Status.UNSUPPORTED, reason="no")))
    table = rows(text)
    assert table["basics"] == ["2", "0", "0", "0", "1", "exact-faithful", "0.50", "0.25", "-", "-"]
    assert table["duplicates"] == ["0", "1", "0", "0", "0", "none", "2.0e+06", "-", "-", "-"]
    assert table["all"][:5] == ["2", "1", "0", "0", "1"]


def test_the_verdict_is_the_last_line() -> None:
    assert to_text(report(passed())).splitlines()[-1].startswith("toy 1.0 conforms to torch.SparseAdam")


def test_a_failure_gives_place_numbers_and_how_to_rerun_it() -> None:
    text = to_text(report(failed(), environment={"command": "refimpl check toy"}))
    assert "FAILED torch.SparseAdam/duplicates/off\n  A row that occurs twice.\n" in text
    assert "param of 'w', step 3, row 4, column 1" in text
    assert "got       0.25\n" in text
    assert "expected  0.5\n" in text
    assert "error     -0.25, 2.00 bounds of 0.125\n" in text
    assert "rerun: refimpl check toy --case torch.SparseAdam/duplicates/off\n" in text


def test_five_failures_are_shown_in_full_and_all_when_asked() -> None:
    many = report(*(failed(f"off-{number}") for number in range(8)))
    assert to_text(many).count("FAILED ") == 5
    assert "and 3 more failures: torch.SparseAdam/duplicates/off-5" in to_text(many)
    assert to_text(many, verbose=True).count("FAILED ") == 8


def test_a_class_that_is_attained_but_not_enough_is_named() -> None:
    loose = failed(attained="tensor-approx")
    assert "attains tensor-approx, required is exact-ieee" in to_text(report(loose, required="exact-ieee"))


def test_causes_say_what_they_explain_and_what_they_do_not() -> None:
    cause = Diagnosis(("eps-inside-root",), "eps inside the root", ("d/t/a",), ("d/t/b",), ("eps-zero",))
    text = to_text(report(failed("a", "d", "t"), failed("b", "d", "t"), diagnoses=(cause,)))
    explained = "CAUSE eps-inside-root: eps inside the root\n  explains 1 failure: d/t/a\n  these cases cannot tell it from eps-zero\n"
    assert f"{explained}  does not explain 1: d/t/b\n" in text
    assert "NO KNOWN CAUSE for 1 failure: d/t/b" in text


def test_leads_stand_below_the_failures_without_a_cause() -> None:
    text = to_text(report(failed("a", "d", "t"), leads=("wrong: param", "wrong from step 2 on in every failing case")))
    assert "NO KNOWN CAUSE for 1 failure: d/t/a\n  wrong: param\n  wrong from step 2 on in every failing case\n" in text


def test_unsupported_and_waived_cases_are_grouped_by_reason() -> None:
    text = to_text(
        report(
            passed(),
            *(other(Status.UNSUPPORTED, slug, reason="no float16") for slug in "abc"),
            other(Status.WAIVED, waiver="known (https://x.y)"),
        )
    )
    assert "unsupported: 3 cases: no float16" in text
    assert "waived: 1 case: known (https://x.y)" in text


@pytest.mark.parametrize("verbose", [False, True])
def test_every_line_fits_and_no_control_character_gets_through(verbose: bool) -> None:
    text = to_text(everything(), verbose)
    assert max(map(len, text.splitlines())) <= 100
    assert printable(text) == text
    assert "\\x1b[2J<&>\\x00\\ud800" in text
    text.encode("utf-8")


def test_a_long_command_to_rerun_is_broken_as_a_shell_reads_it() -> None:
    text = to_text(report(failed(), environment={"command": "refimpl check " + "x" * 80}))
    assert "x \\\n    --case torch.SparseAdam/duplicates/off\n" in text


def test_numbers_that_are_not_finite_are_shown() -> None:
    text = to_text(report(failed(arrays=(array(worst=math.nan, attained=None),), mismatch=mismatch(got=math.nan, ratio=math.inf))))
    assert rows(text)["duplicates"][6] == "nan"
    assert "got       nan" in text
    assert "not a number of the kind that is expected here" in text


def test_nan_is_the_worst_of_all() -> None:
    arrays = [array(worst=5.0), array(worst=math.nan), array(worst=math.inf)]
    largest = worst(arrays, "param", "exact-ieee")
    assert largest is not None
    assert math.isnan(largest)
    assert worst(arrays[::2], "param", "exact-ieee") == math.inf
    assert worst(arrays, "exp_avg", "exact-ieee") is None


def test_positions_are_named_by_row_and_column() -> None:
    assert position(()) == "its only element"
    assert position((3,)) == "row 3"
    assert position((3, 1)) == "row 3, column 1"
    assert position((3, 1, 2)) == "row 3, column (1, 2)"


def test_ratios_keep_two_or_three_digits() -> None:
    assert [ratio(value) for value in (0.0, 0.004, 0.42, 31.0, 3.14e6, math.inf)] == ["0.00", "4.0e-03", "0.42", "31.00", "3.1e+06", "inf"]


def test_long_lists_are_cut_with_a_count() -> None:
    assert first_few(["a", "b", "c"], 2) == "a, b and 1 more"
    assert first_few(["a", "b"], 2) == "a, b"
