"""A real browser for the tests of pages: Chromium, or Google Chrome, without a window."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

NAMES = (os.environ.get('CHROMIUM'), 'chromium', 'chromium-browser', 'google-chrome')
CHROMIUM = next((found for name in NAMES if name and (found := shutil.which(name))), None)

needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason='needs Chromium: apt-get install chromium, or name one by $CHROMIUM'
)


@dataclass
class Opened:
    """A page in the browser.

    Attributes:
        page: The page of Playwright.
        requests: The addresses that were asked for.
        messages: What the console says, and the errors of scripts.
    """

    page: object
    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)


@contextmanager
def launched() -> Iterator[object]:
    """The browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Root may not have the sandbox, and containers have a small /dev/shm.
        arguments = ['--no-sandbox', '--disable-dev-shm-usage']
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@contextmanager
def opened(browser: object, path: Path, width: int = 1280, **options: str) -> Iterator[Opened]:
    """A file in the browser, its charts drawn.

    Args:
        browser: The browser.
        path: The file.
        width: The width of the window, in pixels.
        **options: Of the context of Playwright, such as ``color_scheme``.
    """
    context = browser.new_context(viewport={'width': width, 'height': 900}, **options)
    page = context.new_page()
    found = Opened(page)
    page.on('request', lambda request: found.requests.append(request.url))
    page.on('console', lambda message: found.messages.append(message.text))
    page.on('pageerror', lambda error: found.messages.append(str(error)))
    page.goto(path.as_uri())
    wait_for_charts(page)
    yield found
    context.close()


def wait_for_charts(page: object) -> None:
    """Waits until all charts that are not folded away are drawn."""
    for canvas in page.locator('.canvas:visible').all():
        page.locator(f'#{canvas.get_attribute("id")}[data-drawn]').wait_for(timeout=60_000)
