import math
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import made_reports
import pytest
import small_vectors

from refimpl import check
from refimpl.arithmetic import CLASSES
from refimpl.dialects import deviations
from refimpl.judging.verdict import OF_RUNS, Diagnosis, Profile, Report, Status
from refimpl.report.conclusion import conclude
from refimpl.report.html import PLOTTED, WORDS, to_html

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> ' \" ]]> </pre> \x00 \x1b[2J \ud800 {{ 7*7 }}"


def text_of(document: str) -> str:
    return unescape(re.sub(r"<[^>]*>", " ", document.split("<main")[1]))


def profile(case: str) -> tuple[Profile, ...]:
    return (Profile("w", "param", (2, 2), (1, 2), (0.5, 2e6), (0.5, 0.0, 2e6, math.inf), 1, made_reports.mismatch()),)


def test_the_verdict_is_the_first_heading() -> None:
    report = made_reports.everything()
    assert [unescape(title) for title in re.findall(r"<h1>(.*?)</h1>", to_html(report))] == [conclude(report).sentence]


def test_every_case_is_listed_with_its_status_and_what_fails_comes_first() -> None:
    report = made_reports.everything()
    listed = re.findall(r'<li data-status="(\w+)".*?data-find>([^<]*)</span>', to_html(report), re.DOTALL)
    assert sorted(unescape(id) for _, id in listed) == sorted(verdict.case_id for verdict in report.verdicts)
    failing = [status in ("failed", "error") for status, _ in listed]
    assert failing == sorted(failing, reverse=True)


def test_a_failure_shows_its_numbers_its_cause_and_how_to_run_it_again() -> None:
    report = replace(made_reports.everything(), environment={"command": "refimpl check toy"})
    shown = text_of(to_html(report))
    assert re.search(r"got\s+0\.25\s+expected\s+0\.5\s+bound\s+0\.125", shown)
    assert "The numbers are those of only the last occurrence counts ." in re.sub(r"\s+", " ", shown)
    assert deviations()["duplicates-last-wins"].sources[0] in shown
    assert "refimpl check toy --case torch.SparseAdam/duplicates/off" in re.sub(r"\s+", " ", shown)


def test_text_of_a_backend_injects_nothing() -> None:
    verdicts = (
        made_reports.failed(HOSTILE.replace("/", ""), about=HOSTILE, reason=HOSTILE),
        made_reports.other(Status.ERROR, "crash", reason=HOSTILE),
        made_reports.other(Status.WAIVED, "known", waiver=HOSTILE),
    )
    causes = (Diagnosis((HOSTILE,), HOSTILE, (verdicts[0].case_id,)),)
    report = made_reports.report(
        *verdicts, backend=HOSTILE, version=HOSTILE, device=HOSTILE, problems=(HOSTILE,), failure=HOSTILE, diagnoses=causes
    )
    document = to_html(replace(report, environment={"command": HOSTILE, HOSTILE: HOSTILE}))
    assert document.count("<script") == 1
    assert not re.search(r"<[^>]*onerror", document)
    assert "&lt;script&gt;alert(1)" in document
    assert "{{ 7*7 }}" in document
    assert not {"\x00", "\x1b", "\ud800"} & set(document)
    document.encode("utf-8")


def test_a_page_asks_for_nothing_from_elsewhere() -> None:
    document = to_html(made_reports.everything())
    assert "default-src &#39;none&#39;" in document or "default-src 'none'" in document
    assert set(re.findall(r'(?:src|href)="(?!#)([^"]*)"', document)) <= {"data:,"}  # no favicon is asked for


def test_the_grid_says_in_words_which_class_each_array_attains() -> None:
    document = to_html(made_reports.report(made_reports.passed(), made_reports.failed()))
    rows = dict(re.findall(r'<th scope="row"><a [^>]*>(\w+)</a></th>(.*?)</tr>', document, re.DOTALL))
    assert "exact-faithful" in rows["basics"]
    assert "no class" in rows["duplicates"]
    assert WORDS.keys() == set(CLASSES)


def test_a_failing_array_is_drawn_with_its_bound_and_described_for_those_who_cannot_see() -> None:
    case = made_reports.failed()
    document = to_html(replace(made_reports.report(case), profiles={case.case_id: profile(case.case_id)}))
    assert document.count("<svg") == 2
    assert "by step: 1 of 2 outside" in document
    assert "2 of 4 outside" in document


def test_only_so_many_failures_are_drawn_and_the_page_says_so() -> None:
    cases = [made_reports.failed(f"case-{k}") for k in range(PLOTTED + 3)]
    document = to_html(replace(made_reports.report(*cases), profiles={verdict.case_id: profile(verdict.case_id) for verdict in cases}))
    assert document.count("<svg") == 2 * PLOTTED
    assert "3 more only have their numbers" in text_of(document)


@pytest.mark.parametrize("report", [made_reports.report(), made_reports.report(made_reports.passed())])
def test_a_report_without_failures_is_a_page_too(report: Report) -> None:
    assert conclude(report).sentence in text_of(to_html(report))


def test_check_writes_the_page_whole_and_with_the_plots_of_what_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vectors = small_vectors.write(tmp_path / "vectors", "torch.SparseAdam/duplicates/pair", "torch.SparseAdam/basics/one-step")
    wanted = ["reference", "--vectors", str(vectors), "--dialect", "torch.SparseAdam", "--html", str(tmp_path / "r.html")]
    assert check.main([*wanted, "--option", "deviations=duplicates-averaged"]) == 1
    document = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert document.count("<svg") == 4  # the moments, over steps and over elements: the first step is as long either way
    assert "duplicates-averaged" in text_of(document)
    assert {path.name for path in tmp_path.iterdir()} == {"vectors", "r.html"}


def test_a_cause_that_a_second_run_shows_is_not_one_of_numbers() -> None:
    report = made_reports.everything()
    cause = Diagnosis(("not-deterministic",), "two runs gave different bits", (report.verdicts[0].case_id,), family=OF_RUNS)
    shown = re.sub(r"\s+", " ", text_of(to_html(replace(report, diagnoses=(cause,)))))
    assert "Shown by a second run: two runs gave different bits" in shown
    assert "The numbers are those of" not in shown
