from dataclasses import replace
from typing import Any

import numpy as np

from refimpl.arithmetic import Float
from refimpl.case import Case, Golden
from refimpl.dialects import dialect
from refimpl.reference import trajectory


class Ear(Float):
    def __init__(self) -> None:
        super().__init__("float32")
        self.events: list[tuple[str, list[str]]] = []

    def on_event(self, event: str, what: Any) -> None:
        self.events.append((event, sorted(what)))


def case(core: dict[str, list[Golden]]) -> Case:
    return next(golden.case for golden in core["torch.SparseAdam"] if golden.case.id.endswith("duplicates/pair"))


def test_the_trace_holds_the_results_of_the_reference_in_order(core: dict[str, list[Golden]]) -> None:
    ear = Ear()
    for _ in trajectory(replace(case(core), steps=case(core).steps[:1]), ear, dialect("torch.SparseAdam")):
        pass
    assert [event for event, _ in ear.events] == ["begins", "prepared", "advanced"]
    assert ear.events[2][1] == ["change", "d", "g", "m", "rows", "v", "v_max"]


def test_tracing_changes_no_number(core: dict[str, list[Golden]]) -> None:
    *_, deaf = trajectory(case(core), Float("float32"), dialect("torch.SparseAdam"))
    *_, trace = trajectory(case(core), Ear(), dialect("torch.SparseAdam"))
    assert np.array_equal(deaf["w"].p, trace["w"].p)
