from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree

from made_reports import everything, failed, other, passed, report

from refimpl.judging.verdict import Report, Status
from refimpl.report import to_junit
from refimpl.report._junit import clean


def parsed(made: Report) -> ElementTree.Element:
    return ElementTree.fromstring(to_junit(made))


def test_a_suite_per_dialect_and_theme_with_true_counts() -> None:
    root = parsed(everything())
    assert [suite.get("name") for suite in root] == [
        "torch.SparseAdam/basics",
        "torch.SparseAdam/duplicates",
        "torch.Adam/basics",
        "waivers",
    ]
    for suite in (root, *root):
        assert int(suite.get("tests")) == len(list(suite.iter("testcase")))
        assert int(suite.get("failures")) == len(list(suite.iter("failure")))
        assert int(suite.get("errors")) == len(list(suite.iter("error")))
        if suite is not root:
            assert int(suite.get("skipped")) == len(list(suite.iter("skipped")))
    assert [root.get(name) for name in ("tests", "failures", "errors")] == ["9", "3", "2"]


def test_each_status_has_its_element() -> None:
    verdicts = [
        passed(),
        failed(),
        other(Status.ERROR),
        other(Status.UNSUPPORTED, "u", reason="no"),
        other(Status.WAIVED, "w", waiver="known"),
    ]
    children = {test.get("name"): [child.tag for child in test] for test in parsed(report(*verdicts)).iter("testcase")}
    assert children == {"fine": [], "off": ["failure"], "other": ["error"], "u": ["skipped"], "w": ["skipped"]}


def test_a_failure_says_where_and_gives_its_numbers() -> None:
    (failure,) = parsed(report(failed())).iter("failure")
    assert failure.get("message") == "outside its bound: param of 'w', step 3, row 4, column 1"
    assert "expected: 0.5" in failure.text


def test_characters_that_xml_cannot_hold_are_escaped() -> None:
    (error,) = [element for element in parsed(everything()).iter("error") if "crashed" in element.get("message")]
    assert "\\x1b[2J<&>\\x00\\ud800" in error.text
    assert "]]> line two" in error.text
    assert clean("\x0b\ufffe\U0001f600é\t\n") == "\\x0b\\ufffe\U0001f600é\t\n"


def test_the_document_can_be_encoded() -> None:
    ElementTree.fromstring(to_junit(everything()).encode("utf-8"))


def test_a_stale_waiver_is_an_error() -> None:
    root = parsed(report(passed(), problems=("the waiver for 'x' no longer applies",)))
    (error,) = root.iter("error")
    assert "no longer applies" in error.get("message")


def test_what_strict_does_not_let_pass_is_an_error_of_its_own() -> None:
    verdicts = [passed(), other(Status.UNSUPPORTED, "u", reason="no")]
    assert parsed(report(*verdicts)).get("errors") == "0"
    root = parsed(report(*verdicts, strict=True))
    assert root.get("errors") == "1"
    assert root.find("testsuite[@name='strict']/testcase").get("name") == "1 unsupported"


JENKINS = {
    "testsuites": ({"name", "time", "tests", "failures", "disabled", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"}
        | {"version", "disabled"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name", "time", "classname", "group"},
        {
            "skipped",
            "error",
            "failure",
            "system-out",
            "system-err",
            "properties",
            "rerunFailure",
            "rerunError",
            "flakyFailure",
            "flakyError",
        },
    ),
    "failure": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "skipped": ({"type", "message"}, set()),
}
"""The attributes and children that the schema of Jenkins's xunit plugin (junit-10.xsd) admits, by element."""

MANDATORY = {"testsuite": {"name", "tests", "failures", "errors"}, "testcase": {"name"}}


def violations(element: ElementTree.Element) -> Iterator[str]:
    attributes, children = JENKINS[element.tag]
    yield from (f"{element.tag}: attribute {name}" for name in element.attrib.keys() - attributes)
    yield from (f"{element.tag}: no {name}" for name in MANDATORY.get(element.tag, set()) - element.attrib.keys())
    for child in element:
        if child.tag not in children:
            yield f"{element.tag}: element {child.tag}"
        else:
            yield from violations(child)
    for number in {"tests", "failures", "errors", "skipped"} & element.attrib.keys():
        if not element.get(number).isdigit():
            yield f"{element.tag}: {number} = {element.get(number)}"
    if element.get("time") and float(element.get("time")) < 0:
        yield f"{element.tag}: time"


def test_every_report_satisfies_the_schema_of_jenkins() -> None:
    for made in (everything(), replace(everything(), strict=True, failure="was killed", problems=("one", "two"))):
        assert list(violations(parsed(made))) == []


def test_the_schema_of_jenkins_refuses_a_changed_report() -> None:
    root = parsed(everything())
    root.set("skipped", "1")
    root[0][0].set("assertions", "2")
    assert list(violations(root)) == ["testsuites: attribute skipped", "testcase: attribute assertions"]
