"""What LibTorch's OpenMP was told before it started, as it says itself (OMP_DISPLAY_ENV).

    openmp_options_test.py --server PROGRAM [unittest's arguments]
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import unittest

OURS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
LOADER = "/lib64/ld-linux-x86-64.so.2"
SPIN_COUNT = 10_000  # server/model/openmp_options.cc
DEFAULT_SPIN_COUNT = 300_000  # libgomp's

SERVER = ""


def spin_count(*start, **environment):
    """Turns that a thread of calserve-server looks for work before it sleeps, started so and in this environment."""
    clean = {name: value for name, value in os.environ.items() if name not in OURS}
    shown = subprocess.run([*(start or [SERVER]), "--version"],
                           env={**clean, "OMP_DISPLAY_ENV": "verbose", **environment},
                           capture_output=True, text=True, timeout=30, check=True).stderr
    (count,) = set(re.findall(r"GOMP_SPINCOUNT = '(\d+)'", shown))  # There is one libgomp.
    return int(count)


class OpenMpOptionsTest(unittest.TestCase):
    def test_a_thread_looks_for_work_for_a_part_of_a_millisecond(self):
        self.assertEqual(spin_count(), SPIN_COUNT)

    def test_the_environment_comes_first(self):
        self.assertEqual(spin_count(GOMP_SPINCOUNT="77"), 77)

    def test_it_does_not_matter_how_the_program_is_started(self):
        folder, name = os.path.split(SERVER)
        with tempfile.TemporaryDirectory() as links:
            link = os.path.join(links, "server")
            os.symlink(SERVER, link)
            for start in ((link,), (os.path.relpath(SERVER),), ("env", f"PATH={folder}", name)):
                self.assertEqual(spin_count(*start), SPIN_COUNT, start)

    def test_a_program_that_cannot_begin_again_goes_on(self):
        by_descriptor = ("import os, sys; program = os.open(sys.argv[1], os.O_RDONLY | os.O_CLOEXEC);"
                         "os.execve(program, sys.argv[1:], os.environ)")  # It is closed before the program begins.
        for start in ((sys.executable, "-c", by_descriptor, SERVER), (LOADER, SERVER)):
            self.assertEqual(spin_count(*start), DEFAULT_SPIN_COUNT, start)

    def test_a_wait_policy_keeps_its_own_count(self):
        self.assertEqual(spin_count(OMP_WAIT_POLICY="passive"), 0)
        self.assertGreater(spin_count(OMP_WAIT_POLICY="active"), 1_000_000)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    arguments, rest = parser.parse_known_args()
    SERVER = arguments.server
    unittest.main(argv=sys.argv[:1] + rest)
