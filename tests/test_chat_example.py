"""The chat of examples/chat in a real browser: what is learned from thumbs helps with other words, too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_support import CommandLine
from selenium import webdriver
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from support import wait_until

BACKEND = Path(__file__).parent.parent / "examples" / "chat" / "backend.py"
PASSWORD = "You can reset your password under Settings, Security."
INVOICES = "Invoices are under Billing, Documents."


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """The address of the chat, over a stack of its own."""
    line = CommandLine(SWARM_CONSOLIDATE_DELAY="0.2")
    try:
        url = line.json("up")["gateway"]["url"]
        environment = {**line.environment, "SWARM_GATEWAY": url, "CHAT_PORT": "0"}
        with subprocess.Popen([sys.executable, str(BACKEND)], env=environment, stdout=subprocess.PIPE) as backend:
            assert backend.stdout is not None
            try:
                yield backend.stdout.readline().decode().split(": ", 1)[1].strip()
            finally:
                backend.terminate()
    finally:
        line.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[WebDriver]:
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path="/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()


def ask(browser: WebDriver, text: str) -> WebElement:
    """Ask, and wait for the answer."""
    before = len(browser.find_elements(By.CSS_SELECTOR, ".theirs"))
    field = browser.find_element(By.ID, "text")
    field.send_keys(text)
    field.submit()
    wait_until(lambda: len(browser.find_elements(By.CSS_SELECTOR, ".theirs")) > before, 20.0, "an answer")
    return browser.find_elements(By.CSS_SELECTOR, ".theirs")[-1]


def thumb(answer: WebElement, *, is_up: bool) -> None:
    answer.find_elements(By.CSS_SELECTOR, "button")[0 if is_up else 1].click()
    wait_until(lambda: "accepted" in answer.find_element(By.CSS_SELECTOR, ".why").text, 20.0, "a receipt")


@pytest.mark.timeout(240)
def test_thumbs_teach_an_answer_that_is_given_to_other_words_then(page: str, browser: WebDriver) -> None:
    browser.get(page)
    question = "where is the invoice of last month"
    first = ask(browser, question)
    assert first.text.startswith(PASSWORD)
    assert "a try" in first.text
    thumb(first, is_up=False)
    second = ask(browser, question)
    assert second.text.startswith(INVOICES)  # what was disliked is not said again
    thumb(second, is_up=True)
    # Of both what worked and what did not.
    wait_until(lambda: "knows 2 outcomes" in browser.find_element(By.ID, "known").text, 60.0, "patterns")

    def is_learned() -> bool:
        return ask(browser, "I need the invoice of march").text.startswith(INVOICES)

    wait_until(is_learned, 60.0, "the answer to other words")
    last = browser.find_elements(By.CSS_SELECTOR, ".theirs")[-1]
    assert f"learned from “{question}”" in last.text
    if folder := os.environ.get("SWARM_TEST_PICTURES"):
        browser.save_screenshot(str(Path(folder) / "chat.png"))


@pytest.mark.timeout(120)
def test_what_somebody_types_is_text_and_nothing_is_loaded_from_elsewhere(page: str, browser: WebDriver) -> None:
    browser.get(page)
    ask(browser, "<img src=http://other.example/x onerror=alert(1)>")
    assert browser.find_elements(By.CSS_SELECTOR, "img") == []
    assert [entry for entry in log(browser, "browser") if "favicon" not in entry["message"]] == []
    events = [json.loads(entry["message"])["message"] for entry in log(browser, "performance")]
    urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert urls
    assert all(url.startswith((page, "data:")) for url in urls), urls


def log(browser: WebDriver, kind: str) -> list[dict[str, Any]]:
    """What the browser has logged since the last time."""
    found: list[dict[str, Any]] = browser.get_log(kind)  # type: ignore[no-untyped-call]  # selenium leaves it untyped
    return found
