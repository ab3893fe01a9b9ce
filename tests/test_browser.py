from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser import PHONE, fits, opened
from markupsafe import Markup

from refimpl.common.html import page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Show = Callable[..., AbstractContextManager[Any]]


@pytest.fixture
def show(chromium: Browser, tmp_path: Path) -> Show:
    def shown(document: str, **options: Any) -> AbstractContextManager[Any]:
        (tmp_path / "page.html").write_text(document, encoding="utf-8")
        return opened(chromium, tmp_path / "page.html", **options)

    return shown


def test_a_quiet_page_passes_and_its_own_script_runs(show: Show) -> None:
    with show(page("A title", Markup("<p id='p'>before</p>"), script="document.getElementById('p').textContent = 'after'")) as shown:
        assert shown.title() == "A title"
        assert shown.text_content("#p") == "after"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("<!doctype html><img src=nothing.png>", "request: GET file:"),
        ("<!doctype html><script>fetch('https://example.org/').catch(() => 0)</script>", "request: GET https://example.org/"),
        ("<!doctype html><script>alert('boo')</script>", "dialog: boo"),
        ("<!doctype html><script>console.log('psst')</script>", "console: log: psst"),
        ("<!doctype html><script>missing()</script>", "error: "),
        ("<!doctype html><script>setTimeout(() => missing())</script>", "error: "),
    ],
)
def test_a_page_that_is_not_quiet_fails(show: Show, document: str, said: str) -> None:
    with pytest.raises(AssertionError) as failed, show(document):
        pass
    assert said in str(failed.value)


@pytest.mark.parametrize(
    "markup",
    ["<script>document.title = 'hit'</script>", "<img src=data:x onerror=\"document.title = 'hit'\">", "<base href=https://example.org/>"],
)
def test_the_content_security_policy_blocks_what_was_injected_into_a_page(show: Show, markup: str) -> None:
    with pytest.raises(AssertionError, match="Content Security Policy"), show(page("A title", Markup(markup))) as shown:
        assert shown.title() == "A title"


def test_fits_detects_a_page_that_scrolls_sideways(show: Show) -> None:
    with show(page("A title", Markup("<p>short</p>")), size=PHONE) as shown:
        assert fits(shown)
    with show(page("A title", Markup("<p style='width: 500px'>wide</p>")), size=PHONE) as shown:
        assert not fits(shown)
