"""Markdown as code hosts read it: CommonMark, tables, and equations between dollar signs or in fences called `math`."""

from __future__ import annotations

import re
from html import escape

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

EQUATION = re.compile(r"\$(?![\s$])((?:[^$\\\n]|\\.)+?)(?<!\s)\$(?!\d)")


def parser() -> MarkdownIt:
    """A parser whose tokens know their lines; $...$ becomes a token of type math_inline."""
    markdown = MarkdownIt("commonmark").enable("table")
    markdown.inline.ruler.before("escape", "math_inline", _math_inline)
    return markdown


def _math_inline(state: StateInline, silent: bool) -> bool:
    found = EQUATION.match(state.src, state.pos)
    if not found:
        return False
    if not silent:
        state.push("math_inline", "math", 0).content = found.group(1)
    state.pos = found.end()
    return True


def mathml(latex: str, display: str = "inline") -> str:
    """An equation as MathML, which a browser shows without a script. Raises ValueError for what cannot be read."""
    try:
        written: str = convert(latex, display=display)
    except Exception as error:  # latex2mathml has an exception for each mistake, and no common base
        raise ValueError(f"not an equation: {latex!r} ({type(error).__name__})") from None
    written = written.replace(
        '<mo stretchy="false">&#x0007C;</mo>', '<mo stretchy="false" lspace="0" rspace="0">&#x0007C;</mo>'
    )  # not infix
    if "&</" in written or "<mi>\\" in written:
        raise ValueError(f"latex2mathml does not know something in {latex!r}")
    return written


def html(tag: str, content: str, **attributes: str) -> str:
    """An element around content that is HTML already; attribute values are escaped, and a trailing _ falls off their names."""
    named = "".join(f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"' for name, value in attributes.items())
    return f"<{tag}{named}>{content}</{tag}>"


def raw(content: str) -> Token:
    """A token that is rendered as it is."""
    return Token("html_block", "", 0, content=content)


def slug(heading: str) -> str:
    """The anchor of a heading, as code hosts make it."""
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.strip().lower()))


def plain(tokens: list[Token]) -> str:
    """The words of inline tokens, without their form and without comments."""
    return "".join(one.content if one.type in ("text", "code_inline", "math_inline") else " " * (one.type == "softbreak") for one in tokens)
