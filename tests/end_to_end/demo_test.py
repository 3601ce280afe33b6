"""Runs calserve-demo as ./dev demo does, then has its figures recomputed from the store it leaves.

    demo_test.py --demo PROGRAM --server PROGRAM --models DIRECTORY
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

BUDGET_S = 60  # of the demo on 2 cores with nothing beside it; reported, since a test machine has other work
TIMEOUT_S = 240


def main():
    parser = argparse.ArgumentParser()
    for name in ("--demo", "--server", "--models"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="calserve-demo-test-") as scratch:
        scratch = pathlib.Path(scratch)
        figures, page, data = scratch / "figures.json", scratch / "report.html", scratch / "data"
        command = [options.demo, "--server-binary", options.server, "--model-repository", options.models,
                   "--out", page, "--figures", figures, "--keep-data", data]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CALSERVE_")}
        start = time.monotonic()
        demo = subprocess.run(command, env=environment, timeout=TIMEOUT_S, stdout=subprocess.PIPE, text=True,
                              check=False)
        took = time.monotonic() - start
        print(demo.stdout)
        print(f"the demo took {took:.1f} s; the budget is {BUDGET_S} s")
        if demo.returncode != 0:
            return f"the demo exits with {demo.returncode}"
        html = page.read_text(encoding="utf-8")
        if html.count("<svg") < 2:
            return "report.html has not both reliability diagrams"
        recompute = pathlib.Path(__file__).with_name("recompute_demo.py")
        return subprocess.run([sys.executable, recompute, data / "calserve.db", figures], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
