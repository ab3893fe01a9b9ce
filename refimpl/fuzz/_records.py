"""Results as JSON and back: what a shard writes, and what a merge reads."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..judging.verdict import ArrayVerdict, CaseVerdict, Diagnosis, Mismatch, Status
from ..vectors import PackedTheme
from ._campaign import Result, Shrunk


def result_data(result: Result) -> dict[str, Any]:
    return {"number": result.number, "element_steps": result.element_steps, "verdict": verdict_data(result.verdict)}


def result_of(data: Mapping[str, Any]) -> Result:
    return Result(data["number"], verdict_of(data["verdict"]), data["element_steps"])


def verdict_data(verdict: CaseVerdict) -> dict[str, Any]:
    return {**asdict(verdict), "status": verdict.status.value}


def verdict_of(data: Mapping[str, Any]) -> CaseVerdict:
    mismatch = data["mismatch"]
    changed: dict[str, Any] = {
        "status": Status(data["status"]),
        "arrays": tuple(ArrayVerdict(**array) for array in data["arrays"]),
        "mismatch": None if mismatch is None else Mismatch(**{**mismatch, "index": tuple(mismatch["index"])}),
        "needs": tuple(data["needs"]),
        "not_shown": tuple(data["not_shown"]),
    }
    return CaseVerdict(**{**data, **changed})


def shrunk_data(shrunk: Shrunk) -> dict[str, Any]:
    theme = {**asdict(shrunk.theme), "content": base64.b64encode(shrunk.theme.content).decode("ascii")}
    return {
        **{name: getattr(shrunk, name) for name in ("number", "elements", "steps", "tried", "again")},
        "before": list(shrunk.before),
        "verdict": verdict_data(shrunk.verdict),
        "diagnoses": [asdict(diagnosis) for diagnosis in shrunk.diagnoses],
        "leads": list(shrunk.leads),
        "theme": theme,
    }


def shrunk_of(data: Mapping[str, Any]) -> Shrunk:
    theme = {**data["theme"], "content": base64.b64decode(data["theme"]["content"], validate=True)}
    changed: dict[str, Any] = {
        "before": tuple(data["before"]),
        "verdict": verdict_of(data["verdict"]),
        "diagnoses": tuple(Diagnosis(**_tuples(diagnosis)) for diagnosis in data["diagnoses"]),
        "leads": tuple(data["leads"]),
        "theme": PackedTheme(**theme),
    }
    return Shrunk(**{**data, **changed})


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}


def digest(data: Mapping[str, Any]) -> str:
    """A hash of a document: what was cut, edited or mixed up has another."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode("utf-8")).hexdigest()
