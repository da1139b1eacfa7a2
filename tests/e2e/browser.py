"""The system's Chromium for tests: it trusts one certificate authority and has no network."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mlops_platform.adapters.wait import Pending, wait_until
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

if TYPE_CHECKING:
    from selenium.webdriver.remote.webelement import WebElement

_SECONDS = 120.0
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # tests run as root
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
    "--window-size=1280,900",
    # Requests to Google reach no server. Chromium resolves names below localhost to this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1",
)


@dataclass(frozen=True)
class Window:
    """Actions of a user in the browser. Every wait reports the last observation."""

    driver: Chrome
    evidence: Path

    def go(self, url: str) -> None:
        self.driver.get(url)

    def at(self, host: str) -> None:
        """Wait until the address has a host."""
        self.until(f"a page of {host}", lambda: urlsplit(self.driver.current_url).hostname == host)

    def says(self, text: str) -> None:
        """Wait until a page shows a text."""
        self.until(f"a page that says {text}", lambda: text in self.text)

    def field(self, css: str) -> WebElement:
        """Wait for a visible and enabled element."""
        found: list[WebElement] = []

        def there() -> bool:
            found[:] = [e for e in self.driver.find_elements(By.CSS_SELECTOR, css) if e.is_displayed()]
            return bool(found)

        self.until(f"an element {css}", there)
        return found[0]

    @property
    def text(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "body").text

    def keep(self, name: str) -> Path:
        """Take a screenshot as evidence."""
        self.evidence.mkdir(parents=True, exist_ok=True)
        file = self.evidence / f"{name}.png"
        assert self.driver.save_screenshot(str(file))
        return file

    def until(self, what: str, test: Callable[[], bool]) -> None:
        """Wait until a test is true."""

        def look() -> bool | Pending:
            try:
                return True if test() else Pending(f"{self.driver.current_url}: {self.text[:200]!r}")
            except (StaleElementReferenceException, WebDriverException) as error:
                return Pending(str(error.msg))  # the page changed in between

        wait_until(what, look, seconds=_SECONDS)


@contextmanager
def chromium(folder: Path, authority: Path | None) -> Iterator[Window]:
    """Start a browser with its own profile in `folder` that trusts `authority`, a file."""
    home = folder / "home"
    database = home / ".pki/nssdb"
    database.mkdir(parents=True)
    trusted = [("-A", "-t", "C,,", "-n", "platform", "-i", str(authority))] if authority else []
    for arguments in (("-N", "--empty-password"), *trusted):
        subprocess.run(["certutil", "-d", f"sql:{database}", *arguments], check=True, timeout=60)
    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in (*_ARGUMENTS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(argument)
    env = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home)}
    driver = Chrome(options, Service("/usr/bin/chromedriver", env=env))
    try:
        yield Window(driver, folder / "evidence")
    finally:
        driver.quit()
