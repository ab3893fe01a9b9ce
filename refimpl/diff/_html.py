"""A page in Markdown as one HTML file that stands alone."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from ..common.html import page
from ._document import BLOCK, cells_of


def to_html(markdown: str) -> str:
    """The page for a browser; its first heading is the title."""
    title = markdown.partition("\n")[0].removeprefix("# ")
    return page(title, Markup("\n").join(map(_block, BLOCK.finditer(markdown))))


def _block(block: re.Match[str]) -> Markup:
    if block["code"] is not None:
        return Markup('<pre tabindex="0"><code>{}</code></pre>').format(block["code"])
    start, text = block["start"], block["text"]
    if start == "| ":
        return _table(start + text)
    if start == "- ":
        return Markup("<ul>{}</ul>").format(Markup("").join(Markup("<li>{}</li>").format(_inline(item)) for item in text.split("\n- ")))
    return Markup(HEADINGS.get(start, "<p>{}</p>")).format(_inline(text))


HEADINGS = {"# ": "<h1>{}</h1>", "## ": "<h2>{}</h2>"}


def _table(text: str) -> Markup:
    head, *body = cells_of(text)
    titles = Markup("").join(Markup('<th scope="col">{}</th>').format(_inline(cell)) for cell in head)
    rows = (Markup("").join(Markup("<td>{}</td>").format(_inline(cell)) for cell in row) for row in body)
    lines = Markup("\n").join(Markup("<tr>{}</tr>").format(row) for row in rows)
    return Markup(TABLE).format(titles, lines)


TABLE = """<div class="wide" tabindex="0" role="region" aria-label="table"><table>
<thead><tr>{}</tr></thead>
<tbody>
{}
</tbody></table></div>"""


def _inline(text: str) -> Markup:
    """Text with its `code`."""
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if k % 2 else escape(part) for k, part in enumerate(parts))
