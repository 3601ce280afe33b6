"""What the tests of the page share: Debian's chromium, driven by Playwright, on the page of a live calserve-server."""
import argparse
import pathlib
import shutil
import sys
import tempfile
import time
import unittest

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

import command_test
from command_test import OPTIONS, WAIT_S

CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")
WIDTHS = {"phone": (390, 844), "tablet": (820, 1180), "desktop": (1440, 900)}
MISSING = 77  # exit status of a test that was skipped


class PageTest(command_test.LiveServerTest):
    """A server of its own for each class, and a page of its own for each test."""
    admin_listen = "127.0.0.1:0"
    protocol = "http"
    browser_flags = ()
    width, height = WIDTHS["desktop"]
    scheme = "light"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        playwright = sync_playwright().start()
        cls.addClassCleanup(playwright.stop)
        cls.profile = pathlib.Path(tempfile.mkdtemp(prefix="calserve-page-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.profile, True)
        cls.browser = playwright.chromium.launch_persistent_context(
            cls.profile, executable_path=CHROMIUM, headless=True, args=(*FLAGS, *cls.browser_flags), locale="en-GB",
            timezone_id="UTC", reduced_motion="reduce")
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        self.requests, self.complaints = [], []
        self.page = self.browser.new_page()
        self.addCleanup(self.page.close)
        self.page.set_default_timeout(1000 * WAIT_S)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: message.type == "error" and self.complaints.append(message.text))
        self.look(self.width, self.height, self.scheme)

    def look(self, width, height, scheme="light"):
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")

    def origin(self):
        return f"{self.protocol}://{self.admin_address}"

    def open(self, address=""):
        self.page.goto(f"{self.origin()}/{address}")
        self.page.wait_for_selector("#connection[data-state=live]")

    def text(self, selector):
        return self.page.inner_text(selector)

    def value(self, identifier):
        """The figure behind what a <data> element shows; None where there is none."""
        value = self.page.get_attribute(f"data#{identifier}", "value")
        return float(value) if value else None

    def wait_for_value(self, identifier, value):
        self.page.wait_for_function("([id, value]) => document.getElementById(id)?.getAttribute('value') === value",
                                    arg=[identifier, str(value)])

    def wait_for_text(self, selector, text):
        self.page.wait_for_function(
            "([selector, text]) => document.querySelector(selector)?.textContent.includes(text)", arg=[selector, text])

    def assert_accessible(self, where):
        violations = Axe().run(self.page).response["violations"]
        self.assertEqual([], [(where, violation["id"], violation["help"],
                               [node["html"][:200] + " | " + node["failureSummary"] for node in violation["nodes"][:3]])
                              for violation in violations])

    def assert_nothing_sticks_out(self, where):
        wider = self.page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
        self.assertLessEqual(wider, 0, where)

    def screenshot(self, name):
        """Kept where --screenshots says; to be looked at by people."""
        if OPTIONS.screenshots is not None:
            self.page.screenshot(path=OPTIONS.screenshots / f"{name}.png", full_page=True)

    def everywhere(self, name):
        """Accessible, whole, and a picture taken, at three widths in light and dark."""
        for device, (width, height) in WIDTHS.items():
            for scheme in ("light", "dark"):
                with self.subTest(device=device, scheme=scheme):
                    self.look(width, height, scheme)
                    time.sleep(0.3)  # for the charts to take the new width
                    self.screenshot(f"{name}-{device}-{scheme}")
                    self.assert_nothing_sticks_out(device)
                    self.assert_accessible(f"{name} {device} {scheme}")
        self.look(self.width, self.height)


def main():
    parser = argparse.ArgumentParser()
    for option in ("--command", "--server"):
        parser.add_argument(option, required=True)
    parser.add_argument("--models", required=True, type=pathlib.Path)
    parser.add_argument("--screenshots", type=pathlib.Path)
    rest = parser.parse_known_args(namespace=OPTIONS)[1]
    if not pathlib.Path(CHROMIUM).exists():
        print(f"{CHROMIUM} (Debian's package chromium) is not here: the page is not tested")
        sys.exit(MISSING)
    if OPTIONS.screenshots is not None:
        OPTIONS.screenshots.mkdir(parents=True, exist_ok=True)
    unittest.main(module="__main__", argv=[sys.argv[0], *rest], verbosity=2)
