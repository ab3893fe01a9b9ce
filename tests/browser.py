"""A real Chromium for the tests of pages: started once, and strict: a request, an error or a dialog is a failure.

A test asks for the fixture `chromium` (conftest.py makes it known), and shows a page with `opened`. Each worker has a browser of its
own. Where there is no Chromium the tests are skipped; where the environment variable CI is set they fail.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page, Route

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",  # CI runs as root in a container, and the pages are ours
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser, by playwright; `opened` shows a page in it."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        message = "no Chromium: install Debian's with `apt-get install chromium`"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, file: Path, size: tuple[int, int] = DESKTOP, **options: Any) -> Iterator[Page]:
    """A page of a local file, in a fresh profile; after the block it must have been quiet.

    options: of playwright's new_context (color_scheme, java_script_enabled ...). A link may be followed to another local file.
    """
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    page = context.new_page()
    page.set_default_timeout(10_000)
    noise = []

    def local(route: Route) -> None:
        if route.request.url.startswith("file:") and route.request.is_navigation_request():
            route.continue_()
        else:
            noise.append(f"request: {route.request.method} {route.request.url}")
            route.abort()

    def dismiss(dialog: Dialog) -> None:
        noise.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    context.route("**/*", local)
    page.on("console", lambda message: noise.append(f"console: {message.type}: {message.text}"))
    page.on("pageerror", lambda error: noise.append(f"error: {error}"))
    page.on("dialog", dismiss)
    context.on("page", lambda other: noise.append(f"another page: {other.url}"))
    try:
        page.goto(file.resolve().as_uri())
        yield page
        if options.get("java_script_enabled", True):
            page.evaluate("() => new Promise(done => setTimeout(done))")  # timers that the page set before are over, however slow it is
        page.wait_for_timeout(20)  # messages that the page has still to deliver
        if noise:
            raise AssertionError("\n".join(noise))
    finally:
        context.close()


def fits(page: Page) -> bool:
    """Whether nothing is wider than the page, so that it never scrolls sideways."""
    return bool(page.evaluate("() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"))
