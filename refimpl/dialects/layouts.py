"""How an implementation keeps its state between steps: what it calls the moments, and what it counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..case import ARRAYS
from ..errors import UsageError

COUNTED = {
    "t": "the steps so far",
    "beta1^t": "the power of beta1 that begins at 1",
    "beta2^t": "the power of beta2 that begins at 1",
    "beta1^(t+1)": "the power of beta1 that begins at beta1",
    "beta2^(t+1)": "the power of beta2 that begins at beta2",
    "mu(1)...mu(t)": "the product of NAdam's momenta",
    "0.96^t": "what NAdam's momentum is computed from",
    "t beta2^t/(1-beta2^t)": "what RAdam's rectification is computed from; 1 at t = 0",
}
"""What a count may hold after t steps."""

PER = ("parameter", "optimizer", "row", "element")
"""What has counts of its own; element: they are arrays of the parameter's shape, which hold the same number everywhere."""


@dataclass(frozen=True)
class Layout:
    """The state of one parameter, in the words of the implementation.

    arrays: array of the vectors -> its name; counts: name -> what it holds, of COUNTED; per: what has counts of its own, of PER.
    """

    arrays: Mapping[str, str]
    counts: Mapping[str, str]
    per: str

    @classmethod
    def parse(cls, table: Mapping[str, Any], where: str) -> Layout:
        """The layout that a row of the tables of dialects describes; raises UsageError for a word that is not known."""
        arrays = {array: name for array, name in table.items() if array in ARRAYS}
        counts, per = table.get("counts", {}), table["per"]
        unknown = [*(table.keys() - arrays.keys() - {"counts", "per"}), *(set(counts.values()) - COUNTED.keys()), *({per} - set(PER))]
        if unknown:
            raise UsageError(f"{where}: state: no {', '.join(map(str, unknown))}", f"counts are {', '.join(COUNTED)}")
        return cls(arrays, counts, per)
