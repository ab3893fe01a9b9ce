"""Making a page of a chapter: run what it runs, compute what it claims, draw what it shows, and note what does not hold."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from markdown_it.token import Token

from . import _claims as claims
from . import _fences as fences
from ._chapter import Built, Chapter, Failure, Link
from ._fences import Wrong
from ._markdown import html, mathml, parser, plain, raw, slug
from ._snippets import SnippetFailed, Workshop, workshop

RUNS = {("python", "run"), ("python", "raises"), ("python", "file"), ("yaml", "file"), ("sh", "run")}
DIRECTIVE = re.compile(r"^<!-- ?(\w+)(?::\s*(.*?))?\s*-->$|^<!-- ?compute\n(.*?)-->$", re.DOTALL)
CLOSING = {"figure": "</figcaption></figure>\n"}


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
        self.failures: list[Failure] = []
        self.sections: list[tuple[str, str]] = []
        self.anchors: list[str] = []
        self.links: list[Link] = []
        self.printed: tuple[str, int] | None = None  # what the last block printed, and its line
        self.unsourced: int | None = None  # the line of an equation whose source has not been shown yet
        self.captioned = ""  # what the next paragraph is the caption of

    def body(self) -> str:
        markdown = parser()
        tokens = markdown.parse(self.chapter.text)
        made: list[Token] = []
        for index, token in enumerate(tokens):
            try:
                made.extend(self._token(token, tokens, index))
            except Wrong as wrong:  # noqa: PERF203  # every chapter tells all that does not hold, not only the first
                self._fail(wrong.line or _line(token), wrong.message)
                if isinstance(wrong.__cause__, SnippetFailed) and token.type != "inline":
                    break  # what follows would fail for the same reason
        else:
            self._settle(len(self.chapter.text.splitlines()))
        rendered: str = markdown.renderer.render(made, markdown.options, {})
        return rendered

    def _fail(self, line: int, message: str) -> None:
        self.failures.append(Failure(self.chapter.name, line, message))

    def _token(self, token: Token, tokens: list[Token], index: int) -> Iterator[Token]:
        """What a token becomes."""
        words = token.info.split()
        if token.level == 0 and token.nesting >= 0 and (token.type, words[:2]) != ("fence", ["text", "output"]):
            self._settle(_line(token), is_equation=token.type == "fence" and (words[:1] == ["math"] or words[1:2] == ["source"]))
        if self.captioned and token.level == 0 and token.type not in ("paragraph_open", "paragraph_close"):
            self.captioned = ""
            raise Wrong("a figure must be followed by its caption, a paragraph")
        yield from BLOCKS.get(token.type, _Build._as_it_is)(self, token, tokens, index)

    def _settle(self, line: int, is_equation: bool = False) -> None:
        """Before a block begins: what the one before it still owes."""
        if self.printed and self.printed[0].strip():
            self._fail(self.printed[1], f"the snippet printed {self.printed[0]!r}; show it in a fence `text output`")
        self.printed = None
        if self.unsourced is not None and not is_equation:
            self._fail(self.unsourced, "an equation without its line of the source: add a fence `python source FILE`, or say `math step`")
            self.unsourced = None

    def _as_it_is(self, token: Token, tokens: list[Token], index: int) -> Iterator[Token]:
        yield token

    def _fence(self, token: Token, tokens: list[Token], index: int) -> Iterator[Token]:
        language, *words = token.info.split() or [""]
        kind = (language, words[0] if words else "")
        if language == "math":
            yield raw(html("div", fences.equation(token.content), class_="equation") + "\n")
            self.unsourced = None if kind[1] == "step" else self.unsourced or _line(token)
        elif kind == ("python", "source") and words[1:]:
            self.unsourced = None
            yield raw(fences.source(token.content, words[1]) + "\n")
        elif kind == ("text", "output"):
            self._output(token)
            yield raw(html("div", fences.code(token.content, "text"), class_="output") + "\n")
        elif kind in RUNS:
            if kind[1] == "file":
                yield raw(html("p", escape(words[1]), class_="where") + "\n")
            yield raw(fences.code(token.content, language) + "\n")
            self.printed = fences.perform(self.workshop, language, words, token.content, _line(token) + 1), _line(token)
        else:
            raise Wrong(
                f"a fence `{token.info}`: every snippet runs; it is one of python run, raises, file, source, sh run, math, text output"
            )

    def _output(self, token: Token) -> None:
        if self.printed is None:
            raise Wrong("output without a snippet before it")
        printed, self.printed = self.printed[0], None
        if not fences.same_output(token.content, printed):
            raise Wrong(f"the text shows {token.content!r}, and the snippet printed {printed!r}")

    def _directive(self, token: Token, tokens: list[Token], index: int) -> Iterator[Token]:
        comment = token.content.strip()
        if claims.parse(comment):
            self._inline_claim(comment, "", _line(token))
            return
        found = DIRECTIVE.match(comment)
        if not found:
            raise Wrong(f"HTML that is no directive: {comment[:60]!r}")
        name, argument, program = found.groups()
        if program is not None:
            printed = fences.perform(self.workshop, "python", ["run"], program, _line(token) + 1)
            if printed.strip():
                raise Wrong(f"what computes must not print: {printed!r}")
            summary = html("summary", "How the numbers here are computed")
            yield raw(html("details", summary + fences.code(program, "python")) + "\n")
        elif name in DIRECTIVES:
            yield from DIRECTIVES[name](self, argument or "", tokens, index)
        else:
            raise Wrong(f"no directive {name!r}; there are {', '.join(DIRECTIVES)} and compute")

    def _figure(self, argument: str, tokens: list[Token], index: int) -> Iterator[Token]:
        from . import _drawing as drawing
        from . import figures

        if argument not in figures.FIGURES:
            raise Wrong(f"no figure {argument!r}; there are {', '.join(figures.FIGURES)}")
        caption = plain(tokens[index + 2].children or []) if len(tokens) > index + 2 else ""
        self.captioned = "figure"
        yield raw(f'<figure class="plot">{drawing.svg(figures.FIGURES[argument], argument, caption)}<figcaption>')

    def _table(self, argument: str, tokens: list[Token], index: int) -> Iterator[Token]:
        from . import _tables as tables

        name, *words = argument.split()
        if name not in tables.TABLES:
            raise Wrong(f"no table {name!r}; there are {', '.join(tables.TABLES)}")
        yield raw(_wide(tables.TABLES[name](*words)) + "\n")

    def _api(self, argument: str, tokens: list[Token], index: int) -> Iterator[Token]:
        from ._api import api

        try:
            yield raw(api(argument) + "\n")
        except (ImportError, LookupError) as error:
            raise Wrong(f"no API page of {argument!r}: {error}") from None

    def _nothing(self, argument: str, tokens: list[Token], index: int) -> Iterator[Token]:
        yield from ()

    def _inline(self, token: Token, tokens: list[Token], index: int) -> Iterator[Token]:
        kept: list[Token] = []
        line = _line(token)
        for child in token.children or []:
            line += child.type in ("softbreak", "hardbreak")
            try:
                if child.type == "html_inline":
                    child = self._claimed(child, kept, line)
                elif child.type == "math_inline":
                    child = _formula(child, token.children or [])
                elif child.type == "link_open":
                    child.attrs["href"] = self._target(str(child.attrs["href"]), line)
                kept.append(child)
            except (Wrong, ValueError) as wrong:
                self._fail(line, str(wrong))
        token.children = kept
        yield token

    def _claimed(self, child: Token, before: list[Token], line: int) -> Token:
        """A claim that holds: its number, taken from the token before it, with the computed value beside it."""
        last = before[-1] if before else None
        if last is not None and last.type == "code_inline":
            self._inline_claim(child.content, last.content, line, is_code=True)
            return Token("html_inline", "", 0)
        written = claims.trailing_number(last.content) if last is not None and last.type == "text" else None
        value = self._inline_claim(child.content, written or "", line)
        if last is None or written is None or value is None:
            return Token("html_inline", "", 0)
        last.content = last.content[: -len(written)]
        return Token("html_inline", "", 0, content=html("data", escape(written), value=str(value), title=f"computed: {value}"))

    def _inline_claim(self, comment: str, written: str, line: int, is_code: bool = False) -> Any:
        claim = claims.parse(comment)
        if claim is None:
            raise Wrong(f"HTML that is no claim: {comment!r}")
        try:
            value = self.workshop.evaluate(claim.expression)
        except SnippetFailed as error:
            raise Wrong(f"the claim {error.message}") from None
        if claim.kind == "?":
            if not value:
                raise Wrong(f"the text claims that `{claim.expression}`, and it does not hold")
            return None
        if not written:
            raise Wrong(f"the claim `{claim.expression}` must stand right behind a number or code")
        if not (str(value) == written if is_code else claims.agrees(written, value)):
            raise Wrong(f"the text says {written}, and `{claim.expression}` is {value}")
        return value if is_code else float(value)

    def _target(self, href: str, line: int) -> str:
        """Where a link of the Markdown leads in the pages."""
        if re.match(r"https?://", href):
            return href
        path, _, anchor = href.partition("#")
        if path and not path.endswith(".md"):
            raise Wrong(f"a link to {href!r}: name the file as code instead, the pages stand alone")
        name = Path(path).stem if path else self.chapter.name
        if path and not (self.directory / path).is_file():
            raise Wrong(f"a link to {href!r}, which is not there")
        self.links.append(Link(line, name, anchor))
        target = replace(self.chapter, name=name).page if path else ""
        return f"{target}#{anchor}" if anchor else target

    def _heading(self, token: Token, tokens: list[Token], index: int) -> Iterator[Token]:
        words = plain(tokens[index + 1].children or [])
        anchor = slug(words)
        token.attrs["id"] = anchor
        self.anchors.append(anchor)
        if token.tag == "h2":
            self.sections.append((anchor, words))
        yield token

    def _table_open(self, token: Token, tokens: list[Token], index: int) -> Iterator[Token]:
        yield raw('<div class="wide" tabindex="0" role="region" aria-label="Table">')
        yield token

    def _table_close(self, token: Token, tokens: list[Token], index: int) -> Iterator[Token]:
        yield token
        yield raw("</div>\n")

    def _paragraph_open(self, token: Token, tokens: list[Token], index: int) -> Iterator[Token]:
        if not self.captioned:
            yield token

    def _paragraph_close(self, token: Token, tokens: list[Token], index: int) -> Iterator[Token]:
        yield raw(CLOSING[self.captioned]) if self.captioned else token
        self.captioned = ""


Walk = Callable[[_Build, Token, list[Token], int], Iterator[Token]]

BLOCKS: dict[str, Walk] = {
    "fence": _Build._fence,
    "html_block": _Build._directive,
    "inline": _Build._inline,
    "heading_open": _Build._heading,
    "table_open": _Build._table_open,
    "table_close": _Build._table_close,
    "paragraph_open": _Build._paragraph_open,
    "paragraph_close": _Build._paragraph_close,
}
DIRECTIVES: dict[str, Callable[[_Build, str, list[Token], int], Iterator[Token]]] = {
    "figure": _Build._figure,
    "table": _Build._table,
    "api": _Build._api,
    "needs": _Build._nothing,
}


def _wide(table: str) -> str:
    return html("div", table, class_="wide", tabindex="0", role="region", aria_label="Table")


def _formula(token: Token, among: list[Token]) -> Token:
    """An equation in the text, and with it the punctuation behind it, which a browser would let fall to the next line."""
    after = next((other for one, other in pairwise(among) if one is token), None)
    found = re.match(r"[.,;:)]+", after.content) if after is not None and after.type == "text" else None
    content = mathml(token.content)
    if after is not None and found:
        after.content = after.content[found.end() :]
        content = html("span", content + found.group(0), class_="together")
    return Token("html_inline", "", 0, content=content)


def _line(token: Token) -> int:
    return token.map[0] + 1 if token.map else 1
