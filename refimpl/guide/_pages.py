"""The pages of the guide: a chapter in its frame, with the way to the others, and all of them written at once."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from markupsafe import Markup

from ..common.html import environment, page
from ..errors import UsageError
from ._chapter import INDEX, Built


def pages(built: Sequence[Built]) -> dict[str, str]:
    """File name to document, for chapters in their order, the index first."""
    order = [one.chapter for one in built]
    style = Markup("<style>\n{}</style>").format(Markup((resources.files(__package__) / "guide.css").read_text(encoding="utf-8")))
    frame = environment(__package__).get_template("chapter.html.j2")
    made = {}
    for number, one in enumerate(built):
        around = {
            "previous": order[number - 1] if number else None,
            "next": order[number + 1] if number + 1 < len(order) else None,
            "is_index": one.chapter.name == INDEX,
        }
        body = frame.render(one=one, body=Markup(one.body), chapters=order, **around)
        title = one.chapter.title if around["is_index"] else f"{one.chapter.title} · the refimpl guide"
        made[one.chapter.page] = page(title, Markup(body), head=style)
    return made


def check_target(directory: Path) -> None:
    """Raise UsageError where pages could not be written: before the work, not after it."""
    nearest = next(one for one in (directory, *directory.absolute().parents) if one.exists())
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
