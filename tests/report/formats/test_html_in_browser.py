"""The page in a real browser, from disk: Debian's chromium and chromium-driver."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from attnbench import report
from attnbench.records import run

BROWSER, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
REQUIRED = bool(os.environ.get("ATTNBENCH_BROWSER"))

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER) and not REQUIRED, reason="no chromium with its chromedriver here"
)

SMALL_RUN = Path(__file__).parents[2] / "data" / "small-run"
SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,900",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator:
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    report.write(run.read(SMALL_RUN), folder)
    return folder / "report.html"


@pytest.fixture
def opened(browser, page):
    browser.get_log("performance")  # what came before
    browser.get_log("browser")
    browser.get(page.as_uri())
    return browser


def column(opened, number: int) -> list[str]:
    cells = opened.find_elements("css selector", f"table.sortable tbody tr > :nth-child({number})")
    return [cell.text for cell in cells]


def heading(opened, text: str):
    buttons = opened.find_elements("css selector", "table.sortable th button")
    (found,) = [button for button in buttons if button.text.startswith(text)]
    return found


def test_a_click_on_a_heading_sorts_and_the_baseline_stays_on_top(opened):
    parameters = heading(opened, "added parameters")
    place = 1 + [b.text for b in opened.find_elements("css selector", "th button")].index(
        parameters.text
    )
    parameters.click()
    assert column(opened, 1)[:1] == ["plain"]
    rising = column(opened, place)[1:]
    assert rising == ["+708", "–"]
    assert parameters.find_element("xpath", "..").get_attribute("aria-sort") == "ascending"
    heading(opened, "module").click()
    heading(opened, "module").click()
    assert column(opened, 1) == ["plain", "SK", "SA"]


def test_a_point_shows_its_value_under_the_pointer(opened):
    from selenium.webdriver import ActionChains

    point = opened.find_element("css selector", "svg .point")
    tip = opened.find_element("id", "tip")
    assert not tip.is_displayed()
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", point)
    ActionChains(opened).move_to_element(point).perform()
    assert tip.is_displayed()
    assert tip.text == point.get_attribute("aria-label")
    assert tip.text.startswith("SA")


def test_the_console_stays_empty_and_no_request_leaves_the_page(opened, page):
    assert opened.get_log("browser") == []
    sent = [
        message["params"]["request"]["url"]
        for entry in opened.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"]
        == "Network.requestWillBeSent"
    ]
    assert [url for url in sent if not url.startswith("data:")] == [page.as_uri()]


def test_the_page_follows_the_reader_into_the_dark(opened):
    def colours(scheme: str) -> tuple[str, str]:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        return tuple(
            opened.execute_script(
                "const style = getComputedStyle(document.querySelector(arguments[0]));"
                "return style[arguments[1]]",
                *asked,
            )
            for asked in (("body", "backgroundColor"), ("figure svg text", "fill"))
        )

    assert colours("light") == ("rgb(255, 255, 255)", "rgb(27, 31, 36)")
    assert colours("dark") == ("rgb(20, 23, 27)", "rgb(231, 234, 238)")


def test_on_a_phone_only_tables_scroll_sideways(opened):
    from selenium.webdriver.support.ui import WebDriverWait

    size = {"width": 375, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    width = opened.execute_script("return document.documentElement.scrollWidth")
    opened.execute_script("hint()")
    hints = opened.find_elements("css selector", ".more")
    shown = [hint.is_displayed() for hint in hints[:2]]
    # The plots are wider than the page, so that their smallest text has ten pixels.
    plot = "document.querySelector('figure svg').getBoundingClientRect().width"
    scale = opened.execute_script(f"return {plot} / (72 * 5.2)")
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    # The browser answers before it has its own width again.
    WebDriverWait(opened, 20).until(lambda page: page.execute_script("return innerWidth") > 375)
    opened.execute_script("hint()")
    assert width <= 375
    assert shown == [True, True]  # of the first table and of the first plot
    assert 8 * scale >= 10
    assert not hints[0].is_displayed()


def test_a_heading_explains_its_column_and_a_table_can_be_copied(opened):
    from selenium.webdriver import ActionChains

    parameters = heading(opened, "added parameters")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", parameters)
    ActionChains(opened).move_to_element(parameters).perform()
    assert opened.find_element("id", "tip").text == "Learnable parameters, less the plain host's."
    opened.execute_script(
        "window.copied = async (text) => { window.kept = text; return true; };"
        "document.querySelector('.copy').click()"
    )
    kept = opened.execute_script("return window.kept").splitlines()
    assert kept[0].split("\t")[:2] == ["module", "latency ratio [95%]"]
    assert [line.split("\t")[0] for line in kept[1:]] == ["plain", "SA", "SK"]


def test_paper_has_neither_arrows_nor_buttons(opened):
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    arrow = "getComputedStyle(document.querySelector('th button'), '::after').content"
    content = opened.execute_script(f"return {arrow}")
    buttons = [each.is_displayed() for each in opened.find_elements("css selector", ".copy")]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert content == "none"
    assert not any(buttons)


def test_paper_is_white_for_a_reader_in_the_dark_too(opened):
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    ink = "return getComputedStyle(document.querySelector('h1')).color"
    colours = []
    for media in ("screen", "print"):
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, **dark})
        colours.append(opened.execute_script(ink))
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    assert colours == ["rgb(231, 234, 238)", "rgb(27, 31, 36)"]


def test_the_hint_to_scroll_stands_above_what_scrolls(opened):
    above = (
        "return [...document.querySelectorAll('.more')].every("
        "(more) => more.nextElementSibling.matches('.scroll'))"
    )
    assert opened.execute_script(above)
    assert opened.execute_script("return document.querySelectorAll('.more').length") > 2
