"""What the runner and its worker say to each other, and how: pickled messages, each behind its length."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from .protocol import Capabilities


@dataclass(frozen=True)
class Load:
    """To the worker, first: make the backend. Every message after it is a Golden to run."""

    factory: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Ready:
    """From the worker: the backend is made. An Outcome follows for each golden."""

    name: str
    version: str
    dialects: Mapping[str, Capabilities]


@dataclass(frozen=True)
class Failed:
    """From the worker: the backend could not be made. exit_code: which of refimpl.errors to raise."""

    exit_code: int
    message: str
    hint: str


LENGTH_BYTES = 8


def send(stream: BinaryIO, message: object) -> None:
    """Write one message, whole."""
    content = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(len(content).to_bytes(LENGTH_BYTES, "big"))
    stream.write(content)
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Read one message; raises EOFError where the other side is gone."""
    length = int.from_bytes(_exactly(stream, LENGTH_BYTES), "big")
    return pickle.loads(_exactly(stream, length))  # both ends are refimpl's own


def _exactly(stream: BinaryIO, count: int) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise EOFError("the other side closed the channel")
    return content
