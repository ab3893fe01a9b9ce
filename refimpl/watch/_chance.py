"""What a sample can miss: the probability that none of k wrong elements was drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable

FAULTS = (1, 10, 100, 1_000, 10_000, 100_000)
"""Numbers of wrong elements for which a report gives the probability."""


def missed(population: int, drawn: int, faults: int) -> float:
    """P(no wrong element is drawn) = C(N - k, n) / C(N, n): N elements, n of them drawn without replacement, k wrong.

    The hypergeometric distribution. It is the product of (1 - n/(N - i)) for i from 0 to k - 1, or of (1 - k/(N - i)) for i < n, whichever
    has fewer factors.
    """
    if faults <= 0 or drawn <= 0:
        return 1.0
    if faults > population - drawn:
        return 0.0
    few, many = sorted((faults, drawn))
    return math.exp(_log_falling(population - many, few) - _log_falling(population, few))


def _log_falling(n: int, k: int) -> float:
    """log of n (n - 1) ... (n - k + 1)."""
    return math.lgamma(n + 1) - math.lgamma(n - k + 1) if k > 64 else sum(math.log(n - i) for i in range(k))


def missed_always(calls: Iterable[tuple[int, int]], faults: int) -> float:
    """The same for a fault that comes back in every judged call: samples are drawn independently. calls: (population, drawn) each."""
    return math.exp(sum(math.log(p) if (p := missed(population, drawn, faults)) > 0 else -math.inf for population, drawn in calls))
