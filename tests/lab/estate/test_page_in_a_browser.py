"""A user of the page: signs in, adds an event, sees which server answered, deletes it, signs out."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.wait import WebDriverWait

from tests.lab.estate.booted import Booted

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
PATIENCE_S = 20


@pytest.fixture
def page(booted: Booted, tmp_path: Path) -> Iterator[WebDriver]:
    """Debian's Chromium, headless, at the estate's address."""
    options = Options()
    options.binary_location = shutil.which("chromium") or "chromium"
    for argument in (
        "--headless=new",
        "--no-sandbox",  # Chromium as root
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-proxy-server",
        f"--user-data-dir={tmp_path / 'profile'}",
    ):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        driver.get(booted.url)
        yield driver
    finally:
        driver.quit()


def _eventually(page: WebDriver, selector: str, text: str) -> None:
    def shows(driver: WebDriver) -> bool:
        return any(text in element.text for element in driver.find_elements(By.CSS_SELECTOR, selector))

    WebDriverWait(page, PATIENCE_S).until(shows, f"{selector} does not show {text!r}")


def _fill(page: WebDriver, form: str, **fields: str) -> None:
    for name, value in fields.items():
        field = page.find_element(By.CSS_SELECTOR, f"{form} [name={name}]")
        if field.get_attribute("type") == "datetime-local":
            page.execute_script("arguments[0].value = arguments[1]", field, value)
        else:
            field.send_keys(value)
    page.find_element(By.CSS_SELECTOR, f"{form} button[type=submit]").click()


def test_a_person_signs_in_and_manages_events(booted: Booted, page: WebDriver) -> None:
    WebDriverWait(page, PATIENCE_S).until(
        lambda driver: driver.find_element(By.ID, "server").text in ("app1", "app2"), "the page names no server"
    )
    _eventually(page, "#state-database", "ready")
    _eventually(page, "#state-redis", "ready")
    password = booted.parameters()["app/admin-password"]["Value"]
    _fill(page, "#sign-in", username="admin", password=password)
    _eventually(page, "#who", "admin")
    _fill(page, "#create", title="Lantern walk", startsAt="2031-11-11T18:00", place="Old mill")
    _eventually(page, "#list", "Lantern walk")
    _eventually(page, "#list", "Old mill")
    page.refresh()
    _eventually(page, "#who", "admin")
    _eventually(page, "#list", "Lantern walk")
    page.find_element(By.ID, "sign-out").click()
    WebDriverWait(page, PATIENCE_S).until(lambda driver: driver.find_element(By.ID, "sign-in").is_displayed())


def test_a_wrong_password_is_refused(page: WebDriver) -> None:
    _fill(page, "#sign-in", username="admin", password="not the password")
    WebDriverWait(page, PATIENCE_S).until(
        lambda driver: driver.find_element(By.CSS_SELECTOR, "#sign-in .problem").is_displayed(), "no problem is shown"
    )
