"""Pages that stand alone: one file each, everything inline, and a policy in its head that forbids every request."""

from .page import environment, page, read

__all__ = ["environment", "page", "read"]
