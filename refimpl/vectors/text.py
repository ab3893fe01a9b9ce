"""The YAML of vector files: a small subset, written to be readable line by line, and read without the ambiguous parts of YAML.

Scalars come back exactly: the shortest decimal of a double, with a dot in its mantissa as YAML 1.1 requires. Anchors, aliases, tags,
repeated keys and words that YAML 1.1 and 1.2 read differently are refused.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from ..common.tables import LOADER
from ..errors import VectorError

DEPTH_LIMIT = 16
SIZE_LIMIT = 16 << 20

_WORDS: dict[str, object] = {
    "null": None,
    "true": True,
    "false": False,
    ".inf": float("inf"),
    "-.inf": float("-inf"),
    ".nan": float("nan"),
}
_AMBIGUOUS = {"", "y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", ".inf", "+.inf", "-.inf", ".nan"}
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?[0-9]+\.[0-9]+(e[+-][0-9]+)?")


def flow(value: object) -> str:
    """A value on one line: `{lr: 0.001, betas: [0.9, 0.999]}`. Raises TypeError for a type that vectors do not have."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(flow, value)) + "]"
    for kind, spell in _SPELL.items():
        if isinstance(value, kind):
            return spell(value)
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be written")


def _float(value: float) -> str:
    text = float.__repr__(value)
    words = {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}
    if text in words:
        return words[text]
    mantissa, e, exponent = text.partition("e")
    return (mantissa if "." in mantissa else f"{mantissa}.0") + e + exponent


def _string(value: str) -> str:
    return value if _PLAIN.fullmatch(value) and value.lower() not in _AMBIGUOUS else quote(value)


def quote(value: str) -> str:
    """A string between double quotes, in ASCII. Raises ValueError for half of a surrogate pair, which no file can hold."""
    value.encode("utf-8")
    return '"' + "".join(_escape(letter) for letter in value) + '"'


def _escape(letter: str) -> str:
    if letter in '"\\':
        return "\\" + letter
    if " " <= letter <= "~":
        return letter
    code = ord(letter)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_SPELL: dict[type, Callable[[Any], str]] = {  # bool before int, whose subclass it is
    type(None): lambda value: "null",
    bool: lambda value: "true" if value else "false",
    int: int.__repr__,
    float: _float,
    str: _string,
}


def read_text(file: Path) -> str:
    """The text of a YAML file. Raises VectorError where it cannot be read, is too large or is not UTF-8."""
    return decode_text(read_bytes(file, SIZE_LIMIT), file)


def read_bytes(file: Path, limit: int) -> bytes:
    """The content of a file, after a check of its size. A device or a pipe, which may have no end, is not read."""
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise VectorError(file, "", "is no regular file")
        if status.st_size > limit:
            raise VectorError(file, "", f"is {status.st_size} bytes long, and at most {limit} are read")
        return file.read_bytes()
    except OSError as error:
        raise VectorError(file, "", f"cannot be read: {error.strerror}", "write the vectors with: python -m refimpl.gen") from None


def decode_text(content: bytes, file: object) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise VectorError(file, "", f"is not UTF-8: {error}") from None


def load(text: str, file: object) -> Any:
    """The document in a YAML text, as dicts, lists and scalars. Raises VectorError, naming the line, for all outside the subset."""
    builder = _Builder(file)
    try:
        for event in yaml.parse(text, Loader=LOADER):
            builder.take(event)
    except yaml.YAMLError as error:
        raise VectorError(file, "", f"is not YAML: {' '.join(str(error).split())}") from None
    if len(builder.documents) != 1:
        raise VectorError(file, "", f"holds {len(builder.documents)} YAML documents, and must hold one")
    return builder.documents[0]


class _Builder:
    """Builds the document from the parser's events with a stack of its own: libyaml's composer recurses until it crashes."""

    def __init__(self, file: object) -> None:
        self.file = file
        self.documents: list[Any] = []
        self.open: list[tuple[Any, list[str]]] = []  # a container, and the key that waits for its value

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise self._refuse(event, "anchors and aliases are not used here")
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            if event.tag is not None or len(self.open) >= DEPTH_LIMIT:
                raise self._refuse(event, f"a tag, or more than {DEPTH_LIMIT} levels")
            container: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            self._put(container, event)
            self.open.append((container, []))
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self.open.pop()
        elif isinstance(event, yaml.ScalarEvent):
            self._put(self._scalar(event), event)

    def _put(self, value: Any, event: Any) -> None:
        if not self.open:
            self.documents.append(value)
            return
        container, waiting = self.open[-1]
        if isinstance(container, list):
            container.append(value)
        elif waiting:
            container[waiting.pop()] = value
        elif not isinstance(value, str) or value in container:
            raise self._refuse(event, f"key {value!r} is repeated" if isinstance(value, str) else f"key {value!r} is not a string")
        else:
            waiting.append(value)

    def _scalar(self, event: Any) -> object:
        text: str = event.value
        if event.tag is not None:
            raise self._refuse(event, f"tag {event.tag} is not used here")
        if event.style:  # quoted
            return text
        if text in _WORDS:
            return _WORDS[text]
        try:
            if _INTEGER.fullmatch(text):
                return int(text)
            if _FLOAT.fullmatch(text):
                return float(text)
        except ValueError:  # more digits than Python converts
            raise self._refuse(event, "a number of too many digits") from None
        if text.lower() in _AMBIGUOUS or not (text[0].isalpha() or text[0] == "_"):
            raise self._refuse(event, f"{text!r} is read differently by different YAML readers; quote it if it is a string")
        return text

    def _refuse(self, event: Any, reason: str) -> VectorError:
        return VectorError(self.file, f"line {event.start_mark.line + 1}", reason)
