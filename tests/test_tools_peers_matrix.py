"""The matrix and its page: every cell, number and claim comes from the results."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_reports import everything, failed, other, passed
from toy_peer import CLAIM, LAST_WINS, matrix, page, result, table, toy

from refimpl.errors import UsageError
from refimpl.judging.verdict import CaseVerdict, Diagnosis, Status


@pytest.mark.parametrize(
    ("theme", "text"),
    [
        ({"passed": 14, "attained": "tensor-faithful"}, "tensor 14"),
        ({"passed": 12, "unsupported": 2, "attained": "exact-ieee"}, "ieee 12/14, 2 n/a"),
        ({"passed": 3}, "ok 3"),
        ({"unsupported": 3}, "unsupported"),
        ({"passed": 1, "failed": 2, "causes": {"duplicates-mean": 2}}, "duplicates-mean 1/3"),
        ({"passed": 1, "failed": 3, "causes": {"duplicates-mean": 2}}, "duplicates-mean, unexplained 1/4"),
        ({"failed": 2, "refusals": 2, "error": 1}, "refusals, errors 0/3"),
        ({"passed": 1, "waived": 1, "attained": "exact-ieee"}, "waived 1/2"),
    ],
)
def test_a_cell_says_what_fails_or_else_the_class(theme: dict[str, Any], text: str) -> None:
    assert matrix.cell(theme) == text


def test_a_named_deviation_stands_in_its_cell_and_below_with_its_numbers(tmp_path: Path) -> None:
    peer = toy(tmp_path)
    kept = result(peer, passed(), failed(), passed("pair", theme="duplicates"), causes=[LAST_WINS])
    (tmp_path / "toy.json").write_text(json.dumps(kept))
    made = matrix.build({"toy": peer}, tmp_path)
    assert made.rows[0].cells == {"basics": "exact 1", "duplicates": "duplicates-last-wins 1/2"}
    assert made.rows[0].all == "deviates 2/3"
    text = page.to_markdown(made)
    assert "| Toy 7.1 | lazy | torch.SparseAdam | deviates 2/3 | exact 1 | duplicates-last-wins 1/2 |" in text
    assert "- **duplicates-last-wins** (`lazy` by torch.SparseAdam, 1 case): only the last counts." in text
    numbers = "param of w, step 3, row 4, column 1: got 0.25, expected 0.5, bound 0.125, |error| = 2.00 bounds"
    assert f"`torch.SparseAdam/duplicates/off`: {numbers}" in text


def test_a_cause_that_holds_under_two_conditions_is_counted_once_in_its_cell(tmp_path: Path) -> None:
    peer = toy(tmp_path)
    causes = [
        Diagnosis(("duplicates-last-wins",), f"only the last counts, only with {where}", (f"torch.SparseAdam/duplicates/{slug}",))
        for where, slug in (("rows", "off"), ("elements", "far"))
    ]
    kept = result(peer, failed("off"), failed("far"), causes=causes)
    theme = kept["routes"]["lazy"]["dialects"]["torch.SparseAdam"]["themes"]["duplicates"]
    assert theme["causes"] == {"duplicates-last-wins": 2}
    assert matrix.cell(theme) == "duplicates-last-wins 0/2"


def test_a_cause_stands_beside_its_place_in_the_source_and_one_without_is_a_problem(tmp_path: Path) -> None:
    kept = result(toy(tmp_path), failed(), causes=[LAST_WINS])
    written = tmp_path / "kept"
    written.mkdir()
    (written / "toy.json").write_text(json.dumps(kept))
    made = matrix.build({"toy": toy(tmp_path)}, written)
    assert "  Read: toy 7.1, toy/lazy.py, Lazy.step: `table[rows] -= change`" in page.to_markdown(made)
    assert made.problems == []
    (problem,) = matrix.build({"toy": toy(tmp_path, readings=None)}, written).problems
    assert "duplicates-last-wins is not under `readings`" in problem


def test_the_leads_of_failures_without_a_cause_are_listed(tmp_path: Path) -> None:
    kept = result(toy(tmp_path), failed("off"), leads=("wrong: param", "wrong from step 2 on"))
    written = tmp_path / "kept"
    written.mkdir()
    (written / "toy.json").write_text(json.dumps(kept))
    text = page.to_markdown(matrix.build({"toy": toy(tmp_path)}, written))
    assert "what is seen of them: wrong: param; wrong from step 2 on" in text


def test_everything_that_is_not_a_pass_is_listed_with_its_reason(tmp_path: Path) -> None:
    peer = toy(tmp_path, absent=[{"what": "toy.Fast", "why": "needs a | GPU", "link": "https://example.org/fast"}])
    kept = result(
        peer,
        passed(),
        failed("odd"),
        other(Status.FAILED, "lax", reason="accepted what must be refused (lr-negative)"),
        other(Status.ERROR, "crash", reason="crashed: SIGSEGV"),
        *(other(Status.UNSUPPORTED, f"half-{k}", reason="no float16") for k in range(5)),
        other(Status.WAIVED, "known", waiver="rounds twice (https://example.org/1)"),
    )
    (tmp_path / "toy.json").write_text(json.dumps(kept))
    text = page.to_markdown(matrix.build({"toy": peer}, tmp_path))
    assert "1 case that no known deviation explains" in text
    assert "1 case: accepted what must be refused (lr-negative) (`torch.SparseAdam/basics/lax`)" in text
    assert "1 case: crashed: SIGSEGV" in text
    assert "5 cases: no float16" in text
    assert "1 case: rounds twice (https://example.org/1)" in text
    assert "| [toy.Fast](https://example.org/fast) | needs a \\| GPU |" in text


def test_numbers_that_are_not_finite_and_hostile_text_are_listed_too(tmp_path: Path) -> None:
    peer = toy(tmp_path)
    verdicts = [verdict for verdict in everything().verdicts if verdict.dialect == "torch.SparseAdam"]
    (tmp_path / "toy.json").write_text(json.dumps(result(peer, *verdicts)))
    text = page.to_markdown(matrix.build({"toy": peer}, tmp_path))
    assert "got -inf, expected +inf, bound +inf, not a number of the kind that is expected" in text
    assert "got nan, expected 0.5, bound 0.125, not a number of the kind that is expected" in text
    assert "\x1b" not in text
    assert "1 case: crashed: \\x1b[2J&lt;&>" in text


def test_a_claim_stands_with_its_evidence(tmp_path: Path) -> None:
    peer = toy(tmp_path, claims=[CLAIM])
    kept = result(peer, failed(), causes=[LAST_WINS])
    (tmp_path / "toy.json").write_text(json.dumps(kept))
    made = matrix.build({"toy": peer}, tmp_path)
    assert made.problems == []
    row = next(line for line in page.to_markdown(made).splitlines() if "duplicates are summed" in line)
    assert row.startswith('| Toy | "duplicates are summed" | [the manual of toy](https://example.org/manual) | The last occurrence wins. |')
    assert "route lazy, failed: `torch.SparseAdam/duplicates/off`: param of w" in row
    assert json.loads(matrix.to_json(made))["claims"][0]["shown"]["mismatch"]["ratio"] == 2.0


@pytest.mark.parametrize(
    ("verdict", "problem"),
    [
        (passed("off", theme="duplicates"), "on route lazy passed, and the table says failed"),
        (passed("else", theme="duplicates"), "on route lazy has no result; run `python tools/peers.py run toy --route lazy`"),
    ],
)
def test_a_claim_that_the_results_contradict_is_a_problem(tmp_path: Path, verdict: CaseVerdict, problem: str) -> None:
    peer = toy(tmp_path, claims=[CLAIM])
    (sentence,) = matrix.problems(peer, result(peer, verdict))
    assert sentence.startswith("toy: the claim 'duplicates are summed' (the manual of toy)")
    assert problem in sentence


def test_results_of_other_pins_or_routes_and_stale_waivers_are_problems(tmp_path: Path) -> None:
    peer = toy(tmp_path)
    stale = result(replace(peer, install=("toy==6",)), passed(), problems=("the waiver for 'x' no longer applies",))
    more = {**peer.routes, "quick": table.Route("toy.Quick", ("torch.SparseAdam",))}
    sentences = matrix.problems(replace(peer, routes=more), stale)
    assert "toy: route quick by torch.SparseAdam has no result; run `python tools/peers.py run toy`" in sentences
    assert "toy: its pins have changed since it was run; run `python tools/peers.py run toy`" in sentences
    assert "toy: route lazy by torch.SparseAdam: the waiver for 'x' no longer applies" in sentences
    assert len(sentences) == 3


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"format": 9}'])
def test_a_result_that_cannot_be_read_is_named_with_how_to_make_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "toy.json").write_text(content)
    with pytest.raises(UsageError, match=r"toy\.json") as caught:
        matrix.build({"toy": toy(tmp_path)}, tmp_path)
    assert caught.value.hint == "make it again: python tools/peers.py run toy"
