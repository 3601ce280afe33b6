"""A live calserve-server that may use one core of several: instances and intra-op threads follow.

    server_cpu_limit_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import contextlib
import os
import pathlib
import re
import shutil
import tempfile
import time
import unittest

import command_test
from command_test import MODEL

CORES = len(os.sched_getaffinity(0))
LIMIT = 1  # cores; fewer than there are, or nothing is to be seen
MOUNT = pathlib.Path("/sys/fs/cgroup")
PERIOD_US = 100_000


def settings(instances):
    """Of the model: its instances, a number or auto, and intra-op threads that are the server's choice."""
    return f"instances: {instances}\nintra_op_threads: 0\n"


@contextlib.contextmanager
def affinity():
    """What is started in it may run on LIMIT cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:LIMIT])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def own_cgroup():
    """The folder of the cgroup that limits this process's CPU time, and whether it is of version 2."""
    for line in pathlib.Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if "cpu" in controllers.split(","):
            return MOUNT / "cpu" / path.lstrip("/"), False
        if not controllers and "cpu" in (MOUNT / path.lstrip("/") / "cgroup.controllers").read_text().split():
            return MOUNT / path.lstrip("/"), True
    raise OSError("no cgroup of this process has the controller cpu")


@contextlib.contextmanager
def cgroup():
    """What is started in it is in a cgroup of LIMIT cores. SkipTest where none can be made."""
    try:
        parent, second = own_cgroup()
        own = pathlib.Path(tempfile.mkdtemp(prefix="calserve-test-", dir=parent))
    except OSError as error:
        raise unittest.SkipTest(f"no cgroup can be made here: {error}") from error
    try:
        try:
            if second:
                (own / "cpu.max").write_text(f"{LIMIT * PERIOD_US} {PERIOD_US}")
            else:
                (own / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (own / "cpu.cfs_quota_us").write_text(str(LIMIT * PERIOD_US))
            (own / "cgroup.procs").write_text(str(os.getpid()))
        except OSError as error:
            raise unittest.SkipTest(f"no cgroup can be made here that limits CPU time: {error}") from error
        try:
            yield
        finally:
            (parent / "cgroup.procs").write_text(str(os.getpid()))
    except BaseException:
        own.rmdir()
        raise
    unittest.addModuleCleanup(own.rmdir)  # The server is in it until the test has ended.


@unittest.skipIf(CORES <= LIMIT, f"this process may use {CORES} of the cores")
class Cores(unittest.TestCase):
    def serve(self, limit, instances, *flags):
        """Instances and intra-op threads of a model on the CPU, by the log."""
        return self.ready(self.start(limit, instances, *flags))[0]

    def ready(self, server):
        """The same of every model that got ready, in turn."""
        log = (server.scratch / "server.log").read_text(encoding="utf-8")
        lines = [dict(re.findall(r" (instances|intra_op_threads)=(\d+)", line))
                 for line in re.findall(r" model ready .*\n", log)]
        return [(int(line["instances"]), int(line["intra_op_threads"])) for line in lines]

    def start(self, limit, instances, *flags):

        class Server(command_test.LiveServerTest):
            server_flags = flags

            @classmethod
            def write_images(cls):
                repository = cls.scratch / "models"
                shutil.copytree(pathlib.Path(command_test.OPTIONS.models) / MODEL, repository / MODEL)
                yaml = repository / MODEL / "model.yaml"
                kept = re.sub(r"(?m)^(instances|intra_op_threads|device):.*\n", "", yaml.read_text(encoding="utf-8"))
                yaml.write_text(f"{kept}device: cpu\n{settings(instances)}", encoding="utf-8")

            @classmethod
            def models(cls):
                return cls.scratch / "models"

        self.addCleanup(Server.doClassCleanups)
        with limit():
            Server.setUpClass()
        return Server

    def assert_follow(self, limit):
        # Without the limit there are more of both, or the test would show nothing.
        more = self.serve(contextlib.nullcontext, "auto")[0], self.serve(contextlib.nullcontext, 1)[1]
        if LIMIT in more:
            self.skipTest(f"instances and intra-op threads are {more} without a limit of this test already")
        self.assertLessEqual(max(more), CORES)
        self.assertEqual(self.serve(limit, "auto"), (LIMIT, 1))
        self.assertEqual(self.serve(contextlib.nullcontext, "auto", "--batching-batches-per-device", "1"), more)
        self.assertEqual(self.serve(limit, 1), (1, LIMIT))

    def test_models_that_come_later_share_the_cores(self):
        server = self.start(contextlib.nullcontext, 1, "--repository-control", "poll", "--repository-poll-interval",
                            "50ms")
        shutil.copytree(server.scratch / "models" / MODEL, server.scratch / "second")
        (server.scratch / "second").rename(server.scratch / "models" / "second")
        deadline = time.monotonic() + command_test.WAIT_S
        while len(self.ready(server)) < 2:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        self.assertEqual(self.ready(server), [(1, CORES), (1, max(1, CORES // 2))])

    def test_the_affinity_mask(self):
        self.assert_follow(affinity)

    def test_the_cpu_time_of_the_cgroup(self):
        self.assert_follow(cgroup)


if __name__ == "__main__":
    command_test.main()
