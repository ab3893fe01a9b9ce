"""Right: the same mathematics, computed in other admissible ways."""

from __future__ import annotations

from .table import Row, right

# fmt: off
ROWS: tuple[Row, ...] = (
    right("plain", "weighted averages, scalars in double, sums in order", {}),
)
# fmt: on
