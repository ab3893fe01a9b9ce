"""A dialect is data: the stages of an Adam step, and the tables of dialects and deviations that pick from them."""

from ._table import Deviation, Dialect, Hyper, Parameter, deviations, dialect, dialects, differing_stages
from .stages import STAGES, Picks

__all__ = [
    "STAGES",
    "Deviation",
    "Dialect",
    "Hyper",
    "Parameter",
    "Picks",
    "deviations",
    "dialect",
    "dialects",
    "differing_stages",
]
