from made_reports import failed, other, passed, report

from refimpl.errors import HARNESS_FAILED, NOT_CONFORMANT, OK
from refimpl.judging.verdict import Diagnosis, Status
from refimpl.report import conclude


def test_all_passed_names_the_dialects_the_count_and_the_class():
    conclusion = conclude(report(passed(), passed("b", attained="exact-ieee"), passed("c", "torch.Adam")))
    assert conclusion.exit_code == OK
    assert conclusion.sentence == "toy 1.0 conforms to torch.SparseAdam and torch.Adam: 3 cases passed, attained exact-faithful"


def test_one_failure_is_not_conformant_and_other_dialects_are_cleared():
    cause = Diagnosis(("a", "b"), "about", (failed().case_id,))
    conclusion = conclude(report(passed(), failed(), passed("c", "torch.Adam"), diagnoses=(cause,)))
    assert conclusion.exit_code == NOT_CONFORMANT
    said = "toy 1.0 does not conform to torch.SparseAdam: 1 of 2 cases fails; cause: a with b; it conforms to torch.Adam"
    assert conclusion.sentence == said


def test_a_crash_is_not_conformant():
    assert conclude(report(passed(), other(Status.ERROR, reason="crashed"))).exit_code == NOT_CONFORMANT


def test_a_dialect_of_which_nothing_ran_is_not_called_conformant():
    conclusion = conclude(report(passed(), other(Status.UNSUPPORTED, dialect="torch.Adam")))
    assert conclusion.exit_code == OK
    assert "torch.Adam" not in conclusion.sentence
    assert "1 unsupported" in conclusion.sentence


def test_nothing_run_is_a_failure_of_the_harness():
    assert conclude(report()).exit_code == HARNESS_FAILED
    unsupported = conclude(report(other(Status.UNSUPPORTED)))
    assert unsupported.exit_code == HARNESS_FAILED
    assert unsupported.sentence.startswith("nothing was run")


def test_waived_failures_are_counted_and_pass():
    conclusion = conclude(report(passed(), other(Status.WAIVED)))
    assert conclusion.exit_code == OK
    assert "1 known failure waived" in conclusion.sentence


def test_only_waived_failures_do_not_say_that_anything_conforms():
    conclusion = conclude(report(other(Status.WAIVED), other(Status.WAIVED, "b")))
    assert conclusion.exit_code == OK
    assert conclusion.sentence == "toy 1.0 passed no case: 2 known failures waived"


def test_a_stale_waiver_is_not_conformant():
    conclusion = conclude(report(passed(), problems=("the waiver for 'x' no longer applies",)))
    assert conclusion.exit_code == NOT_CONFORMANT
    assert conclusion.sentence.endswith("but 1 waiver no longer applies")
