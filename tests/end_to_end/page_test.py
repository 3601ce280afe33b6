"""The page of a live calserve-server in a real browser: what it shows is what the server says.

    page_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [--screenshots DIRECTORY] [unittest's arguments]
"""
import base64
import hashlib
import http.client
import shutil
import signal
import socket
import subprocess
import urllib.parse

import command_test
import page_testing
from command_test import DONE, IMAGES, MODEL, WAIT_S
from page_testing import PageTest

FIGURES = ("n", "ece", "ece_low", "ece_high", "noise_floor", "mce", "mean_confidence", "accuracy", "nll", "brier")
SIDES = ("served", "uncalibrated")
VIEWERS = 32


class Reading(PageTest):
    """Labels of the demo's model with plain softmax, then with a temperature that was fitted to them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls().json("evaluate", cls.list)
        cls().json("fit", "--method", "temperature")
        cls().json("calibrators", "activate", "1")
        cls().json("evaluate", cls.list)

    def setUp(self):
        super().setUp()
        self.open()
        self.wait_for_value("served-n", IMAGES)

    def test_the_figures_are_those_of_the_report(self):
        report = self.json("report", "--window", "last_1000")
        self.assertEqual((report["calibrator_version"], report["served"]["n"]), (1, IMAGES))
        self.assertNotEqual(report["served"]["ece"], report["uncalibrated"]["ece"])
        for side in SIDES:
            for figure in FIGURES:
                self.assertEqual(self.value(f"{side}-{figure}"), report[side][figure], (side, figure))
        for figure in ("ece", "accuracy", "nll", "n"):
            self.assertEqual(self.value(f"tile-{figure}"), report["served"][figure], figure)
        self.assertEqual(self.text("#served-ece"), f"{report['served']['ece']:.4f}")
        self.assertEqual(self.text("#uncalibrated-nll"), f"{report['uncalibrated']['nll']:.4f}")
        self.assertEqual(self.text("#served-accuracy"), f"{100 * report['served']['accuracy']:.1f}\N{NO-BREAK SPACE}%")
        self.assertIn(f"{report['served']['ece']:.4f}", self.text("#verdict-why"))

    def test_the_bins_are_those_of_the_report(self):
        report = self.json("report", "--window", "last_1000")
        self.page.click("#reliability summary")
        for side in SIDES:
            bins = report[side]["bins"]
            self.assertEqual(self.page.locator(f"#{side}-diagram .bin").count(), sum(bin["count"] > 0 for bin in bins))
            for i, bin in enumerate(bins):
                shown = [self.value(f"{side}-bin-{i}-count")]
                said = [bin["count"]]
                if bin["count"] > 0:
                    shown += [self.value(f"{side}-bin-{i}-{what}") for what in ("confidence", "accuracy")]
                    said += [bin["confidence"], bin["accuracy"]]
                self.assertEqual(shown, said, (side, i))

    def test_another_window_is_that_windows_report(self):
        self.page.check("input[value=last_10000]", force=True)
        self.page.wait_for_url("**last_10000")
        self.page.wait_for_selector("input[value=last_10000]:checked")
        report = self.json("report", "--window", "last_10000")
        for side in SIDES:
            self.assertEqual(self.value(f"{side}-ece"), report[side]["ece"])

    def test_it_says_which_calibrator_answers_and_what_its_fit_found(self):
        listed, _ = self.json("calibrators", "list")["calibrators"]
        self.assertIn("temperature, calibrator version 1", self.text("#subtitle"))
        self.wait_for_text("#calibrators", "Version 1 · temperature")
        self.assertIn("● active", self.text("#calibrators .active"))
        self.page.click("#calibrator-1-report")
        self.assertIn(f"{listed['parameters']['temperature']:#.4g}", self.text("#calibrators .report"))

    def test_a_viewer_without_access_control_can_change_nothing(self):
        self.wait_for_text("#calibrators-note", "Read-only")
        self.assertEqual(self.page.locator("#calibrators button").count(), 0)
        self.assertTrue(self.page.is_hidden("#sign-in"))
        status = self.page.evaluate("""async () => (await fetch(
            "/api/v1/activate?model=fashion_mnist&version=1&calibrator=0&expected=1", {method: "POST"})).status""")
        self.assertEqual(status, 403)
        self.complaints.clear()  # The browser's own, of the 403.
        self.assertEqual(self.json("report")["calibrator_version"], 1)

    def test_an_address_of_nothing_is_said_and_the_list_is_there(self):
        for address, said in (("#/other/1/last_1000", "there is no model \"other\""),
                              (f"#/{MODEL}/77/last_1000", f"model \"{MODEL}\" has no version 77"),
                              (f"#/{MODEL}/1/last_7", "there is no window \"last_7\", only last_1000")):
            with self.subTest(address):
                self.page.goto(f"{self.origin()}/{address}")
                self.wait_for_text("#empty", said)
                self.assertTrue(self.page.is_hidden("#content"))
                self.assertTrue(self.page.is_hidden("#banner"))
                self.complaints.clear()  # The browser's own, of the 404.
        self.screenshot("not-found")
        self.assert_accessible("not found")
        self.page.click(f"#version-{MODEL}-1")
        self.wait_for_value("served-n", IMAGES)
        self.complaints.clear()

    def test_ece_over_time_has_its_first_points(self):
        self.wait_for_text("#ece-table", "95 % interval")
        self.page.wait_for_selector("#ece-chart canvas")
        self.assertIn("ECE since", self.page.get_attribute("#ece-chart", "aria-label"))

    def test_it_is_accessible_and_whole_at_every_width_in_light_and_dark(self):
        self.page.wait_for_selector("#ece-chart canvas")
        self.wait_for_text("#calibrators", "Version 1 · temperature")
        self.everywhere("live")

    def test_the_keyboard_reaches_everything(self):
        focused = "document.activeElement.id || document.activeElement.value || document.activeElement.textContent"
        seen = []
        for _ in range(14):
            self.page.keyboard.press("Tab")
            seen.append(self.page.evaluate(focused))
        self.assertEqual(seen[0], "Skip to the model")
        for expected in (f"version-{MODEL}-1", "last_1000", "Bins as a table"):
            self.assertIn(expected, seen)
        self.page.focus("input[value=last_1000]")
        self.page.keyboard.press("ArrowRight")
        self.page.wait_for_selector("input[value=last_10000]:checked")
        self.assertEqual(self.page.evaluate(focused), "last_10000")

    def tearDown(self):
        origin = f"{self.origin()}/"
        self.assertEqual([url for url in self.requests if not url.startswith(origin)], [])
        self.assertEqual(self.complaints, [])  # Also what the content security policy would have refused.
        self.assertEqual(self.page.context.cookies(), [])
        self.assertEqual(self.page.evaluate("localStorage.length + sessionStorage.length"), 0)


class Following(PageTest):
    def test_labels_appear_while_one_looks(self):
        self.open()
        self.wait_for_text("#no-labels", "No label in this window yet")
        self.everywhere("no-labels")
        self.json("evaluate", self.list)
        self.wait_for_value("served-n", IMAGES)
        self.assertTrue(self.page.is_hidden("#no-labels"))
        # Then wrong ones, until the alarm is raised.
        wrong = self.scratch / "wrong.csv"
        rows = [f"{image.name},{label}" for image, label in zip(self.images, self.labels[1:] + self.labels[:1])]
        wrong.write_text("\n".join(["path,label", *rows, ""]), encoding="utf-8")
        self.json("evaluate", wrong)
        self.wait_for_text("#alarm-banner", "Alarm: overconfident since label")
        self.assertIn("Raised: overconfident", self.text("#alarm-state"))
        self.assertTrue(self.page.title().startswith("▲"))
        self.everywhere("alarm")


class Reconnecting(PageTest):
    def test_a_lost_server_is_said_and_found_again(self):
        self.json("evaluate", self.list)
        self.open()
        self.wait_for_value("served-n", IMAGES)
        self.server.kill()
        self.server.wait()
        self.page.wait_for_selector("#connection[data-state=lost]")
        self.assertIn("The connection to the server is lost. What you see is of ", self.text("#banner-text"))
        self.assertEqual(self.value("served-n"), IMAGES)  # It stays, and says how old it is.
        self.everywhere("lost")
        type(self).admin_listen = self.admin_address
        self.start_server()
        self.page.wait_for_selector("#connection[data-state=live]")
        self.assertTrue(self.page.is_hidden("#banner"))
        self.wait_for_value("served-n", IMAGES)

    def test_a_server_that_stops_says_so(self):
        self.open()
        self.server.send_signal(signal.SIGTERM)
        self.page.wait_for_selector("#connection[data-state=lost]")
        self.assertIn("The server has stopped", self.text("#banner-text"))
        self.assertEqual(self.server.wait(WAIT_S), DONE)
        type(self).admin_listen = "127.0.0.1:0"
        self.start_server()


class Beginning(PageTest):
    """A repository without a model."""
    server_flags = ("--repository-control", "poll", "--repository-poll-interval", "100ms")

    @classmethod
    def models(cls):
        cls.repository = cls.scratch / "models"
        cls.repository.mkdir(exist_ok=True)
        return cls.repository

    def test_it_tells_what_to_do_first_and_shows_the_model_once_it_is_there(self):
        self.open()
        self.wait_for_text("#empty", "No model yet")
        self.assertIn("calserve-server --model-repository", self.text("#empty"))
        self.everywhere("no-model")
        shutil.copytree(page_testing.OPTIONS.models / MODEL, self.repository / MODEL)
        self.wait_for_text("#title", f"{MODEL} · version 1")
        broken = self.repository / MODEL / "2"
        broken.mkdir()
        (broken / "model.pt").write_bytes(b"no model")
        self.wait_for_text("#models", "Failed")
        self.screenshot("failed-version")
        self.assert_accessible("failed version")


class Changing(PageTest):
    """Access control is configured: one token may read, one may change."""
    more_flags = ()
    TOKENS = {"watcher": ("read", "calserve_watcher"), "keeper": ("admin", "calserve_keeper"),
              "labeller": ("predict,feedback", "calserve_labeller")}

    @classmethod
    def setUpClass(cls):
        command_test.ENVIRONMENT["CALSERVE_TOKEN"] = "calserve_all"
        cls.addClassCleanup(command_test.ENVIRONMENT.pop, "CALSERVE_TOKEN")
        super().setUpClass()
        cls().json("evaluate", cls.list)
        for method in ("temperature", "platt"):
            cls().json("fit", "--method", method)

    @classmethod
    def start_server(cls):
        tokens = cls.scratch / "tokens"
        lines = [("all", "predict,feedback,admin", "calserve_all"), *((n, r, t) for n, (r, t) in cls.TOKENS.items())]
        tokens.write_text("".join(f"{name} {roles} sha256:{hashlib.sha256(token.encode()).hexdigest()}\n"
                                  for name, roles, token in lines), encoding="utf-8")
        tokens.chmod(0o600)
        cls.server_flags = ("--access-tokens-file", tokens, "--access-audit-file", cls.scratch / "audit.log",
                            *cls.more_flags)
        super().start_server()

    def sign_in(self, name):
        self.page.goto(f"{self.origin()}/")
        self.page.wait_for_selector("#token-dialog[open]")
        self.page.fill("#token", self.TOKENS[name][1] if name in self.TOKENS else name)
        self.page.keyboard.press("Enter")

    def active(self):
        return self.json("report")["calibrator_version"]

    def press(self, button, answer):
        self.page.click(button)
        self.page.wait_for_selector("#confirm[open]")
        self.page.click(answer)

    def audited(self):
        return (self.scratch / "audit.log").read_text(encoding="utf-8").splitlines()

    def test_nothing_is_shown_before_one_signs_in(self):
        self.page.goto(f"{self.origin()}/")
        self.page.wait_for_selector("#token-dialog[open]")
        self.assertNotIn(MODEL, self.page.content())
        self.screenshot("sign-in")
        self.assert_accessible("sign-in")
        for token in ("calserve_nobody", "labeller", "not a token"):
            self.sign_in(token)
            self.page.wait_for_function("() => document.getElementById('token-error').textContent !== ''")
            self.assertNotIn(MODEL, self.page.content())

    def test_who_may_read_sees_and_cannot_change(self):
        self.sign_in("watcher")
        self.wait_for_value("served-n", IMAGES)
        self.assertEqual(self.text("#session"), "token:watcher")
        self.wait_for_text("#calibrators-note", "needs a token with the role admin")
        self.assertEqual(self.page.locator("#calibrators button").count(), 0)
        self.page.reload()
        self.page.wait_for_selector("#token-dialog[open]")  # The token was in memory alone.

    def test_an_admin_activates_and_rolls_back_after_confirming(self):
        self.sign_in("keeper")
        self.page.wait_for_selector("#calibrator-1-activate")
        self.everywhere("admin")
        self.press("#calibrator-1-activate", "#confirm-cancel")
        self.assertEqual(self.active(), 0)
        self.page.click("#calibrator-1-activate")
        self.page.wait_for_selector("#confirm[open]")
        self.assertIn("It replaces Plain softmax", self.text("#confirm"))
        self.screenshot("confirm")
        self.assert_accessible("confirm")
        self.page.click("#confirm-ok")
        self.wait_for_text("#toast", "Version 1 · temperature is active")
        self.assertEqual(self.active(), 1)
        self.page.wait_for_selector("#calibrator-1-rollback")
        self.press("#calibrator-1-rollback", "#confirm-ok")
        self.page.wait_for_selector("#calibrator-0-rollback")
        self.assertEqual(self.active(), 0)
        *_, activated, rolled_back = self.audited()
        for said in ("who=token:keeper peer=ipv4:127.0.0.1:", "action=dashboard/api/v1/activate",
                     f"model={MODEL} model_version=1 ", "before=0", "after=1",
                     "outcome=OK"):
            self.assertIn(said, activated)
        self.assertIn("action=dashboard/api/v1/rollback", rolled_back)

    def test_a_change_that_another_made_meanwhile_is_not_overwritten(self):
        self.sign_in("keeper")
        self.page.click("#calibrator-2-activate")
        self.page.wait_for_selector("#confirm[open]")
        self.json("calibrators", "activate", "1")
        self.page.click("#confirm-ok")
        self.wait_for_text("#toast", "Not done: ")
        self.assertEqual(self.active(), 1)
        self.assertIn("outcome=ABORTED", self.audited()[-1])
        self.json("calibrators", "activate", "0")


class ChangingOverTls(Changing):
    """The same over TLS. The browser takes the server's certificate by its key, and no other."""
    protocol = "https"

    @classmethod
    def start_server(cls):
        certificate, key = cls.scratch / "server.pem", cls.scratch / "server.key"

        def openssl(*arguments, data=None):
            return subprocess.run(["openssl", *arguments], input=data, check=True, capture_output=True).stdout

        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate)
        key.chmod(0o600)
        pem = openssl("x509", "-in", certificate, "-noout", "-pubkey")
        public = openssl("pkey", "-pubin", "-outform", "DER", data=pem)
        spki = base64.b64encode(hashlib.sha256(public).digest()).decode()
        cls.browser_flags = (f"--ignore-certificate-errors-spki-list={spki}",)
        cls.more_flags = ("--tls-certificate-file", certificate, "--tls-key-file", key)
        super().start_server()

    def calserve(self, *arguments, **options):
        return super().calserve("--ca-file", self.scratch / "server.pem", *arguments, **options)

    def test_only_tls_is_spoken(self):
        with self.assertRaises((http.client.HTTPException, OSError)):
            connection = http.client.HTTPConnection(self.admin_address, timeout=WAIT_S)
            connection.request("GET", "/")
            connection.getresponse()


class Crowding(PageTest):
    def watch(self):
        connection = http.client.HTTPConnection(self.admin_address, timeout=WAIT_S)
        connection.request("GET", "/api/v1/events?" + urllib.parse.urlencode({"model": MODEL}))
        self.addCleanup(connection.close)
        return connection.getresponse()

    def test_the_viewer_that_is_one_too_many_is_told_and_gets_the_next_place(self):
        viewers = [self.watch() for _ in range(VIEWERS)]
        self.assertEqual({viewer.status for viewer in viewers}, {200})
        self.assertEqual(self.watch().status, 503)
        self.page.goto(f"{self.origin()}/")
        self.page.wait_for_selector("#connection[data-state=refused]")
        self.assertIn(f"all its {VIEWERS} viewers", self.text("#banner-text"))
        connection = http.client.HTTPConnection(self.admin_address, timeout=WAIT_S)
        connection.request("GET", "/metrics")
        self.assertEqual(connection.getresponse().status, 200)
        self.assertEqual(self.calserve("health")[0], "SERVING\n")
        self.assertEqual(self.predict(self.images[0])["top_classes"][0]["label"], self.labels[0])
        viewers[0].fp.raw._sock.shutdown(socket.SHUT_RDWR)
        self.page.wait_for_selector("#connection[data-state=live]")


if __name__ == "__main__":
    page_testing.main()
