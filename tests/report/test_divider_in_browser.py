"""The dividers of the reports of a run and of fidelity, in a real browser without a window."""

from __future__ import annotations

import shutil

import pytest
import torch
from documents import document

from lowvision import report
from lowvision.imaging import io
from lowvision.report import fidelity_page
from lowvision.report.fidelity_page import Picture

pytest.importorskip("selenium")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver")


@pytest.fixture
def browser(tmp_path):
    from selenium import webdriver

    folder = tmp_path / "birds" / "bird"
    folder.mkdir(parents=True)
    for name, value in {"input": 0.2, "routed": 0.8, "map": 0.5}.items():
        io.write(folder / f"{name}.png", io.Image(io.to_uint8(torch.full((3, 200, 400), value))))
    (tmp_path / "report.html").write_text(report.html(document(2), [], tmp_path), encoding="utf-8")
    picture = Picture("bird", *(torch.full((3, 200, 400), value) for value in (0.2, 0.7, 0.8)))
    page = fidelity_page.html([["", "seconds"], ["teacher", "1.0"]], 0, ["two threads"], [picture], None)
    (tmp_path / "fidelity.html").write_text(page, encoding="utf-8")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def test_the_divider_follows_keys_and_pointer_and_fits_a_phone(browser, tmp_path):
    for name in ("report", "fidelity"):
        browser.set_window_size(1000, 800)
        browser.get(f"file://{tmp_path}/{name}.html")
        check_divider(browser)


def check_divider(browser):
    from selenium.webdriver import ActionChains

    split = "return getComputedStyle(document.querySelector('.compare')).getPropertyValue('--split')"
    assert browser.execute_script(split) == "50%"
    slider = browser.find_element("css selector", ".compare input")
    slider.send_keys("\ue014" * 4)  # arrow right
    assert browser.execute_script(split) == "52%"
    stage = browser.find_element("css selector", ".stage")
    ActionChains(browser).move_to_element_with_offset(stage, -100, 0).click().perform()
    assert 20 < float(slider.get_attribute("value")) < 30
    clipped = "return getComputedStyle(document.querySelector('.after')).clipPath"
    assert browser.execute_script(clipped).startswith("inset(0px 0px 0px 2")
    browser.set_window_size(500, 800)
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(overflow) <= 0
