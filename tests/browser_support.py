"""Chromium without a window, for tests of the dashboard."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from support import wait_until

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_S = 30.0


def require_chromium() -> tuple[str, str]:
    """Paths of Chromium and its driver. Without them the test is skipped, and in CI it fails."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        reason = "chromium and chromedriver are not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return browser, driver


class Page:
    """A tab, and how a person uses it: elements are found by CSS, and waited for."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        self.url = url
        self.noted: list[str] = []

    def open(self, view: str = "") -> None:
        """Load the page anew, at a view of it."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/#{view}")
        self.wait(lambda: "live" in self.text("#pulse"), "the page to be live")

    def go(self, view: str) -> None:
        """Press a tab."""
        self.click(f"#tab-{view}")
        self.wait(lambda: self.shown(f"#{view}"), f"the view {view}")

    def all(self, css: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css: str, saying: str = "") -> WebElement:
        """The first element that is shown and says this, waited for."""
        # In one go: what was found could be replaced before it is asked for its text.
        script = (
            "return [...document.querySelectorAll(arguments[0])]"
            ".find((one) => one.checkVisibility() && one.innerText.includes(arguments[1])) ?? null"
        )
        element = self.wait(lambda: self.run(script, css, saying), f"{css} {saying!r}")
        assert isinstance(element, WebElement)
        return element

    def click(self, css: str, saying: str = "") -> None:
        """Press what says this; anew, should it be replaced in the very moment."""

        def pressed() -> bool:
            try:
                element = self.one(css, saying)
                self.run("arguments[0].scrollIntoView({block: 'center'})", element)
                element.click()
            except (StaleElementReferenceException, ElementClickInterceptedException):
                return False
            return True

        self.wait(pressed, f"{css} {saying!r} to be pressed")

    def type(self, css: str, text: str) -> None:
        """Type into a field, and press Enter."""
        field = self.one(css)
        field.clear()
        field.send_keys(text, Keys.ENTER)

    def text(self, css: str) -> str:
        """The text of an element, read at once: it may be replaced at any time."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", css))

    def shown(self, css: str) -> bool:
        return bool(self.run("return document.querySelector(arguments[0])?.checkVisibility() ?? false", css))

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def says(self, css: str, text: str) -> None:
        """Wait until an element says this."""
        self.wait(lambda: text in self.text(css), f"{text!r} in {css}, which says {self.text(css)[:300]!r}")

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        return wait_until(condition, PATIENCE_S, what)

    def complaints(self) -> list[str]:
        """What the console got so far: errors, warnings, and what the policy refused."""
        self.noted += [str(entry["message"]) for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]
        return self.noted

    def addresses(self) -> set[str]:
        """Everything that was loaded or asked for."""
        entries = "performance.getEntries().filter((one) => ['navigation', 'resource'].includes(one.entryType))"
        return set(self.run(f"return {entries}.map((one) => one.name)"))

    def look(self, *, dark: bool = False, width: int = 1400, height: int = 900, ratio: int = 1) -> None:
        """A screen of this size, light or dark."""
        size = {"width": width, "height": height, "deviceScaleFactor": ratio, "mobile": width < 500}
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})

    def shoot(self, path: Path) -> None:
        assert self.driver.save_screenshot(str(path))


@contextmanager
def chromium(url: str) -> Iterator[Page]:
    """A tab of a browser with a profile of its own."""
    browser, driver = require_chromium()
    with tempfile.TemporaryDirectory(prefix="swarm-chromium-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = browser
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        tab = webdriver.Chrome(options=options, service=Service(driver))
        try:
            page = Page(tab, url)
            page.look()
            yield page
        finally:
            tab.quit()
