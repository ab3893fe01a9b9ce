"""Backends, the implementations that are judged: the protocol, the built-in backends, and running them in a worker or as a program."""

from ..case import Case, Group, Param, Step
from ..errors import Unsupported
from ..gradients import RowGradient
from ._load import BUILTIN
from ._program import ProgramRun, judge_program, read_results, run_program
from ._protocol import Backend, Capabilities, Run, outside_claim
from ._runner import BackendRun, run_backend
from .features import FEATURES

__all__ = [
    "BUILTIN",
    "FEATURES",
    "Backend",
    "BackendRun",
    "Capabilities",
    "Case",
    "Group",
    "Param",
    "ProgramRun",
    "RowGradient",
    "Run",
    "Step",
    "Unsupported",
    "judge_program",
    "outside_claim",
    "read_results",
    "run_backend",
    "run_program",
]
