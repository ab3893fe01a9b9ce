"""Exceptions that say what is wrong, what to do next, and which exit code the command ends with."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

OK = 0
NOT_CONFORMANT = 1
BAD_INPUT = 2
HARNESS_FAILED = 3


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint at the known names that are near to one that is not known, "" where none is."""
    near = difflib.get_close_matches(name, list(known), n=3)
    return f"did you mean {' or '.join(near)}?" if near else ""


class RefimplError(Exception):
    """A failure with a message for a person, a hint about the next step, and an exit code."""

    exit_code = HARNESS_FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class UsageError(RefimplError):
    """The caller asked for something that does not exist or does not fit."""

    exit_code = BAD_INPUT


class InvalidHyper(UsageError, ValueError):
    """A hyper-parameter that the dialect refuses; `kind` is the slug that vectors use."""

    def __init__(self, message: str, kind: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.kind = kind


class InvalidGradient(UsageError, ValueError):
    """A gradient that does not fit its parameter, or that the dialect refuses."""

    def __init__(self, message: str, kind: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.kind = kind


class InvalidState(UsageError, ValueError):
    """A state of an optimizer that cannot be taken over or gone on from: a count, a moment, or the layout of a state dict."""


class VectorError(UsageError):
    """A vector file that is broken or hostile: names the file, the key and the reason."""

    def __init__(self, file: object, key: str, reason: str, hint: str = "") -> None:
        super().__init__(f"{file}: {key}: {reason}" if key else f"{file}: {reason}", hint)
        self.file, self.key, self.reason = str(file), key, reason


class HarnessError(RefimplError):
    """The harness could not do its work (a proof failed, a worker could not start)."""

    exit_code = HARNESS_FAILED


class Unsupported(Exception):
    """Raised by a backend's `start` or `step` for what it does not claim; the text is the reason."""
