"""Making a page of a chapter: run what it runs, compute what it claims, draw what it shows, and note what does not hold.

What a fence stands for is said by the words behind its language, which code hosts do not show:

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
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from textwrap import dedent
from typing import Any

from markdown_it.token import Token

from . import _claims as claims
from ._chapter import Built, Chapter, Link, Wrong
from ._markdown import code, html, mathml, parser, plain, raw, slug
from ._snippets import SnippetFailed, Workshop, same_output, workshop
from ._sources import line_of

RUNS: dict[tuple[str, str], Callable[[Workshop, str, int, list[str]], str]] = {
    ("python", "run"): lambda place, text, line, words: place.run(text, line),
    ("python", "raises"): lambda place, text, line, words: place.run(text, line, expected=words[0]),
    ("python", "file"): lambda place, text, line, words: place.write(words[0], text),
    ("yaml", "file"): lambda place, text, line, words: place.write(words[0], text),
    ("sh", "run"): lambda place, text, line, words: place.command(text, int(words[0]) if words else 0),
}
"""What is done with a fence of this language and first word, and the text, line and further words; each gives what was printed."""

DIRECTIVE = re.compile(r"^<!-- ?(\w+)(?::\s*(.*?))?\s*-->$|^<!-- ?compute\n(.*?)-->$", re.DOTALL)
WIDE = '<div class="wide" tabindex="0" role="region" aria-label="Table">'


def built(chapter: Chapter, directory: Path) -> Built:
    """The page of a chapter that lies in this directory. What does not hold is noted; the first snippet that fails ends it."""
    start = time.perf_counter()
    with workshop(chapter.name) as place:
        build = _Build(chapter, place, directory)
        body = build.body()
    made = Built(chapter, body, tuple(build.sections), frozenset(build.anchors), tuple(build.links), tuple(build.failures))
    return replace(made, seconds=time.perf_counter() - start)


def left_out(chapter: Chapter, missing: tuple[str, ...]) -> Built:
    """The page of a chapter that was not built, which says so."""
    names = " and ".join(missing)
    note = f"This copy of the guide was built without {names}. This chapter runs {names}, and so it is left out."
    return Built(chapter, html("h1", escape(chapter.title)) + html("p", escape(note), class_="note"), left_out=True)


class _Build:
    """The walk over the tokens of one chapter."""

    def __init__(self, chapter: Chapter, place: Workshop, directory: Path) -> None:
        self.chapter, self.workshop, self.directory = chapter, place, directory
        self.failures: list[str] = []
        self.sections: list[tuple[str, str]] = []
        self.anchors: list[str] = []
        self.links: list[Link] = []
        self.words_ahead = ""  # of the paragraph or heading that follows a token
        self.printed: tuple[str, int] | None = None  # what the last block printed, and its line
        self.unsourced: int | None = None  # the line of an equation whose source has not been shown yet
        self.captioned = False  # whether the next paragraph is the caption of a figure

    def body(self) -> str:
        markdown = parser()
        tokens = markdown.parse(self.chapter.text)
        made: list[Token] = []
        for index, token in enumerate(tokens):
            self.words_ahead = next((plain(ahead) for ahead in tokens[index + 1 : index + 3] if ahead.type == "inline"), "")
            try:
                made.extend(self._token(token))
            except Wrong as wrong:  # every chapter reports all that does not hold, not only the first
                self._fail(wrong.line or _line(token), str(wrong))
                if isinstance(wrong, SnippetFailed):
                    break  # what follows would fail for the same reason
        else:
            self._check_block_before(len(self.chapter.text.splitlines()))
        rendered: str = markdown.renderer.render(made, markdown.options, {})
        return rendered

    def _fail(self, line: int, message: str) -> None:
        self.failures.append(self.chapter.wrong(line, message))

    def _token(self, token: Token) -> Iterator[Token]:
        """What a token becomes."""
        words = token.info.split()
        if token.level == 0 and token.nesting >= 0 and words[:2] != ["text", "output"]:
            self._check_block_before(_line(token), is_equation=words[:1] == ["math"] or words[1:2] == ["source"])
        if self.captioned and token.level == 0 and token.type not in ("paragraph_open", "paragraph_close"):
            self.captioned = False
            raise Wrong("a figure must be followed by its caption, a paragraph")
        if token.type in BLOCKS:
            yield from BLOCKS[token.type](self, token)
        else:
            yield token

    def _check_block_before(self, line: int, is_equation: bool = False) -> None:
        """Before a block begins: what is still missing from the one before it."""
        if self.printed and self.printed[0].strip():
            self._fail(self.printed[1], f"the snippet printed {self.printed[0]!r}; show it in a fence `text output`")
        self.printed = None
        if self.unsourced is not None and not is_equation:
            self._fail(self.unsourced, "an equation without its line of the source: add a fence `python source FILE`, or say `math step`")
            self.unsourced = None

    def _fence(self, token: Token) -> Iterator[Token]:
        language, *words = token.info.split() or [""]
        kind = words.pop(0) if words else ""
        if language == "math":
            yield _block("div", mathml(token.content.strip(), "block"), class_="equation")
            self.unsourced = None if kind == "step" else self.unsourced or _line(token)
        elif (language, kind) == ("python", "source") and words:
            self.unsourced = None
            first = line_of(words[0], token.content)
            last = first + len(token.content.splitlines()) - 1
            where = f"{words[0]}, line {first}" if first == last else f"{words[0]}, lines {first} to {last}"
            yield _block("div", html("p", where, class_="where") + code(dedent(token.content), "python"), class_="source")
        elif (language, kind) == ("text", "output"):
            self._compare_output(token.content)
            yield _block("div", code(token.content, "text"), class_="output")
        elif (language, kind) in RUNS:
            if kind == "file":
                yield _block("p", escape(words[0]), class_="where")
            yield raw(code(token.content, language) + "\n")
            self.printed = RUNS[language, kind](self.workshop, token.content, _line(token) + 1, words), _line(token)
        else:
            raise Wrong(
                f"a fence `{token.info}`: every snippet runs; it is one of python run, raises, file, source, sh run, math, text output"
            )

    def _compare_output(self, shown: str) -> None:
        if self.printed is None:
            raise Wrong("output without a snippet before it")
        printed, self.printed = self.printed[0], None
        if not same_output(shown, printed):
            raise Wrong(f"the text shows {shown!r}, and the snippet printed {printed!r}")

    def _comment(self, token: Token) -> Iterator[Token]:
        comment = token.content.strip()
        if claims.parse(comment):
            self._claim(comment, "")
            return
        directive = DIRECTIVE.match(comment)
        if not directive:
            raise Wrong(f"HTML that is no directive: {comment[:60]!r}")
        name, argument, program = directive.groups()
        if program is not None:
            printed = self.workshop.run(program, _line(token) + 1)
            if printed.strip():
                raise Wrong(f"what computes must not print: {printed!r}")
            yield _block("details", html("summary", "How the numbers here are computed") + code(program, "python"))
        elif name not in DIRECTIVES:
            raise Wrong(f"no directive {name!r}; there are {', '.join(DIRECTIVES)} and compute")
        else:
            made = DIRECTIVES[name](self, argument or "")
            yield from [raw(made)] if made else []

    def _figure(self, name: str) -> str:
        from ._drawing import svg
        from .figures import FIGURES

        drawn = svg(_choice("figure", name, FIGURES), name, self.words_ahead)
        self.captioned = True
        return f'<figure class="plot">{drawn}<figcaption>'

    def _table(self, argument: str) -> str:
        from ._tables import TABLES

        name, *words = argument.split()
        return f"{WIDE}{_choice('table', name, TABLES)(*words)}</div>\n"

    def _api(self, module: str) -> str:
        from ._api import api

        try:
            return api(module) + "\n"
        except (ImportError, LookupError) as error:
            raise Wrong(f"no API page of {module!r}: {error}") from None

    def _inline(self, token: Token) -> Iterator[Token]:
        kept: list[Token] = []
        line = _line(token)
        for child in token.children or []:
            line += child.type in ("softbreak", "hardbreak")
            try:
                if child.type == "html_inline":
                    child.content = self._claimed(child.content, kept[-1] if kept else Token("", "", 0))
                elif child.type == "math_inline":
                    equation = mathml(child.content)
                    child = raw(html("span", equation + child.info, class_="together") if child.info else equation)
                elif child.type == "link_open":
                    child.attrs["href"] = self._target(str(child.attrs["href"]), line)
                kept.append(child)
            except Wrong as wrong:
                self._fail(line, str(wrong))
        token.children = kept
        yield token

    def _claimed(self, comment: str, before: Token) -> str:
        """A claim that holds: its number, taken from the token before it, with the computed value beside it."""
        if before.type == "code_inline":
            self._claim(comment, before.content, agrees=lambda written, value: str(value) == written)
            return ""
        written = claims.trailing_number(before.content) if before.type == "text" else None
        value = self._claim(comment, written or "")
        if written is None or value is None:
            return ""
        before.content = before.content.removesuffix(written)
        return html("data", escape(written), value=str(float(value)), title=f"computed: {float(value)}")

    def _claim(self, comment: str, written: str, agrees: Callable[[str, Any], bool] = claims.agrees) -> Any:
        """The value that a claim is about; None for a relation. Raises Wrong where the claim does not hold."""
        claim = claims.parse(comment)
        if claim is None:
            raise Wrong(f"HTML that is no claim: {comment!r}")
        try:
            value = self.workshop.evaluate(claim.expression)
        except SnippetFailed as error:
            raise Wrong(f"the claim {error}") from None
        if claim.kind == "?":
            if not value:
                raise Wrong(f"the text claims that `{claim.expression}`, and it does not hold")
            return None
        if not written:
            raise Wrong(f"the claim `{claim.expression}` must stand right behind a number or code")
        if not agrees(written, value):
            raise Wrong(f"the text says {written}, and `{claim.expression}` is {value}")
        return value

    def _target(self, href: str, line: int) -> str:
        """Where a link of the Markdown leads in the pages."""
        if re.match(r"https?://", href):
            return href
        path, _, anchor = href.partition("#")
        if path and not path.endswith(".md"):
            raise Wrong(f"a link to {href!r}: name the file as code instead, the pages stand alone")
        if path and not (self.directory / path).is_file():
            raise Wrong(f"a link to {href!r}, which is not there")
        other = replace(self.chapter, name=Path(path).stem if path else self.chapter.name)
        self.links.append(Link(line, other.name, anchor))
        return (other.page if path else "") + (f"#{anchor}" if anchor else "")

    def _heading(self, token: Token) -> Iterator[Token]:
        token.attrs["id"] = anchor = slug(self.words_ahead)
        self.anchors.append(anchor)
        if token.tag == "h2":
            self.sections.append((anchor, self.words_ahead))
        yield token

    def _paragraph(self, token: Token) -> Iterator[Token]:
        if not self.captioned:
            yield token
        elif token.type == "paragraph_close":
            yield raw("</figcaption></figure>\n")
            self.captioned = False


BLOCKS: dict[str, Callable[[_Build, Token], Iterator[Token]]] = {
    "fence": _Build._fence,
    "html_block": _Build._comment,
    "inline": _Build._inline,
    "heading_open": _Build._heading,
    "table_open": lambda build, token: iter([raw(WIDE), token]),
    "table_close": lambda build, token: iter([token, raw("</div>\n")]),
    "paragraph_open": _Build._paragraph,
    "paragraph_close": _Build._paragraph,
}
"""What is done with a token of this type; any other stays as it is."""

DIRECTIVES: dict[str, Callable[[_Build, str], str]] = {
    "figure": _Build._figure,
    "table": _Build._table,
    "api": _Build._api,
    "needs": lambda build, names: "",
}
"""What a directive is replaced by."""


def _block(tag: str, content: str, **attributes: str) -> Token:
    return raw(html(tag, content, **attributes) + "\n")


def _choice(what: str, name: str, choices: dict[str, Any]) -> Any:
    if name not in choices:
        raise Wrong(f"no {what} {name!r}; there are {', '.join(choices)}")
    return choices[name]


def _line(token: Token) -> int:
    return token.map[0] + 1 if token.map else 1
