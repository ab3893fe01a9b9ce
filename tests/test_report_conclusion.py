from dataclasses import replace

import pytest
from made_reports import failed, other, passed, report

from refimpl.errors import HARNESS_FAILED, NOT_CONFORMANT, OK
from refimpl.judging.verdict import OF_RUNS, CaseVerdict, Diagnosis, Status
from refimpl.report import conclude


def test_all_passed_names_the_dialects_the_count_and_the_class() -> None:
    conclusion = conclude(report(passed(), passed("b", attained="exact-ieee"), passed("c", "torch.Adam")))
    assert conclusion.exit_code == OK
    assert conclusion.sentence == "toy 1.0 conforms to torch.SparseAdam and torch.Adam: 3 cases passed, attained exact-faithful"


def test_one_failure_is_not_conformant_and_other_dialects_are_cleared() -> None:
    cause = Diagnosis(("a", "b"), "about", (failed().case_id,))
    conclusion = conclude(report(passed(), failed(), passed("c", "torch.Adam"), diagnoses=(cause,)))
    assert conclusion.exit_code == NOT_CONFORMANT
    said = "toy 1.0 does not conform to torch.SparseAdam: 1 of 2 cases fails; cause: a with b; it conforms to torch.Adam"
    assert conclusion.sentence == said


def test_causes_that_explain_nine_tenths_of_the_failures_are_named_and_others_are_not() -> None:
    failures = [failed(f"off-{k}") for k in range(10)]
    nine, eight = (Diagnosis(("eps-dropped",), "about", tuple(failure.case_id for failure in failures[:n])) for n in (9, 8))
    assert "; cause: eps-dropped" in conclude(report(*failures, diagnoses=(nine,))).sentence
    said = conclude(report(*failures, diagnoses=(eight,))).sentence
    assert said == "toy 1.0 does not conform to torch.SparseAdam: 10 of 10 cases fail; no known cause explains more than 8 of 10"
    assert conclude(report(*failures)).sentence.endswith("10 of 10 cases fail; no known cause")


def test_what_a_second_run_shows_is_reported_however_little_it_explains() -> None:
    failures = [failed(f"off-{k}") for k in range(10)]
    once = Diagnosis(("not-deterministic",), "about", (failures[0].case_id,), family=OF_RUNS)
    assert "; cause: not-deterministic; no known cause" in conclude(report(*failures, diagnoses=(once,))).sentence


def test_a_crash_is_not_conformant() -> None:
    assert conclude(report(passed(), other(Status.ERROR, reason="crashed"))).exit_code == NOT_CONFORMANT


def test_a_dialect_of_which_nothing_ran_is_not_called_conformant() -> None:
    conclusion = conclude(report(passed(), other(Status.UNSUPPORTED, dialect="torch.Adam")))
    assert conclusion.exit_code == OK
    said = "toy 1.0 conforms to torch.SparseAdam on 1 of 2 cases: all of torch.Adam unsupported; attained exact-faithful"
    assert conclusion.sentence == said


def unsupported(slug: str, *needs: str, reason: str = "", dialect: str = "torch.SparseAdam") -> CaseVerdict:
    return other(Status.UNSUPPORTED, slug, dialect, needs=(*needs, "float32"), reason=reason)


def shown(slug: str = "fine", needs: tuple[str, ...] = ("rows", "float32"), hidden: tuple[str, ...] = ()) -> CaseVerdict:
    return replace(passed(slug), needs=needs, not_shown=hidden)


def test_unsupported_features_and_arrays_that_are_not_shown_stand_in_the_same_sentence() -> None:
    moments = ("exp_avg", "exp_avg_sq")
    verdicts = [
        shown("a", hidden=moments),
        shown("b", hidden=moments),
        unsupported("c", "rows", "groups"),
        unsupported("d", "rows", "groups", "schedule"),
        unsupported("e", "rows", reason="no luck"),
    ]
    sentence = conclude(report(*verdicts)).sentence
    clauses = "groups, schedule unsupported; 1 more unsupported; exp_avg and exp_avg_sq not shown"
    assert sentence == f"toy 1.0 conforms to torch.SparseAdam on 2 of 5 cases: {clauses}; attained exact-faithful"


def test_a_narrowed_selection_is_said() -> None:
    assert conclude(report(passed(), narrowed=True)).sentence.endswith("1 case passed of the 1 selected, attained exact-faithful")
    partly = conclude(report(shown(), unsupported("c", "groups"), narrowed=True)).sentence
    assert "conforms to torch.SparseAdam on 1 of the 2 selected cases: groups unsupported" in partly


def test_what_failed_is_said_with_what_was_not_judged() -> None:
    sentence = conclude(report(failed(needs=("rows",)), unsupported("c", "rows", "groups"), passed("d", "torch.Adam"))).sentence
    assert sentence.endswith("it conforms to torch.Adam; 2 of 3 cases judged: groups, float32 unsupported")


@pytest.mark.parametrize("verdict", [unsupported("c", "groups"), unsupported("e", reason="needs scipy"), shown("h", hidden=("exp_avg",))])
def test_under_strict_what_was_not_judged_is_a_failure(verdict: CaseVerdict) -> None:
    assert conclude(report(shown(), verdict)).exit_code == OK
    strict = conclude(report(shown(), verdict, strict=True))
    assert strict.exit_code == NOT_CONFORMANT
    assert strict.sentence.endswith("but --strict takes nothing as passed that was not judged")
    assert conclude(report(shown(), strict=True)).exit_code == OK


def test_refusals_alone_are_not_called_conformant() -> None:
    refused = other(Status.PASSED, "lr-negative", theme="refused")
    alone = conclude(report(refused))
    said = "toy 1.0 refuses what torch.SparseAdam refuses on 1 of 1 case: of torch.SparseAdam only refusals were judged"
    assert (alone.exit_code, alone.sentence) == (OK, said)
    beside = conclude(report(refused, passed("b", "torch.Adam"))).sentence
    assert "conforms to torch.Adam on 2 of 2 cases: of torch.SparseAdam only refusals were judged" in beside
    assert conclude(report(refused, passed("b"))).sentence.endswith("conforms to torch.SparseAdam: 2 cases passed, attained exact-faithful")


def test_nothing_run_is_a_failure_of_the_harness() -> None:
    assert conclude(report()).exit_code == HARNESS_FAILED
    unsupported = conclude(report(other(Status.UNSUPPORTED)))
    assert unsupported.exit_code == HARNESS_FAILED
    assert unsupported.sentence.startswith("nothing was run")


def test_waived_failures_are_counted_and_pass() -> None:
    conclusion = conclude(report(passed(), other(Status.WAIVED)))
    assert conclusion.exit_code == OK
    assert "1 known failure waived" in conclusion.sentence


def test_only_waived_failures_do_not_say_that_anything_conforms() -> None:
    conclusion = conclude(report(other(Status.WAIVED), other(Status.WAIVED, "b")))
    assert conclusion.exit_code == OK
    assert conclusion.sentence == "toy 1.0 passed no case: 2 known failures waived"


def test_a_stale_waiver_is_not_conformant() -> None:
    conclusion = conclude(report(passed(), problems=("the waiver for 'x' no longer applies",)))
    assert conclusion.exit_code == NOT_CONFORMANT
    assert conclusion.sentence.endswith("but 1 waiver no longer applies")
