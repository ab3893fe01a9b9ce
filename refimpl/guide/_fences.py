"""What the fences of a chapter stand for. The words behind the language say it, and code hosts do not show them.

math             an equation; lines of the source must follow it. `math step`: one that is nowhere coded
python source F  lines of refimpl's file F, which must be there as they are written here
python run       a snippet; what it prints must stand in a fence `text output` behind it
python raises E  a snippet that must raise an error of class E
python file F    a file that later commands use; `yaml file F` likewise
sh run [CODE]    commands, a line each, the last of which must end with CODE (0 if left out)
text output      what the fence before it printed; a line `...` stands for any lines, `...` in a line for any words
"""

from __future__ import annotations

import re
from html import escape
from textwrap import dedent

from ._markdown import html, mathml
from ._snippets import SnippetFailed, Workshop
from ._sources import NotFound, line_of


class Wrong(Exception):
    """Something in a text that does not hold. line: where, if not at the start of the block."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message, self.line = message, line


def code(text: str, language: str) -> str:
    """Code in colours that the page's style names; it scrolls inside its own box."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name

    inner = highlight(text, get_lexer_by_name(language), HtmlFormatter(nowrap=True)).rstrip("\n") if language == "python" else escape(text)
    return html("pre", html("code", inner.rstrip("\n")), tabindex="0", class_=f"code {language}")


def equation(text: str) -> str:
    try:
        return mathml(text.strip(), "block")
    except ValueError as error:
        raise Wrong(str(error)) from None


def source(text: str, path: str) -> str:
    try:
        line = line_of(path, text)
    except NotFound as error:
        raise Wrong(f"{error}: show what the source says now") from None
    count = len(text.splitlines())
    where = f"{path}, line {line}" if count == 1 else f"{path}, lines {line} to {line + count - 1}"
    return html("div", html("p", where, class_="where") + code(dedent(text), "python"), class_="source")


def perform(workshop: Workshop, language: str, words: list[str], text: str, line: int) -> str:
    """Run a snippet, or commands, or keep a file; what was printed. Raises Wrong where it does not do what its fence says."""
    try:
        if language == "sh":
            return workshop.command(text, int(words[1]) if words[1:] else 0)
        if words[0] == "raises":
            return workshop.raises(text, line, words[1])
        if words[0] == "file":
            workshop.write(words[1], text)
            return ""
        return workshop.run(text, line)
    except SnippetFailed as error:
        raise Wrong(error.message, error.line) from error


def same_output(shown: str, printed: str) -> bool:
    """Whether a text shows what was printed; blanks at the ends of lines do not count."""
    pattern = "".join(map(_pattern, shown.rstrip().splitlines()))
    got = "".join(line.rstrip() + "\n" for line in printed.rstrip().splitlines())
    return re.fullmatch(pattern, got) is not None


def _pattern(line: str) -> str:
    if line.strip() == "...":
        return r"(?:.*\n)*?"
    return ".*".join(map(re.escape, line.rstrip().split("..."))) + r"\n"
