"""The report for CI servers: JUnit XML, a test suite per dialect and theme, a test per case."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from xml.etree import ElementTree as Xml

from ..judging.verdict import CaseVerdict, Report, Status
from ._coverage import coverage
from .mismatch import facts, place

_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_junit(report: Report) -> str:
    """The whole report as an XML document; failures, errors, and what was skipped because it is unsupported or waived."""
    root = Xml.Element("testsuites", name=clean(f"refimpl: {report.backend} {report.version}".strip()))
    suites: dict[str, list[CaseVerdict]] = {}
    for verdict in report.verdicts:
        suites.setdefault(f"{verdict.dialect}/{verdict.theme}", []).append(verdict)
    for name, verdicts in suites.items():
        _suite(root, name, (_test(verdict) for verdict in verdicts), sum(verdict.seconds for verdict in verdicts))
    if report.problems:
        _suite(root, "waivers", (_error("waivers", problem) for problem in report.problems), 0.0)
    if report.failure:
        _suite(root, "program", [_error("program", report.failure)], 0.0)
    if report.strict and coverage(report).lacking:
        _suite(root, "strict", (_error("strict", lacking) for lacking in coverage(report).lacking), 0.0)
    for count in ("tests", "failures", "errors"):  # the rules of Jenkins's xunit plugin know no skipped here
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _suite(root: Xml.Element, name: str, tests: Iterable[Xml.Element], seconds: float) -> None:
    suite = Xml.SubElement(root, "testsuite", name=clean(name))
    suite.extend(tests)
    for count, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(sum(1 for _ in suite.iter(tag))))
    suite.set("time", f"{seconds:.3f}")


def _test(verdict: CaseVerdict) -> Xml.Element:
    dialect, theme, slug = verdict.case_id.split("/", 2)
    test = Xml.Element("testcase", classname=clean(f"{dialect}.{theme}"), name=clean(slug), time=f"{verdict.seconds:.3f}")
    if verdict.status in RESULTS:
        tag, message = RESULTS[verdict.status]
        result = Xml.SubElement(test, tag, message=clean(message(verdict)))
        result.text = clean(_details(verdict))
    return test


def _error(suite: str, problem: str) -> Xml.Element:
    test = Xml.Element("testcase", classname=suite, name=clean(problem), time="0.000")
    Xml.SubElement(test, "error", message=clean(problem))
    return test


def _where(verdict: CaseVerdict) -> str:
    return f"outside its bound: {place(verdict.mismatch)}" if verdict.mismatch else verdict.reason


RESULTS: dict[Status, tuple[str, Callable[[CaseVerdict], str]]] = {
    Status.FAILED: ("failure", _where),
    Status.ERROR: ("error", lambda verdict: verdict.reason),
    Status.UNSUPPORTED: ("skipped", lambda verdict: f"unsupported: {verdict.reason}"),
    Status.WAIVED: ("skipped", lambda verdict: f"waived: {verdict.waiver}"),
}
"""The element that stands for a status, and its message; a passed test has none."""


def _details(verdict: CaseVerdict) -> str:
    lines = [verdict.about, verdict.reason]
    if verdict.mismatch:
        lines += [place(verdict.mismatch), *(f"{label}: {value}" for label, value in facts(verdict.mismatch))]
    return "\n".join(line for line in lines if line)


def clean(text: str) -> str:
    """The text with every character that XML 1.0 cannot hold, not even escaped, written as a Python escape."""
    return _NOT_XML.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)
