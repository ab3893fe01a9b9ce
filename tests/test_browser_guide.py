"""The whole guide, built once: everything in it holds, and every page is quiet and fits a phone."""

import pytest
from browser import DESKTOP, PHONE, fits, opened

pytest.importorskip("latex2mathml")
pytest.importorskip("matplotlib")

from refimpl import guide

pytestmark = pytest.mark.xdist_group("chromium")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    directory = tmp_path_factory.mktemp("guide")
    assert guide.main(["--out", str(directory)]) == 0
    return sorted(directory.glob("*.html"))


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "dark"), (DESKTOP, "light")])
def test_every_page_is_quiet_and_fits(chromium, pages, size, scheme):
    assert len(pages) > 10
    for file in pages:
        with opened(chromium, file, size, color_scheme=scheme) as page:
            assert fits(page), file.name
            assert page.locator("h1").count() == 1
