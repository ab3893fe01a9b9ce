import os
import time

import pytest
from browser import DESKTOP, PHONE, fits, opened

from refimpl import guide
from refimpl.guide._chapter import chapters

PATIENCE = 180
"""Seconds that a worker waits for the guide of another."""

PAGES = [one.page for one in chapters()]


@pytest.fixture(scope="session")
def built(tmp_path_factory):
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
    (place / "ending").rename(ended)  # whole, when it is seen
    return code, place / "pages"


def test_everything_in_the_guide_holds(built):
    code, out = built
    assert code == 0
    assert sorted(one.name for one in out.iterdir()) == sorted(PAGES)


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_quiet_and_fits_its_window(chromium, built, name, size, scheme):
    with opened(chromium, built[1] / name, size, color_scheme=scheme) as page:
        assert fits(page)
        assert page.locator("h1").count() == 1


def test_one_can_read_from_the_first_page_to_the_last(chromium, built):
    with opened(chromium, built[1] / "index.html", PHONE) as page:
        for name in PAGES[1:]:
            page.locator("a[rel=next]").last.click()
            assert page.url.endswith(name)
        assert page.locator("a[rel=next]").count() == 0


def test_figures_take_their_colours_from_the_page(chromium, built):
    drawn = {}
    for scheme in ("light", "dark"):
        with opened(chromium, built[1] / "03-touch.html", color_scheme=scheme) as page:
            label = page.locator("figure svg text").first
            drawn[scheme] = label.evaluate("one => getComputedStyle(one).fill")
            assert label.evaluate("one => getComputedStyle(one).fill === getComputedStyle(document.body).color")
    assert drawn["light"] != drawn["dark"]


def test_equations_are_shown_without_a_script(chromium, built):
    with opened(chromium, built[1] / "01-adam.html", java_script_enabled=False) as page:
        box = page.locator(".equation math").first.bounding_box()
        assert box["height"] > 15
