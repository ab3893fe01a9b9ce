"""The report for CI servers: JUnit XML, a test suite per dialect and theme, a test per case."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from xml.etree import ElementTree as Xml

from ..judging.verdict import CaseVerdict, Report, Status
from .conclusion import coverage, grouped
from .mismatch import place, place_and_facts

_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

RESULTS: dict[Status, tuple[str, Callable[[CaseVerdict], str]]] = {
    Status.FAILED: ("failure", lambda verdict: f"outside its bound: {place(verdict.mismatch)}" if verdict.mismatch else verdict.reason),
    Status.ERROR: ("error", lambda verdict: verdict.reason),
    Status.UNSUPPORTED: ("skipped", lambda verdict: f"unsupported: {verdict.reason}"),
    Status.WAIVED: ("skipped", lambda verdict: f"waived: {verdict.waiver}"),
}
"""The element that stands for a status, and its message; a passed test has none."""


def to_junit(report: Report) -> str:
    """The whole report as an XML document; failures, errors, and what was skipped because it is unsupported or waived."""
    root = Xml.Element("testsuites", name=clean(f"refimpl: {report.backend} {report.version}".strip()))
    for dialect, cases in grouped(report.verdicts, "dialect").items():
        for theme, verdicts in grouped(cases, "theme").items():
            _suite(root, f"{dialect}/{theme}", map(_test, verdicts), sum(verdict.seconds for verdict in verdicts))
    errors = {
        "waivers": report.problems,
        "program": [report.failure] if report.failure else [],
        "strict": coverage(report).lacking if report.strict else [],
    }
    for name, messages in errors.items():
        if messages:
            _suite(root, name, (_error(name, message) for message in messages))
    for total in ("tests", "failures", "errors"):  # the rules of Jenkins's xunit plugin know no skipped here
        root.set(total, str(sum(int(suite.get(total, "0")) for suite in root)))
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _suite(root: Xml.Element, name: str, tests: Iterable[Xml.Element], seconds: float = 0.0) -> None:
    suite = Xml.SubElement(root, "testsuite", name=clean(name))
    suite.extend(tests)
    for total, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(total, str(sum(1 for _ in suite.iter(tag))))
    suite.set("time", f"{seconds:.3f}")


def _test(verdict: CaseVerdict) -> Xml.Element:
    slug = verdict.case_id.split("/", 2)[2]
    test = Xml.Element("testcase", classname=clean(f"{verdict.dialect}.{verdict.theme}"), name=clean(slug), time=f"{verdict.seconds:.3f}")
    if verdict.status in RESULTS:
        tag, message = RESULTS[verdict.status]
        details = [verdict.about, verdict.reason, place_and_facts(verdict.mismatch) if verdict.mismatch else ""]
        Xml.SubElement(test, tag, message=clean(message(verdict))).text = clean("\n".join(filter(None, details)))
    return test


def _error(suite: str, message: str) -> Xml.Element:
    test = Xml.Element("testcase", classname=suite, name=clean(message), time="0.000")
    Xml.SubElement(test, "error", message=clean(message))
    return test


def clean(text: str) -> str:
    """The text with every character that XML 1.0 cannot hold, not even escaped, written as a Python escape."""
    return _NOT_XML.sub(lambda character: character.group().encode("unicode_escape").decode("ascii"), text)
