"""The messages between the runner and its worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..case import Case, Expected, Golden, Group, Param, Step
from ..gradients import RowGradient
from ._codec import Codec
from ._protocol import Capabilities
from .outcome import End, Outcome, Raised


@dataclass(frozen=True)
class Load:
    """To the worker, first: make the backend. Every message after it is a Request."""

    factory: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Ready:
    """From the worker: the backend is made. An Answer follows for each request."""

    name: str
    version: str
    dialects: Mapping[str, Capabilities]


@dataclass(frozen=True)
class Failed:
    """From the worker: the backend could not be made. exit_code: which of refimpl.errors to raise."""

    exit_code: int
    message: str
    hint: str


@dataclass(frozen=True)
class Request:
    """To the worker: run this case, without its answers. number: identifies its answer."""

    number: int
    golden: Golden


@dataclass(frozen=True)
class Answer:
    """From the worker: the outcome of the request of this number."""

    number: int
    outcome: Outcome


UNREAD = -1
"""The number of an answer to a request that could not be read because a package is missing."""

CODEC = Codec(
    Load, Ready, Failed, Request, Answer, Capabilities, Golden, Case, Expected, Param, Group, Step, RowGradient, Outcome, End, Raised
)  # fmt: skip
