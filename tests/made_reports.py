"""Reports made by hand, for the tests of every format in which a report is shown."""

from __future__ import annotations

import math
from typing import Any

from refimpl.arithmetic import CLASSES
from refimpl.judging.verdict import ArrayVerdict, CaseVerdict, Diagnosis, Mismatch, Report, Status


def array(name: str = "param", worst: float = 0.5, attained: str | None = "exact-faithful", param: str = "w") -> ArrayVerdict:
    return ArrayVerdict(param, name, dict.fromkeys(CLASSES, worst), attained)


def mismatch(**fields: Any) -> Mismatch:
    defaults = {"param": "w", "array": "param", "step": 3, "index": (4, 1), "got": 0.25, "expected": 0.5, "bound": 0.125, "ratio": 2.0}
    return Mismatch(**{**defaults, **fields})


def passed(slug: str = "fine", dialect: str = "torch.SparseAdam", theme: str = "basics", attained: str = "exact-faithful") -> CaseVerdict:
    arrays = (array("param"), array("exp_avg", 0.25))
    return CaseVerdict(f"{dialect}/{theme}/{slug}", Status.PASSED, "A case that passes.", attained, arrays, seconds=0.5)


def failed(slug: str = "off", dialect: str = "torch.SparseAdam", theme: str = "duplicates", **fields: Any) -> CaseVerdict:
    defaults = {"about": "A row that occurs twice.", "arrays": (array(worst=2e6, attained=None),), "mismatch": mismatch(), "seconds": 0.25}
    return CaseVerdict(f"{dialect}/{theme}/{slug}", Status.FAILED, **{**defaults, **fields})


def other(status: Status, slug: str = "other", dialect: str = "torch.SparseAdam", theme: str = "basics", **fields: Any) -> CaseVerdict:
    return CaseVerdict(f"{dialect}/{theme}/{slug}", status, "A case.", **fields)


def report(*verdicts: CaseVerdict, **fields: Any) -> Report:
    defaults = {"backend": "toy", "version": "1.0", "device": "", "required": "tensor-faithful", "vectors": "vectors"}
    return Report(**{**defaults, **fields}, verdicts=verdicts)


def everything() -> Report:
    """A report in which each kind of verdict occurs, with numbers that are not finite and text that is hostile."""
    return report(
        passed(),
        failed(),
        failed("wild", arrays=(array(worst=math.nan, attained=None),), mismatch=mismatch(got=math.nan, ratio=math.inf, index=())),
        failed(
            "infinite",
            mismatch=mismatch(got=-math.inf, expected=math.inf, ratio=math.inf, bound=math.inf, allowed="+inf or nan", index=(7,)),
        ),
        other(Status.ERROR, "crash", reason="crashed: \x1b[2J<&>\x00\ud800\n]]> line two"),
        other(Status.UNSUPPORTED, "half", reason="no float16"),
        other(Status.WAIVED, "known", waiver="rounds twice (https://example.org/1)"),
        passed("dense", "torch.Adam"),
        diagnoses=(
            Diagnosis(
                ("duplicates-last-wins",),
                "only the last occurrence counts",
                ("torch.SparseAdam/duplicates/off",),
                ("torch.SparseAdam/duplicates/wild",),
            ),
        ),
        problems=("the waiver for 'x/*' no longer applies\x07",),
        environment={"python": "3.12", "command": "refimpl check toy"},
    )
