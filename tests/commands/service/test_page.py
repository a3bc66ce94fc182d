"""Claims about the page of `lowvision app`, in a real browser without a window."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn

from lowvision.commands.service.app import Service, application
from lowvision.commands.service.limits import Limits
from lowvision.commands.service.page import Page
from lowvision.imaging import io
from lowvision.inference import restorer
from lowvision.plugins import registry

pytest.importorskip("selenium")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver")
PATIENCE = 120
FIGURES = (
    r"320\u00d7180, ([\d.]+) s, \d+ % of the cost of the base on the whole image, "
    r"which takes ([\d.]+) s: ([\d.]+) times as long"
)


@pytest.fixture(scope="module")
def address(weights_file: Path) -> Iterator[str]:
    network = restorer.load(weights_file, device="cpu", runtime="torch", registry=registry.load())
    others = {"other": lambda: Service(network, "other", Limits())}
    app = application(network, "tiny", Limits(), lambda service: Page(service, others).routes)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    thread.join(60)


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    browser.set_page_load_timeout(PATIENCE)
    browser.set_script_timeout(PATIENCE)
    yield browser
    browser.quit()


@pytest.fixture
def browser(driver: Any, address: str) -> Any:
    driver.set_window_size(1000, 900)
    driver.get(address)
    wait(lambda: "tiny" in text(driver, "name"))
    return driver


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    rows, columns = np.mgrid[:90, :160]
    io.write(tmp_path / "photo.png", io.Image(np.stack([rows * 2, columns, rows + columns], 2).astype(np.uint8)))
    return tmp_path / "photo.png"


def wait(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def element(browser: Any, name: str) -> Any:
    return browser.find_element("id", name)


def text(browser: Any, name: str) -> str:
    return str(element(browser, name).text)


def restore(browser: Any, path: Path) -> None:
    element(browser, "file").send_keys(str(path))
    wait(lambda: element(browser, "result").is_displayed() or text(browser, "error"))
    wait(lambda: browser.execute_script("return after.complete && map.complete") or text(browser, "error"))


def test_a_photo_is_restored_and_compared(browser: Any, photo: Path) -> None:
    restore(browser, photo)
    sizes = browser.execute_script("return [before, after].map((each) => [each.naturalWidth, each.naturalHeight])")
    assert sizes == [[160, 90], [320, 180]]
    assert "320\u00d7180" in text(browser, "files")
    assert "% of the cost of the base" in text(browser, "files")
    assert element(browser, "download").get_attribute("download") == "photo.png"


def test_the_whole_image_is_measured_on_request(browser: Any, photo: Path) -> None:
    restore(browser, photo)
    assert "takes" not in text(browser, "figures")
    assert text(browser, "figures") in text(browser, "files")
    element(browser, "compare").send_keys(" ")
    wait(lambda: "times as long" in text(browser, "figures") or text(browser, "error"))
    seconds, whole, ratio = map(float, re.search(FIGURES, text(browser, "figures")).groups())  # type: ignore[union-attr]
    assert ratio == pytest.approx(whole / seconds, abs=0.01 + (ratio + 1) * 0.006 / seconds)
    assert text(browser, "figures") in text(browser, "files")
    assert not element(browser, "compare").is_displayed()
    assert not text(browser, "error")


def test_other_weights_restore_the_shown_photo_again(browser: Any, photo: Path) -> None:
    restore(browser, photo)
    names = [option.text for option in element(browser, "weights").find_elements("tag name", "option")]
    assert names == ["tiny", "other"]
    element(browser, "weights").send_keys("other")
    wait(lambda: "other" in text(browser, "name"))
    wait(lambda: text(browser, "files").count("320\u00d7180") == 2)


def test_a_folder_is_restored_with_progress_and_other_files_are_left_out(
    browser: Any, photo: Path, tmp_path: Path
) -> None:
    for name in ("a.png", "b.png", "deep/c.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(photo.read_bytes())
    (tmp_path / "photos" / "notes.txt").write_text("text")
    script = "window.seen = []; new MutationObserver(() => seen.push(progress.value / progress.max)).observe"
    browser.execute_script(f"{script}(progress, {{attributes: true}})")
    element(browser, "folder").send_keys(str(tmp_path / "photos"))
    wait(lambda: "3 photos are done" in text(browser, "status"))
    assert text(browser, "files").count("320\u00d7180") == 3
    assert "notes" not in text(browser, "files")
    assert max(browser.execute_script("return seen")) > 0.6
    assert not element(browser, "progress").is_displayed()


def test_the_divider_moves_by_keys_and_pointer(browser: Any, photo: Path) -> None:
    from selenium.webdriver import ActionChains

    restore(browser, photo)
    split = "return getComputedStyle(stage).getPropertyValue('--split')"
    assert browser.execute_script(split) == "50%"
    element(browser, "divider").send_keys("\ue014" * 8)  # arrow right
    assert float(element(browser, "divider").get_attribute("value")) == 54
    assert browser.execute_script(split) == "54%"
    ActionChains(browser).move_to_element_with_offset(element(browser, "view"), -200, 0).click().perform()
    assert float(element(browser, "divider").get_attribute("value")) < 40


def test_the_route_map_covers_the_result(browser: Any, photo: Path) -> None:
    restore(browser, photo)
    assert not element(browser, "map").is_displayed()
    element(browser, "show-map").send_keys(" ")
    assert element(browser, "map").is_displayed()
    assert browser.execute_script("return map.naturalWidth") >= 160


def test_zoom_applies_to_both_sides(browser: Any, photo: Path) -> None:
    restore(browser, photo)
    element(browser, "zoom").send_keys("\ue014" * 4)
    widths = browser.execute_script("return [before, after, stage].map((each) => each.getBoundingClientRect().width)")
    assert widths[0] == widths[1] == widths[2]
    assert widths[0] > 2.9 * browser.execute_script("return view.clientWidth")


def test_a_broken_file_is_an_error_and_the_next_one_works(browser: Any, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(photo.read_bytes()[:60])
    element(browser, "file").send_keys(str(tmp_path / "broken.png"))
    wait(lambda: text(browser, "error"))
    assert "Traceback" not in text(browser, "error")
    assert "broken.png: failed" in text(browser, "files")
    restore(browser, photo)
    wait(lambda: not text(browser, "error"))


def test_the_page_fits_a_phone(browser: Any, photo: Path) -> None:
    browser.set_window_size(500, 800)
    restore(browser, photo)
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(overflow) <= 0
