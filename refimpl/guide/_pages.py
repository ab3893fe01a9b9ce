"""The pages of the guide: a chapter in its frame, with links to the others, the search, and all of them written at once."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from html import unescape
from importlib import resources
from pathlib import Path

from markupsafe import Markup

from ..common.html import environment, page, read
from ..errors import UsageError
from ._chapter import INDEX, Built

SEARCH = "search.html"
"""The page that searches the others."""

CHARACTERS = (
    "U+20-7E,U+A0,U+B1,U+B7,U+D7,U+F7,U+302-308,U+391-3A9,U+3B1-3C9,U+3D1,U+3D5,U+3F5,U+2016,U+2026,U+2032,U+2190-2194,U+21A6,U+2200,"
    "U+2202,U+2203,U+2206-2208,U+2211,U+220F,U+2212,U+2215,U+2217,U+2218,U+221A,U+221D,U+221E,U+2223,U+2225,U+2227-222B,U+2248,U+2260,U+2261,"
    "U+2264,U+2265,U+226A,U+226B,U+2282-2287,U+2299,U+22C5,U+2308-230B,U+27E8,U+27E9,U+1D434-1D467,U+210E,U+1D6E2-1D71B"
)
"""What the font of the equations holds (see font/README.md)."""


def pages(built: Sequence[Built]) -> dict[str, str]:
    """File name to document, for chapters in their order, the index first; the last one searches them."""
    style = Markup("<style>\n{}{}</style>").format(Markup(_font()), Markup(read(__package__, "guide.css")))
    templates = environment(__package__)
    template = templates.get_template("chapter.html.j2")
    made = {}
    for number, shown in enumerate(built):
        body = template.render(built=shown, body=Markup(shown.body), chapters=[each.chapter for each in built], number=number)
        title = shown.chapter.title if shown.chapter.name == INDEX else f"{shown.chapter.title} · the refimpl guide"
        made[shown.chapter.page] = page(title, Markup(body), head=style)
    index = json.dumps(list(_index(built)), ensure_ascii=False).replace("<", "\\u003c")  # so that nothing in it can end the script
    search = Markup(templates.get_template("search.html.j2").render())
    made[SEARCH] = page(
        "Search · the refimpl guide", search, head=style, script=f"const INDEX = {index};\n{read(__package__, 'search.js')}"
    )
    return made


def _font() -> str:
    """The font as a part of the page: a page requests nothing from elsewhere."""
    content = base64.b64encode((resources.files(__package__) / "font" / "stix-two-math.woff2").read_bytes()).decode("ascii")
    return f'@font-face {{ font-family: "STIX Two Math"; src: url(data:font/woff2;base64,{content}) format("woff2"); }}\n'


def _index(built: Sequence[Built]) -> Iterator[tuple[str, str, str, str, str]]:
    """Page, chapter, anchor, section and text of each section; the text before the first heading belongs to the chapter itself."""
    for shown in built:
        title = section = shown.chapter.title
        anchor = ""
        for part in re.split(r'(<h2[^>]* id="[^"]*"[^>]*>.*?</h2>)', shown.body, flags=re.DOTALL):
            heading = re.match(r'<h2[^>]* id="([^"]*)"', part)
            if heading:
                anchor, section = heading.group(1), _words(part)
            elif part.strip():
                yield shown.chapter.page, title, anchor, section, _words(part)


def _words(markup: str) -> str:
    """The text of HTML as a reader sees it, without figures and equations."""
    without = re.sub(r"<(svg|math|style)\b.*?</\1>", " ", markup, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", without)).split())


def check_target(directory: Path) -> None:
    """Raise UsageError where pages could not be written: before the work, not after it."""
    nearest = next(place for place in (directory, *directory.absolute().parents) if place.exists())
    if not nearest.is_dir():
        raise UsageError(f"--out {directory}: {nearest} is not a directory", "name a directory, or one that can be created")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UsageError(f"--out {directory}: {nearest} cannot be written to", "name a directory that you may write to")


def write(directory: Path, documents: Mapping[str, str]) -> None:
    """Write all pages beside their place first, then move each there; other files in the directory stay."""
    directory.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=".guide-", dir=directory))
    try:
        for name, text in documents.items():
            (stage / name).write_text(text, encoding="utf-8")
        for name in documents:
            os.replace(stage / name, directory / name)
    except OSError as error:
        raise UsageError(f"{directory}: cannot be written: {error.strerror or error}", "name a directory that you may write to") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
