"""Alert rules and dashboard against promtool, and against what a real calserve-server shows at /metrics.

    monitoring_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import json
import pathlib
import re
import shutil
import subprocess
import unittest

from everything import OF_DEVICES, EverythingTest, main  # Before gRPC, whose environment it sets.

from prometheus_client.parser import text_string_to_metric_families

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/prometheus/calserve.rules.yaml"
TESTS = ROOT / "deploy/prometheus/calserve.rules_test.yaml"
DASHBOARD = ROOT / "deploy/grafana/calserve.json"
METRICS = ROOT / "docs/metrics-and-health.md"
OPERATIONS = ROOT / "docs/operations.md"
METRIC = re.compile(r"\b(?:calserve|process)_[a-z_]+\b")


class Naming(EverythingTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls("exercise").exercise()

    def shown(self):
        """Every name of a sample that the server shows, or would with an accelerator."""
        return {name for name, _ in self.scrape()} | OF_DEVICES

    def test_the_page_about_metrics_lists_every_family_that_is_shown_and_no_other(self):
        """With its type, where the table has one."""
        families = {family.name + ("_total" if family.type == "counter" else ""): family.type
                    for family in text_string_to_metric_families(self.ask("/metrics")[1])}
        families.update((name, "gauge") for name in OF_DEVICES)
        written = {}
        for row in re.findall(r"^\| (`(?:calserve|process)_.*)$", METRICS.read_text(encoding="utf-8"), re.MULTILINE):
            names, kind = row.split(" | ")[:2]
            for name in re.findall(r"`([a-z_]+)`", names):
                self.assertNotIn(name, written)
                written[name] = kind if kind in ("counter", "gauge", "histogram") else "gauge"
        self.assertEqual(written, families)

    def test_every_metric_of_the_rules_and_of_the_dashboard_is_shown(self):
        dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
        asked = {target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())}
        asked |= {variable["definition"] for variable in dashboard["templating"]["list"] if "definition" in variable}
        rules = re.sub(r"^ *(- alert|runbook|summary|#).*$", "", RULES.read_text(encoding="utf-8"), flags=re.MULTILINE)
        rules = re.sub(r"- name: .*", "", rules)
        used = set(METRIC.findall(rules)).union(*map(METRIC.findall, asked))
        self.assertGreater(len(used), 20)
        self.assertEqual(used - self.shown(), set())


class Reading(unittest.TestCase):
    def promtool(self, *words):
        program = shutil.which("promtool")
        if program is None:
            self.skipTest("promtool (Debian's package prometheus) is not here")
        run = subprocess.run([program, *words], capture_output=True, text=True, check=False, cwd=RULES.parent)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_the_rules_are_well_formed(self):
        self.promtool("check", "rules", RULES.name)

    def test_every_alert_is_raised_by_what_it_is_about_and_by_nothing_else(self):
        self.promtool("test", "rules", TESTS.name)
        tests = TESTS.read_text(encoding="utf-8")
        for alert in self.alerts():
            self.assertIn(f'alertname="{alert}"', tests)

    @staticmethod
    def alerts():
        return re.findall(r"- alert: (\w+)", RULES.read_text(encoding="utf-8"))

    def test_every_alert_has_a_line_that_leads_to_its_page(self):
        text, page = RULES.read_text(encoding="utf-8"), OPERATIONS.read_text(encoding="utf-8")
        self.assertGreater(len(self.alerts()), 5)
        self.assertEqual(text.count("runbook:"), len(self.alerts()))
        for alert in self.alerts():
            self.assertIn(f'runbook: "docs/operations.md#{alert.lower()}:', text)
            self.assertIn(f"### {alert}\n", page)

    def test_the_dashboard_has_a_number_and_a_place_for_every_panel(self):
        panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        self.assertEqual(len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}), len(panels))


if __name__ == "__main__":
    main()
