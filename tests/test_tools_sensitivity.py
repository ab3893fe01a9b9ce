"""What vectors notice of a hyper-parameter that is off, as a command."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refimpl.arithmetic import CLASSES
from refimpl.case import Golden
from refimpl.cases import drafts
from refimpl.dialects import dialect
from refimpl.gen import complete

TOOLS = Path(__file__).resolve().parent.parent / "tools"


@pytest.fixture(scope="module")
def goldens() -> list[Golden]:
    """The first two vectors of a theme, with their expectations."""
    return [complete(draft) for draft in list(drafts(dialect("torch.SparseAdam"), "basics"))[:2]]


@pytest.fixture
def sensitivity(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(TOOLS))
    import sensitivity

    return sensitivity


def test_an_error_is_detected_from_the_printed_size_on_and_not_below(sensitivity: Any, goldens: list[Golden]) -> None:
    golden = goldens[0]
    for role in ("lr", "beta2"):
        for numerics_class in (CLASSES[0], CLASSES[2]):
            plain, moved = sensitivity.exact(golden.case, role, 0.0), sensitivity.exact(golden.case, role, sensitivity.PROBE)
            about = sensitivity.estimate(golden, plain, moved, numerics_class)
            least = sensitivity.bisect(golden, role, numerics_class, about)
            assert least == pytest.approx(about, rel=0.3)
            assert any(sensitivity.notices(golden, role, way * least, numerics_class) for way in (1, -1))
            assert not any(sensitivity.notices(golden, role, way * least * 0.999, numerics_class) for way in (1, -1))


def test_an_error_far_below_what_a_double_expresses_moves_the_exact_result(sensitivity: Any, goldens: list[Golden]) -> None:
    case = goldens[0].case
    plain, moved = (sensitivity.exact(case, "lr", error)["w", "param"][-1] for error in (0.0, 2.0**-80))
    assert any(not before.overlaps(after) for before, after in zip(plain.ravel(), moved.ravel()))


def test_only_roles_that_the_dialect_has_and_that_are_not_zero_are_tried(sensitivity: Any, goldens: list[Golden]) -> None:
    assert list(sensitivity._roles(goldens[0].case)) == ["lr", "beta1", "beta2", "eps"]


def test_a_looser_bound_detects_only_larger_errors(sensitivity: Any, goldens: list[Golden]) -> None:
    golden = goldens[0]
    plain, moved = sensitivity.exact(golden.case, "lr", 0.0), sensitivity.exact(golden.case, "lr", sensitivity.PROBE)
    estimates = [sensitivity.estimate(golden, plain, moved, numerics_class) for numerics_class in CLASSES]
    assert estimates == sorted(estimates)
    wide = {
        name: {array: replace(expected, bound={k: 4 * b for k, b in expected.bound.items()}) for array, expected in arrays.items()}
        for name, arrays in golden.expected.items()
    }
    wider = sensitivity.estimate(replace(golden, expected=wide), plain, moved, CLASSES[0])
    assert wider == pytest.approx(4 * estimates[0], rel=1e-6)


def test_the_table_stands_beside_the_first_edition_and_less_sharp_fails(
    sensitivity: Any, goldens: list[Golden], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    class Read:
        def __init__(self, *arguments: Any) -> None:
            self.goldens = goldens[:1]

    monkeypatch.setattr(sensitivity, "read_vectors", Read)
    monkeypatch.setattr(sensitivity, "CANDIDATES", 1)
    report = tmp_path / "sensitivity.json"
    code = sensitivity.main(["--json", str(report)])
    printed = capsys.readouterr().out
    assert "(8.7e-07)" in printed
    rows = json.loads(report.read_text())
    assert {row["role"] for row in rows} >= {"lr", "beta1", "beta2"}
    worse = any(
        row["error"] > sensitivity.FIRST_EDITION["torch.SparseAdam", row["dtype"], row["class"]].get(row["role"], np.inf) * 1.05
        for row in rows
        if ("torch.SparseAdam", row["dtype"], row["class"]) in sensitivity.FIRST_EDITION
    )
    assert code == int(worse)
    assert ("less sharp than the first edition" in printed) == worse
