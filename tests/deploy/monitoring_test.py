"""Alert rules and dashboard against promtool, and against what a real calserve-server shows at /metrics.

    monitoring_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))

import kserve_testing
from command_test import WAIT_S
from kserve_testing import MODEL, ROOT
from metrics_test import AdminTest

RULES = ROOT / "deploy/prometheus/calserve.rules.yaml"
TESTS = ROOT / "deploy/prometheus/calserve.rules_test.yaml"
DASHBOARD = ROOT / "deploy/grafana/calserve.json"
OPERATIONS = ROOT / "docs/operations.md"
METRIC = re.compile(r"\b(?:calserve|process)_[a-z_]+\b")


class Naming(AdminTest):
    server_flags = ()

    def shown(self):
        """Every name that the server shows once it has predicted and has labels."""
        self.json("evaluate", "--model", MODEL, self.list)
        deadline = time.monotonic() + WAIT_S
        while "calserve_calibration_ece" not in (names := {name for name, _ in self.scrape()}):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        return names

    def test_every_metric_of_the_rules_and_of_the_dashboard_is_shown(self):
        dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
        asked = {target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())}
        asked |= {variable["definition"] for variable in dashboard["templating"]["list"] if "definition" in variable}
        rules = re.sub(r"^ *(- alert|runbook|summary|#).*$", "", RULES.read_text(encoding="utf-8"), flags=re.MULTILINE)
        rules = re.sub(r"- name: .*", "", rules)
        used = set(METRIC.findall(rules)).union(*map(METRIC.findall, asked))
        self.assertGreater(len(used), 20)
        self.assertEqual(used - self.shown(), set())


class Reading(AdminTest):
    @classmethod
    def setUpClass(cls):
        pass  # No server is needed.

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
    kserve_testing.main()
