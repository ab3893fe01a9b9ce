"""Claims about numbers: what the text says must be the computed value, rounded as the text rounds it.

A claim is a number or a piece of code, with a comment behind it that no reader of the Markdown sees: `0.19<!--= m[2] -->`.
A claim about a relation has no number: `<!--? a < b -->`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

CLAIM = re.compile(r"^<!--([=?])\s*(.+?)\s*-->$", re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])[-−+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?$")


@dataclass(frozen=True)
class Claim:
    """kind: "=" for a value, "?" for a relation; expression: Python, evaluated where the claim stands."""

    kind: str
    expression: str


def parse(comment: str) -> Claim | None:
    """The claim in an HTML comment, or None where it holds none."""
    claim = CLAIM.match(comment)
    return Claim(*claim.groups()) if claim else None


def trailing_number(text: str) -> str | None:
    """The number at the end of a text, as it is written."""
    number = NUMBER.search(text)
    return number.group(0) if number else None


def agrees(written: str, value: Any) -> bool:
    """Whether a value, rounded to the last digit that is written, is the number that is written."""
    claimed = Decimal(written.replace(",", "").replace("−", "-"))
    number = float(value)
    if not math.isfinite(number):
        return False
    with localcontext() as context:
        context.prec = 400  # any double has fewer digits above the last one that a text writes
        rounded = Decimal(number).quantize(Decimal((0, (1,), int(claimed.as_tuple().exponent))), ROUND_HALF_EVEN)
    return rounded == claimed
