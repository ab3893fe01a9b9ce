"""API pages: the public names of a module with their signatures and docstrings."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from html import escape
from importlib import import_module
from types import ModuleType
from typing import Any

from ._markdown import code, html

LONGEST = 160
"""Characters of a constant that are shown."""


def api(module_name: str) -> str:
    """What a module offers, in the order of its `__all__`: HTML, a section per name. Raises LookupError where a docstring is missing."""
    module = import_module(module_name)
    return "\n".join(_entry(module, name) for name in module.__all__)


def _entry(module: ModuleType, name: str) -> str:
    value = getattr(module, name)
    title = html("h3", html("code", f"{module.__name__}.{name}"), id=f"{module.__name__}.{name}".replace(".", "-"))
    if not (inspect.isclass(value) or inspect.isfunction(inspect.unwrap(value))):
        return title + _value(value)
    parts = [title]
    if not getattr(value, "_is_protocol", False):  # nobody calls a protocol
        parts.append(code(_signature(name, value), "text"))
    parts += _paragraphs(_docstring(f"{module.__name__}.{name}", value))
    if inspect.isclass(value):
        methods = [html("dt", html("code", escape(text))) + html("dd", "".join(_paragraphs(doc))) for text, doc in _methods(name, value)]
        parts += [html("dl", "".join(methods), class_="api")] if methods else []
    return "\n".join(parts)


def _value(value: object) -> str:
    shown = repr(value)
    return html("p", "A constant: " + html("code", escape(shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}...")))


def _docstring(name: str, value: Any) -> str:
    text = value.__doc__ or ""
    if not text.strip() or text.startswith(f"{getattr(value, '__name__', '')}("):  # what dataclass writes by itself
        raise LookupError(f"{name} is public and has no docstring")
    return inspect.cleandoc(text)


def _signature(name: str, value: Any) -> str:
    try:
        text = f"{name}{inspect.signature(value)}"
    except (TypeError, ValueError):
        text = name
    text = re.sub(r"(?<=: |> )'([^']*)'", r"\1", text)  # annotations are text under `from __future__ import annotations`
    return re.sub(r"\b(?:numpy|typing|collections\.abc|refimpl\.[\w.]+)\.(?=[A-Z])", "", text)


def _methods(class_name: str, value: type) -> Iterator[tuple[str, str]]:
    if issubclass(value, BaseException):
        return
    for name, member in vars(value).items():
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if name.startswith("_") or not inspect.isfunction(function) or not function.__doc__:
            continue
        yield name if isinstance(member, property) else _signature(name, function), inspect.cleandoc(function.__doc__)


def _paragraphs(text: str) -> list[str]:
    """Paragraphs of a docstring; lines that are all indented are shown as they are."""
    blocks = re.split(r"\n\s*\n", text)
    return [code(textwrap.dedent(block), "text") if block.startswith("    ") else html("p", _inline(block)) for block in blocks]


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", lambda name: html("code", name.group(1)), escape(" ".join(text.split()), quote=False))
