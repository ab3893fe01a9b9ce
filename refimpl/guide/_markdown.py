"""Markdown as code hosts read it: CommonMark, tables, and equations between dollar signs or in fences called `math`."""

from __future__ import annotations

import re
from html import escape

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from ._chapter import Wrong

EQUATION = re.compile(r"\$(?![\s$])((?:[^$\\\n]|\\.)+?)(?<!\s)\$(?!\d)([.,;:)]*)")
"""An equation in the text, and the punctuation behind it, which a browser would let fall to the next line."""


def parser() -> MarkdownIt:
    """A parser whose tokens know their lines; $...$ becomes a token of type math_inline, its info the punctuation behind."""
    markdown = MarkdownIt("commonmark").enable("table")
    markdown.inline.ruler.before("escape", "math_inline", _math_inline)
    return markdown


def _math_inline(state: StateInline, silent: bool) -> bool:
    equation = EQUATION.match(state.src, state.pos)
    if not equation:
        return False
    if not silent:
        token = state.push("math_inline", "math", 0)
        token.content, token.info = equation.groups()
    state.pos = equation.end()
    return True


def mathml(latex: str, display: str = "inline") -> str:
    """An equation as MathML, which a browser shows without a script. Raises Wrong for what cannot be read."""
    try:
        written: str = convert(latex, display=display)
    except Exception as error:  # latex2mathml has an exception for each mistake, and no common base
        raise Wrong(f"not an equation: {latex!r} ({type(error).__name__})") from None
    if "&</" in written or "<mi>\\" in written:
        raise Wrong(f"latex2mathml does not know something in {latex!r}")
    bar = '<mo stretchy="false">&#x0007C;</mo>'  # not infix
    return written.replace(bar, bar.replace(">&", ' lspace="0" rspace="0">&'))


def code(text: str, language: str) -> str:
    """Code in colours that the page's style names; it scrolls inside its own box."""
    inner = highlight(text, PythonLexer(), HtmlFormatter(nowrap=True)) if language == "python" else escape(text)
    return html("pre", html("code", inner.rstrip("\n")), tabindex="0", class_=f"code {language}")


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


def plain(inline: Token) -> str:
    """The words of a paragraph or heading, without their form and without comments."""
    shown = {"text", "code_inline", "math_inline"}
    return "".join(
        child.content + child.info * (child.type == "math_inline") if child.type in shown else " " * (child.type == "softbreak")
        for child in inline.children or []
    )
