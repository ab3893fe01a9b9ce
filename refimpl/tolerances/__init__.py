"""Tolerances of other tools, tried on golden vectors: which known mistakes they let pass, and which correct results they refuse."""

from ._audit import Audit, Mistake, audited
from ._compared import is_compared
from ._sample import sampled
from ._tightest import Tightest, tightest
from .rules import Rule, elementwise, rule, rules

__all__ = ["Audit", "Mistake", "Rule", "Tightest", "audited", "elementwise", "is_compared", "rule", "rules", "sampled", "tightest"]
