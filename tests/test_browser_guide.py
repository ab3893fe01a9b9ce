from __future__ import annotations

import html
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser import DESKTOP, PHONE, fits, opened

from refimpl import guide
from refimpl.arithmetic import CLASSES
from refimpl.dialects import dialects
from refimpl.guide._chapter import chapters
from refimpl.guide._pages import CHARACTERS

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PATIENCE = 180
"""Seconds that a worker waits for the guide of another."""

PAGES = [chapter.page for chapter in chapters()]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """The whole guide, built once: its exit code says that every snippet, figure and number in it holds.

    Of several workers the first that comes builds it, on all cores, and the others wait for that.
    """
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "guide"
    ended = place / "exit-code"
    try:
        place.mkdir()
    except FileExistsError:
        until = time.monotonic() + PATIENCE
        while not ended.exists() and time.monotonic() < until:
            time.sleep(0.1)
        return int(ended.read_text()), place / "pages"
    code = guide.main(["--out", str(place / "pages"), "--jobs", "2"])
    (place / "ending").write_text(str(code))
    (place / "ending").rename(ended)  # atomic: a worker that sees the file can read it whole
    return code, place / "pages"


def test_everything_in_the_guide_holds(built: tuple[int, Path]) -> None:
    code, out = built
    assert code == 0
    assert sorted(file.name for file in out.iterdir()) == sorted([*PAGES, "search.html"])


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
@pytest.mark.parametrize("name", [*PAGES, "search.html"])
@pytest.mark.sampled(5)
def test_a_page_is_quiet_and_fits_its_window(
    chromium: Browser, built: tuple[int, Path], name: str, size: tuple[int, int], scheme: str
) -> None:
    with opened(chromium, built[1] / name, size, color_scheme=scheme) as page:
        assert fits(page)
        assert page.locator("h1").count() == 1


def test_each_page_leads_to_the_next_from_the_first_to_the_last(chromium: Browser, built: tuple[int, Path]) -> None:
    with opened(chromium, built[1] / "index.html", PHONE) as page:
        for name in PAGES[1:]:
            page.locator("a[rel=next]").last.click()
            assert page.url.endswith(name)
        assert page.locator("a[rel=next]").count() == 0


def test_the_sidebar_shows_every_chapter_on_a_desktop_and_opens_on_a_phone(chromium: Browser, built: tuple[int, Path]) -> None:
    with opened(chromium, built[1] / "03-touch.html", DESKTOP) as page:
        contents = page.get_by_role("navigation", name="The guide")
        assert contents.get_by_role("link", name="Weight decay").is_visible()
        assert contents.locator("[aria-current=page]").inner_text() == "Which rows are touched"
    with opened(chromium, built[1] / "03-touch.html", PHONE) as page:
        link = page.get_by_role("navigation", name="The guide").get_by_role("link", name="Weight decay")
        assert not link.is_visible()
        page.get_by_text("The guide", exact=True).click()
        link.click()
        assert page.url.endswith("06-decay.html")


def test_the_search_finds_sections_by_their_words_and_leads_there(chromium: Browser, built: tuple[int, Path]) -> None:
    with opened(chromium, built[1] / "search.html", PHONE) as page:
        page.keyboard.type("folded step size")  # the field has the focus
        assert page.get_by_role("status").inner_text().split()[1] in ("section", "sections")
        page.locator("#results a").first.click()
        assert "step size" in page.locator("article").inner_text()
    with opened(chromium, built[1] / "search.html") as page:
        page.locator("#words").fill("no such word anywhere")
        assert page.get_by_role("status").inner_text() == "0 sections"


def test_equations_use_the_font_that_the_page_carries(chromium: Browser, built: tuple[int, Path]) -> None:
    with opened(chromium, built[1] / "01-adam.html") as page:
        assert page.evaluate("document.fonts.ready.then(() => [...document.fonts].map((font) => font.status))") == ["loaded"]


def test_every_character_of_an_equation_is_in_the_font(built: tuple[int, Path]) -> None:
    known: set[int] = set()
    for part in CHARACTERS.split(","):
        first, _, last = part.removeprefix("U+").partition("-")
        known.update(range(int(first, 16), int(last or first, 16) + 1))
    for name in PAGES:
        for equation in re.findall(r"<math.*?</math>", (built[1] / name).read_text(encoding="utf-8"), flags=re.DOTALL):
            shown = html.unescape(re.sub(r"<[^>]+>", "", equation))
            assert {character for character in shown if ord(character) not in known and not character.isspace()} == set(), (name, shown)


def test_every_dialect_and_class_is_explained(built: tuple[int, Path]) -> None:
    for page, names in (("17-sources.html", dialects("full")), ("13-rounding.html", CLASSES)):
        text = (built[1] / page).read_text(encoding="utf-8")
        assert [name for name in names if f"<code>{name}</code>" not in text] == []


def test_figures_take_their_colours_from_the_page(chromium: Browser, built: tuple[int, Path]) -> None:
    drawn = {}
    for scheme in ("light", "dark"):
        with opened(chromium, built[1] / "03-touch.html", color_scheme=scheme) as page:
            label = page.locator("figure svg text").first
            drawn[scheme] = label.evaluate("one => getComputedStyle(one).fill")
            assert label.evaluate("one => getComputedStyle(one).fill === getComputedStyle(document.body).color")
    assert drawn["light"] != drawn["dark"]


def test_equations_are_shown_without_a_script(chromium: Browser, built: tuple[int, Path]) -> None:
    with opened(chromium, built[1] / "01-adam.html", java_script_enabled=False) as page:
        box = page.locator(".equation math").first.bounding_box()
        assert box is not None
        assert box["height"] > 15
