from made_reports import array, other, passed, report

from refimpl.judging.verdict import CaseVerdict, Status
from refimpl.report._coverage import Missing, coverage


def judged(slug, *needs, hidden=(), dialect="torch.Adam"):
    return CaseVerdict(f"{dialect}/theme/{slug}", Status.PASSED, arrays=(array(), array("exp_avg")), needs=needs, not_shown=hidden)


def unsupported(slug, *needs, reason="no", dialect="torch.Adam"):
    return CaseVerdict(f"{dialect}/theme/{slug}", Status.UNSUPPORTED, reason=reason, needs=needs)


def test_a_feature_is_unsupported_where_no_judged_case_needs_it():
    found = coverage(report(judged("a", "dense"), judged("b", "dense", "groups"), unsupported("c", "dense", "groups", "schedule")))
    assert (found.selected, found.judged, found.unsupported, found.otherwise) == (3, 2, {"schedule": 1}, {})


def test_an_unsupported_case_that_needs_nothing_new_counts_by_its_reason():
    found = coverage(report(judged("a", "dense"), unsupported("b", "dense", reason="too large"), unsupported("c", reason="needs scipy")))
    assert (found.unsupported, found.otherwise) == ({}, {"too large": 1, "needs scipy": 1})
    assert found.gaps == ("2 unsupported",)


def test_a_feature_that_only_a_refusal_needs_is_not_covered_by_it():
    refusal = CaseVerdict("torch.Adam/refused/x", Status.PASSED, needs=("dense", "amsgrad"))
    found = coverage(report(judged("a", "dense"), refusal, unsupported("b", "dense", "amsgrad")))
    assert found.unsupported == {"amsgrad": 1}


def test_a_dialect_of_which_nothing_was_judged_is_named_whole_without_its_features():
    found = coverage(report(judged("a", "dense"), unsupported("b", "rows", dialect="torch.SparseAdam")))
    assert (found.dialects, found.unsupported) == (("torch.SparseAdam",), {})
    assert found.gaps == ("all of torch.SparseAdam unsupported",)


def test_arrays_that_are_not_shown_are_counted_among_the_cases_that_have_them():
    found = coverage(report(judged("a", hidden=("exp_avg_sq",)), judged("b", hidden=("exp_avg", "exp_avg_sq")), judged("c")))
    assert found.not_shown == {"exp_avg": Missing(1, 3), "exp_avg_sq": Missing(2, 2)}
    assert found.gaps == ("exp_avg_sq not shown", "exp_avg not shown in 1 case")


def test_refusals_alone_are_a_gap_but_nothing_is_lacking():
    found = coverage(report(passed(), other(Status.PASSED, "lr-negative", "torch.Adam", "refused")))
    assert found.refusals == ("torch.Adam",)
    assert found.lacking == ()
    assert found.gaps == ("of torch.Adam only refusals were judged",)


def test_where_everything_was_judged_there_is_no_gap():
    assert coverage(report(passed(), other(Status.WAIVED), other(Status.ERROR, "e"))).gaps == ()
