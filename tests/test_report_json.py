import json
import math
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from made_reports import everything, failed, mismatch, passed, report

from refimpl.common.json import strict
from refimpl.judging.verdict import Report
from refimpl.report import to_json

SCHEMA = json.loads((resources.files("refimpl.report") / "report.schema.json").read_text(encoding="utf-8"))


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def parsed(report: Report) -> Any:
    return json.loads(to_json(report), parse_constant=refuse)


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every part of the schema that describes an object."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for part in schema.values():
            yield from objects(part)


@pytest.mark.parametrize("made", [everything(), report(), report(passed())], ids=["everything", "nothing", "passed"])
def test_every_report_satisfies_its_schema(made: Report) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(SCHEMA).validate(parsed(made))


def test_the_schema_is_closed() -> None:
    described = list(objects(SCHEMA))
    assert len(described) >= 7
    assert all("additionalProperties" in part for part in described)
    broken = {**parsed(report()), "more": 1}
    assert list(Draft202012Validator(SCHEMA).iter_errors(broken))


def test_numbers_that_are_not_finite_are_strings() -> None:
    wild = parsed(report(failed(mismatch=mismatch(got=math.nan, expected=math.inf, ratio=-math.inf))))["cases"][0]["mismatch"]
    assert (wild["got"], wild["expected"], wild["ratio"]) == ("nan", "+inf", "-inf")
    assert strict({1: (math.inf, 2.5, None, True)}) == {"1": ["+inf", 2.5, None, True]}


def test_doubles_come_back_exactly() -> None:
    value = 0.1 + 0.2
    assert parsed(report(failed(mismatch=mismatch(got=value))))["cases"][0]["mismatch"]["got"] == value


def test_counts_verdict_and_exit_code_agree_with_the_cases() -> None:
    document = parsed(everything())
    assert document["counts"] == {"passed": 2, "failed": 3, "waived": 1, "unsupported": 1, "error": 1}
    assert document["exit_code"] == 1
    assert "does not conform to torch.SparseAdam" in document["verdict"]
    assert document["causes"][0]["deviations"] == ["duplicates-last-wins"]
