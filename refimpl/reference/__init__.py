"""The reference: one step written once, as a text that runs in every number system. Start with `update`."""

from .forms import ALL, ONE, Forms, each
from .trajectory import States, kept_arrays, scheduled, trajectory
from .update import FIELDS, State

__all__ = ["ALL", "FIELDS", "ONE", "Forms", "State", "States", "each", "kept_arrays", "scheduled", "trajectory"]
