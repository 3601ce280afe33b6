"""deploy/compose.yaml, brought up: healthy, answering, and scraped by Prometheus with our alert rules.

    compose_test.py --command PROGRAM --demo PROGRAM [unittest's arguments]

Exits with 77 where no container engine or docker-compose can be had.
"""
import argparse
import json
import os
import pathlib
import sys
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

import engine
from engine import IMAGE, ROOT, WAIT_S, run

FILE = ROOT / "deploy/compose.yaml"
PROMETHEUS = "calserve-test:prometheus"
OPTIONS = argparse.Namespace()


class Composed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        text = FILE.read_text(encoding="utf-8")
        if not OPTIONS.engine.knows("insecure"):  # This server asks nobody to say so.
            text = text.replace('    environment:\n', '').replace('      CALSERVE_INSECURE: "true"\n', '')
        folder = tempfile.TemporaryDirectory(prefix="calserve-compose-test-")
        cls.addClassCleanup(folder.cleanup)
        cls.file = pathlib.Path(folder.name) / "compose.yaml"
        cls.file.write_text(text, encoding="utf-8")
        cls.addClassCleanup(cls.compose, "--profile", "monitoring", "down", "--volumes", "--timeout", "1")
        cls.compose("--profile", "monitoring", "up", "--detach", "--no-build")
        OPTIONS.engine.wait_until_healthy(cls.container("calserve"))
        OPTIONS.engine.wait_until_healthy(cls.container("prometheus"))

    @classmethod
    def compose(cls, *words):
        free = {name: "0" for name in ("CALSERVE_PORT", "CALSERVE_ADMIN_PORT", "PROMETHEUS_PORT")}
        return run(OPTIONS.compose, "--project-name", "calserve-test", "--project-directory", FILE.parent, "--file",
                   cls.file, *words,
                   env={**os.environ, "CALSERVE_IMAGE": IMAGE, "PROMETHEUS_IMAGE": PROMETHEUS, **free})

    @classmethod
    def container(cls, service):
        return cls.compose("--profile", "monitoring", "ps", "--quiet", service).stdout.strip()

    def prometheus(self, path, **arguments):
        address = OPTIONS.engine.address(self.container("prometheus"), 9090)
        with urllib.request.urlopen(f"http://{address}/api/v1/{path}?{urllib.parse.urlencode(arguments)}",
                                    timeout=WAIT_S) as answer:
            return json.load(answer)["data"]

    def value(self, query):
        """Of the one series of a query; None where there is none yet."""
        result = self.prometheus("query", query=query)["result"]
        return float(result[0]["value"][1]) if result else None

    def wait_for(self, query, value):
        deadline = time.monotonic() + WAIT_S
        while (now := self.value(query)) != value:
            self.assertLess(time.monotonic(), deadline, f"{query} is {now}")
            time.sleep(0.5)

    def test_the_demo_passes_and_prometheus_counts_what_it_did(self):
        address = OPTIONS.engine.address(self.container("calserve"))
        with tempfile.TemporaryDirectory(prefix="calserve-compose-test-") as scratch:
            run(OPTIONS.demo, "--server", address, "--out", f"{scratch}/report.html")
        self.wait_for('up{job="calserve"}', 1)
        self.wait_for('sum(calserve_feedback_labels_total{outcome="accepted"})', 10000)

    def test_prometheus_has_our_rules(self):
        groups = {group["name"]: group["rules"] for group in self.prometheus("rules")["groups"]}
        alerts = {rule["name"] for rule in groups["calserve"]}
        self.assertLessEqual({"CalserveDown", "CalserveMiscalibrated"}, alerts)

    def test_it_is_reached_from_this_machine_alone(self):
        for service in ("calserve", "prometheus"):
            published = OPTIONS.engine.inspect(self.container(service))["NetworkSettings"]["Ports"].values()
            hosts = {binding["HostIp"] for bindings in published for binding in bindings or ()}
            self.assertEqual(hosts, {"127.0.0.1"})

    def test_it_has_no_rights(self):
        for service in ("calserve", "prometheus"):
            container = OPTIONS.engine.inspect(self.container(service))
            host = container["HostConfig"]
            self.assertTrue(host["ReadonlyRootfs"])
            self.assertEqual(host["CapDrop"], ["ALL"])
            self.assertIn("no-new-privileges:true", host["SecurityOpt"])
            self.assertNotIn(container["Config"]["User"].split(":")[0], ("", "0", "root"))


if __name__ == "__main__":
    PARSER = argparse.ArgumentParser()
    for option in ("--command", "--demo"):
        PARSER.add_argument(option, required=True)
    REST = PARSER.parse_known_args(namespace=OPTIONS)[1]
    OPTIONS.compose = engine.compose_program()
    OPTIONS.engine = engine.Engine()
    OPTIONS.engine.build_image()
    OPTIONS.engine.build(PROMETHEUS, "--file", pathlib.Path(__file__).with_name("prometheus.Dockerfile"),
                         pathlib.Path(__file__).parent)
    unittest.main(argv=[sys.argv[0], *REST], verbosity=2)
