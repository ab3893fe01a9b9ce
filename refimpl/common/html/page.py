"""The shell of a page: its templates escape all text, and its script runs only because the head names the script's hash."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..cli import version
from ..text import printable

POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "font-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "script-src {script}",
    )
)
"""Content-Security-Policy: nothing is fetched, nothing is sent; of scripts, only the page's own, known by its hash."""

NOTHING = Markup("")


@cache
def environment(package: str = "") -> Environment:
    """Jinja2 as every page uses it; templates (*.j2) are looked up in `package` first, then here.

    Text is escaped for HTML, and a character that is not printable is written as an escape; only Markup passes as it is.
    """
    loaders: list[BaseLoader] = [PackageLoader(name, ".") for name in (package, __package__) if name]
    return Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _visible(value: object) -> object:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def page(title: str, body: Markup, *, head: Markup = NOTHING, header: Markup = NOTHING, script: str = "") -> str:
    """A whole document. body: what <main> holds; header: what stands before it, such as a <nav>; head: more styles.

    script: JavaScript, run when the page has been read. Event handlers in attributes never run, nor any other script.
    Raises ValueError where the script would end its own element.
    """
    script = script.replace("\r\n", "\n")
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError("a script in a page cannot contain '</script' or '<!--': write '<\\/script' in its strings")
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            title=title,
            body=body,
            head=head,
            header=header,
            script=Markup(script),  # raw text, which HTML does not unescape; checked above
            style=Markup(read(__package__, "page.css")),
            policy=POLICY.format(script=_hash(script) if script else "'none'"),
            version=version(),
        )
    )


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def read(package: str, name: str) -> str:
    """A file beside the modules of a package: a style or a script."""
    return (resources.files(package) / name).read_text(encoding="utf-8")
