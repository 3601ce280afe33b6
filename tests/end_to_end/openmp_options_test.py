"""What LibTorch's OpenMP was told before it started, as it says itself (OMP_DISPLAY_ENV).

    openmp_options_test.py --server PROGRAM [unittest's arguments]
"""
import argparse
import os
import re
import subprocess
import sys
import unittest

OURS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
SPIN_COUNT = 10_000  # server/model/openmp_options.cc

SERVER = ""


def spin_count(**environment):
    """Turns that a thread of calserve-server looks for work before it sleeps, started in this environment."""
    clean = {name: value for name, value in os.environ.items() if name not in OURS}
    shown = subprocess.run([SERVER, "--version"], env={**clean, "OMP_DISPLAY_ENV": "verbose", **environment},
                           capture_output=True, text=True, timeout=30, check=True).stderr
    return int(re.search(r"GOMP_SPINCOUNT = '(\d+)'", shown)[1])


class OpenMpOptionsTest(unittest.TestCase):
    def test_a_thread_looks_for_work_for_a_part_of_a_millisecond(self):
        self.assertEqual(spin_count(), SPIN_COUNT)

    def test_the_environment_comes_first(self):
        self.assertEqual(spin_count(GOMP_SPINCOUNT="77"), 77)

    def test_a_wait_policy_keeps_its_own_count(self):
        self.assertEqual(spin_count(OMP_WAIT_POLICY="passive"), 0)
        self.assertGreater(spin_count(OMP_WAIT_POLICY="active"), 1_000_000)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    arguments, rest = parser.parse_known_args()
    SERVER = arguments.server
    unittest.main(argv=sys.argv[:1] + rest)
