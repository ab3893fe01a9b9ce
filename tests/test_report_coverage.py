from made_reports import array, other, passed, report

from refimpl.judging.verdict import CaseVerdict, Status
from refimpl.report.conclusion import Missing, coverage


def judged(slug: str, *needs: str, hidden: tuple[str, ...] = (), dialect: str = "torch.Adam") -> CaseVerdict:
    return CaseVerdict(f"{dialect}/theme/{slug}", Status.PASSED, arrays=(array(), array("exp_avg")), needs=needs, not_shown=hidden)


def unsupported(slug: str, *needs: str, reason: str = "no", dialect: str = "torch.Adam") -> CaseVerdict:
    return CaseVerdict(f"{dialect}/theme/{slug}", Status.UNSUPPORTED, reason=reason, needs=needs)


def test_a_feature_is_unsupported_where_no_judged_case_needs_it() -> None:
    covered = coverage(report(judged("a", "dense"), judged("b", "dense", "groups"), unsupported("c", "dense", "groups", "schedule")))
    assert (covered.selected, covered.judged, covered.unsupported, covered.otherwise) == (3, 2, {"schedule": 1}, {})


def test_an_unsupported_case_that_needs_nothing_new_counts_by_its_reason() -> None:
    covered = coverage(report(judged("a", "dense"), unsupported("b", "dense", reason="too large"), unsupported("c", reason="needs scipy")))
    assert (covered.unsupported, covered.otherwise) == ({}, {"too large": 1, "needs scipy": 1})
    assert covered.gaps == ("2 unsupported",)


def test_a_feature_that_only_a_refusal_needs_is_not_covered_by_it() -> None:
    refusal = CaseVerdict("torch.Adam/refused/x", Status.PASSED, needs=("dense", "amsgrad"))
    covered = coverage(report(judged("a", "dense"), refusal, unsupported("b", "dense", "amsgrad")))
    assert covered.unsupported == {"amsgrad": 1}


def test_a_dialect_of_which_nothing_was_judged_is_named_whole_without_its_features() -> None:
    covered = coverage(report(judged("a", "dense"), unsupported("b", "rows", dialect="torch.SparseAdam")))
    assert (covered.dialects, covered.unsupported) == (("torch.SparseAdam",), {})
    assert covered.gaps == ("all of torch.SparseAdam unsupported",)


def test_arrays_that_are_not_shown_are_counted_among_the_cases_that_have_them() -> None:
    covered = coverage(report(judged("a", hidden=("exp_avg_sq",)), judged("b", hidden=("exp_avg", "exp_avg_sq")), judged("c")))
    assert covered.not_shown == {"exp_avg": Missing(1, 3), "exp_avg_sq": Missing(2, 2)}
    assert covered.gaps == ("exp_avg_sq not shown", "exp_avg not shown in 1 case")


def test_refusals_alone_are_a_gap_but_nothing_is_lacking() -> None:
    covered = coverage(report(passed(), other(Status.PASSED, "lr-negative", "torch.Adam", "refused")))
    assert covered.refusals == ("torch.Adam",)
    assert covered.lacking == ()
    assert covered.gaps == ("of torch.Adam only refusals were judged",)


def test_where_everything_was_judged_there_is_no_gap() -> None:
    assert coverage(report(passed(), other(Status.WAIVED), other(Status.ERROR, "e"))).gaps == ()
