"""A real Prometheus, as deploy/prometheus configures it, scrapes a live calserve-server, in plain text and over TLS
with a token, and evaluates our rules.

    prometheus_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]

Exits with 77 without Debian's package prometheus.
"""
import functools
import json
import math
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

from everything import MODEL, WAIT_S, EverythingTest, main

import access_testing
from command_test import die_with_the_test
from metrics_test import key

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy/prometheus"
PROMTOOL = shutil.which("promtool")
PROMETHEUS = shutil.which("prometheus")
SKIPPED = 77
FIGURES = {"labels": "n", "ece": "ece", "ece_low": "ece_low", "ece_high": "ece_high", "ece_noise_floor": "noise_floor",
           "mce": "mce", "nll": "nll", "accuracy": "accuracy"}


class Prometheus:
    """Runs until stopped, on a port of its own choice, with one of our configurations: what the container has at
    another place, and how often it looks, is replaced, and nothing else."""

    def __init__(self, configuration, target, secrets="/nowhere"):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="calserve-prometheus-test-"))
        text = (DEPLOY / configuration).read_text(encoding="utf-8")
        for ours, here in (("calserve:8501", target), ("/etc/calserve/calserve.rules.yaml",
                           str(DEPLOY / "calserve.rules.yaml")), ("scrape_interval: 5s", "scrape_interval: 250ms"),
                           ("evaluation_interval: 15s", "evaluation_interval: 250ms")):
            assert text.count(ours) == 1, ours
            text = text.replace(ours, here)
        self.file = self.folder / "prometheus.yaml"
        self.file.write_text(text.replace("/etc/calserve/secrets", str(secrets)), encoding="utf-8")
        log = self.folder / "log"
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [PROMETHEUS, f"--config.file={self.file}", f"--storage.tsdb.path={self.folder}/data",
                 "--web.listen-address=127.0.0.1:0"], stderr=stderr, preexec_fn=die_with_the_test)
        deadline = time.monotonic() + WAIT_S
        while not ((address := re.search(r'msg="Listening on" address=(\S+)', text := log.read_text("utf-8")))
                   and "Server is ready" in text):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Prometheus does not start:\n" + text)
            time.sleep(0.05)
        self.address = address[1]
        while not self.ask("targets")["activeTargets"]:  # It looks for them every 5 s.
            if time.monotonic() > deadline:
                raise RuntimeError("Prometheus has no target:\n" + log.read_text("utf-8"))
            time.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(WAIT_S)
        shutil.rmtree(self.folder)

    def ask(self, path, **arguments):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        with urllib.request.urlopen(url, timeout=WAIT_S) as answer:
            return json.load(answer)["data"]

    def query(self, expression):
        """[(labels, value)], without the labels that Prometheus itself adds."""
        return [({key: value for key, value in series["metric"].items() if key not in ("__name__", "instance", "job")},
                 float(series["value"][1])) for series in self.ask("query", query=expression)["result"]]

    def target(self):
        target, = self.ask("targets")["activeTargets"]
        return target

    def rules(self):
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]

    def alerts(self):
        """{(name, state)}."""
        return {(alert["labels"]["alertname"], alert["state"]) for alert in self.ask("alerts")["alerts"]}


class PrometheusTest:
    """What the tests below share, beside a server."""

    def prometheus(self, *arguments):
        prometheus = Prometheus(*arguments)
        self.addCleanup(prometheus.stop)
        return prometheus

    def wait_until(self, condition, what):
        deadline = time.monotonic() + WAIT_S
        while not (result := condition()):
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.1)
        return result


class Checking(EverythingTest):
    refit = "{on: every, every: 100, least_labels: 100, cooldown: 0s}"

    def refits(self):
        return sum(value for (name, _), value in self.scrape().items() if name == "calserve_refit_attempts_total")

    def test_promtool_finds_no_fault_in_anything_that_the_server_shows(self):
        self.exercise()
        deadline = time.monotonic() + WAIT_S
        while not self.refits():
            self.assertLess(time.monotonic(), deadline, "no automatic refit")
            time.sleep(0.1)
        text = self.ask("/metrics")[1]
        run = subprocess.run([PROMTOOL, "check", "metrics"], input=text.encode(), capture_output=True, check=False)
        self.assertEqual((run.returncode, run.stdout, run.stderr), (0, b"", b""))


class Scraping(PrometheusTest, EverythingTest):
    def test_what_it_scrapes_is_what_the_reports_say(self):
        prometheus = self.prometheus("prometheus.yaml", self.admin_address)
        self.exercise()
        self.wait_until(lambda: prometheus.query('up{job="calserve"}') == [({}, 1)], "the target is not up")
        version = self.active()
        for window in ("last_1000", "last_10000"):
            report = self.json("report", "--model", MODEL, "--window", window, "--calibrator-version", version)
            of = {"model": MODEL, "version": "1", "calibrator": version, "window": window}
            selected = ",".join(f'{key}="{value}"' for key, value in of.items())
            for gauge, figure in FIGURES.items():
                series = f"calserve_calibration_{gauge}{{{selected}}}"
                self.wait_until(functools.partial(self.shows, prometheus, series, of, report["served"][figure]),
                                f"{series} is not {report['served'][figure]}")
        accepted = self.scrape()[key("calserve_feedback_labels_total", outcome="accepted")]
        self.assertGreaterEqual(accepted, 3 * len(self.images))
        self.wait_until(lambda: self.shows(prometheus, 'calserve_feedback_labels_total{outcome="accepted"}',
                                           {"outcome": "accepted"}, accepted), "labels are missing")

    @staticmethod
    def shows(prometheus, query, labels, value):
        """The text format has 16 digits."""
        result = prometheus.query(query)
        return [series for series, _ in result] == [labels] and math.isclose(result[0][1], value, rel_tol=1e-14)

    def test_our_rules_are_loaded_and_evaluated_without_a_fault(self):
        prometheus = self.prometheus("prometheus.yaml", self.admin_address)
        self.wait_until(lambda: prometheus.target()["health"] == "up", "the target is not up")
        self.wait_until(lambda: all(rule["health"] == "ok" for rule in prometheus.rules()), "a rule is not evaluated")
        names = {rule["name"] for rule in prometheus.rules()}
        written = re.findall(r"- (?:alert|record): (\S+)",
                             (DEPLOY / "calserve.rules.yaml").read_text(encoding="utf-8"))
        self.assertEqual(names, set(written))
        self.assertEqual([rule.get("lastError", "") for rule in prometheus.rules()], [""] * len(written))
        # What is recorded has values once there is a rate.
        self.label("north")
        self.wait_until(lambda: prometheus.query("calserve:request_queue_seconds:mean1m"), "nothing is recorded")


class Alerting(PrometheusTest, EverythingTest):
    def test_alerts_are_raised_by_wrong_labels_and_by_the_end_of_the_server(self):
        prometheus = self.prometheus("prometheus.yaml", self.admin_address)
        self.wait_until(lambda: prometheus.target()["health"] == "up", "the target is not up")
        self.label("north", labels=[*self.labels[1:], self.labels[0]])
        self.wait_until(lambda: {("CalserveCalibrationAlarm", "firing"), ("CalserveSliceAlarm", "firing")}
                        <= prometheus.alerts(), "no alarm of the labels")
        self.server.kill()
        self.wait_until(lambda: ("CalserveDown", "pending") in prometheus.alerts(), "nobody misses the server")


class ScrapingOverTls(PrometheusTest, access_testing.AccessTest):
    @classmethod
    def flags(cls):
        access_testing.make_ca(cls.dir, "ca")
        access_testing.make_certificate(cls.dir, "ca", "server", "IP:127.0.0.1,DNS:localhost")
        return ("--access-tokens-file", cls.dir / "tokens", "--tls-certificate-file", cls.dir / "server.pem",
                "--tls-key-file", cls.dir / "server.key")

    def secrets(self, role, authority="ca"):
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.dir))
        shutil.copy(self.dir / f"{authority}.pem", folder / "ca.pem")
        (folder / "token").write_text(self.tokens[role] + "\n", encoding="utf-8")
        return folder

    def test_a_token_that_may_read_is_let_in(self):
        prometheus = self.prometheus("prometheus-tls.yaml", self.admin_address, self.secrets("read"))
        self.wait_until(lambda: prometheus.target()["health"] == "up", prometheus.target())
        self.assertEqual(prometheus.target()["scrapeUrl"], f"https://{self.admin_address}/metrics")
        self.wait_until(lambda: prometheus.query("calserve_ready") == [({}, 1)], "no series")

    def test_one_that_may_only_predict_is_not_and_nor_is_a_stranger_trusted(self):
        access_testing.make_ca(self.dir, "other")
        for secrets, error in ((self.secrets("predict"), "403"), (self.secrets("read", "other"), "certificate")):
            prometheus = self.prometheus("prometheus-tls.yaml", self.admin_address, secrets)
            self.assertIn(error, self.wait_until(lambda of=prometheus: of.target()["lastError"], "it is let in"))


if __name__ == "__main__":
    if not (PROMETHEUS and PROMTOOL):
        print("SKIPPED: no prometheus and promtool; scripts/bootstrap.sh --full installs them")
        sys.exit(SKIPPED)
    main()
