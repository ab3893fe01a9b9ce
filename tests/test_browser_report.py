from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import made_reports
import pytest
from browser import DESKTOP, PHONE, fits, opened
from test_report_html import HOSTILE, profile

from refimpl.judging.verdict import Status
from refimpl.report.html import to_html

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

THEMES = ("basics", "duplicates", "ranges", "eps")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of 1,200 cases, 40 of them failing, with hostile text in each place that a backend can fill."""
    passed = [made_reports.passed(f"fine-{k}", theme=THEMES[k % 4]) for k in range(1160)]
    failed = [made_reports.failed(f"off-{k}", theme=THEMES[k % 4], reason=HOSTILE) for k in range(39)]
    report = made_reports.report(*passed, *failed, made_reports.other(Status.ERROR, "crash", reason=HOSTILE), backend=HOSTILE)
    drawn = {verdict.case_id: profile(verdict.case_id) for verdict in failed}
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(to_html(replace(report, profiles=drawn, environment={"command": "refimpl check toy"})), encoding="utf-8")
    return path


def shown(page: Page) -> int:
    return page.locator("#list > li:visible").count()


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_quiet_and_fits_its_window(chromium: Browser, file: Path, size: tuple[int, int], scheme: str) -> None:
    with opened(chromium, file, size, color_scheme=scheme) as page:
        assert fits(page)
        assert "does not conform" in page.inner_text("h1")


def test_search_and_filters_narrow_a_thousand_cases(chromium: Browser, file: Path) -> None:
    with opened(chromium, file) as page:
        assert shown(page) == 1200
        page.select_option("#filter-status", "failed")
        assert shown(page) == 39
        page.select_option("#filter-theme", "eps")
        assert shown(page) == 9
        page.fill("#search", "off-11")
        assert shown(page) == 1
        assert page.text_content("#shown") == "1 of 1200 cases"
        page.click("#clear")
        assert shown(page) == 1200


def test_a_failing_case_is_reached_and_opened_by_the_keyboard(chromium: Browser, file: Path) -> None:
    with opened(chromium, file) as page:
        for _ in range(12):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent") == "First failure":
                break
        page.keyboard.press("Enter")
        first = page.locator("#list > li details[open]").first
        assert "off-0" in first.locator("summary").inner_text()
        assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Copy"


def test_without_its_script_the_page_still_shows_everything(chromium: Browser, file: Path) -> None:
    with opened(chromium, file, java_script_enabled=False) as page:
        assert page.locator("#list > li").count() == 1200
        second = page.locator("#list > li").nth(1)
        assert not second.locator("svg").first.is_visible()
        second.locator("summary").click()
        assert second.locator("svg").first.is_visible()
