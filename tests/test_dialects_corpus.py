"""The corpus: every entry names what there is, and what is called measured is in the kept results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from refimpl.dialects import deviations, dialects
from refimpl.dialects.corpus import EVIDENCE, Instance, corpus
from refimpl.judging.families import library

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "vectors" / "peers"

INSTANCES = [(entry.name, instance) for entry in corpus().values() for instance in entry.instances]
MEASURED = [(name, instance) for name, instance in INSTANCES if instance.evidence == "measured"]


def kept(instance: Instance) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The kept result of a peer, and the deviations of the route as judged by the dialect."""
    result = json.loads((ROOT / instance.source).read_text(encoding="utf-8"))
    return result, result["routes"][instance.route]["dialects"][instance.dialect].get("deviations", [])


def test_every_instance_has_a_package_a_version_evidence_and_a_source() -> None:
    assert INSTANCES
    for _, instance in INSTANCES:
        assert instance.package
        assert instance.version
        assert instance.source
        assert instance.evidence in EVIDENCE
        assert bool(instance.peer) == bool(instance.route) == bool(instance.dialect) == (instance.evidence == "measured")


def test_no_instance_is_there_twice() -> None:
    assert len(set(INSTANCES)) == len(INSTANCES)


@pytest.mark.parametrize(("name", "instance"), MEASURED, ids=[f"{name}-{one.peer}-{one.route}-{one.dialect}" for name, one in MEASURED])
def test_what_is_measured_is_in_the_kept_result_of_that_version(name: str, instance: Instance) -> None:
    assert instance.source == f"vectors/peers/{instance.peer}.json"
    assert instance.dialect in dialects("full")
    result, judged = kept(instance)
    assert (result["distribution"], result["version"]) == (instance.package, instance.version)
    assert name in {entry["id"] for entry in judged}


def test_every_deviation_of_the_kept_results_is_in_the_corpus() -> None:
    known = {(name, one.peer, one.route, one.dialect) for name, one in MEASURED}
    for file in sorted(KEPT.glob("*.json")):
        routes = {} if file.stem == "matrix" else json.loads(file.read_text(encoding="utf-8"))["routes"]
        for route, by_dialect in routes.items():
            for dialect, judged in by_dialect["dialects"].items():
                for entry in judged.get("deviations", []):
                    if " with " not in entry["id"]:  # two at once: each stands for itself elsewhere
                        assert (entry["id"], file.stem, route, dialect) in known


def test_what_is_read_is_a_source_of_its_deviation() -> None:
    for name, instance in INSTANCES:
        if instance.evidence == "read":
            assert instance.source in deviations()[name].sources


def test_every_name_is_a_deviation_or_a_cause_that_a_diagnosis_can_name() -> None:
    assert list(corpus())[: len(deviations())] == list(deviations())
    for entry in corpus().values():
        if entry.name in deviations():
            assert (entry.about, entry.kind) == (deviations()[entry.name].about, deviations()[entry.name].kind)
        else:
            assert entry.about
            names = {hypothesis.id for one in entry.instances for hypothesis in library(one.dialect)}
            assert entry.name in names or entry.name.endswith("-in-float32")  # a cause that is fitted: which scalars are rounded


def test_what_a_dialect_does_by_design_is_what_its_table_picks() -> None:
    assert corpus()["duplicates-averaged"].by_design == ("dgl.SparseAdam",)
    assert "torch.SparseAdam" in corpus()["eps-beside-sqrt-v"].by_design
    assert "torch.Adam" in corpus()["eps-beside-sqrt-v-hat"].by_design
    assert not any(entry.by_design for entry in corpus().values() if entry.kind != "D")
