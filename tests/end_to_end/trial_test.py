"""Versions that would take the server down: a .pt2 whose library crashes, ends the process or never comes back. A trial in a
process of its own finds out. With Triton's own client.

    trial_test.py --packages DIRECTORY --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import concurrent.futures
import os
import pathlib
import shutil
import signal
import time
import zipfile

from tritonclient.utils import InferenceServerException

import kserve_testing
from command_test import WAIT_S
from kserve_testing import MODEL, OPTIONS, ROOT, KserveTest

LIBRARY = "model/data/aotinductor/model/fashion_mnist.wrapper.so"
MARK = "faulty package: loaded"


def write_package(path, fault):
    """The compiled demo model with another library in it."""
    library = pathlib.Path(OPTIONS.packages) / f"libfaulty_package_{fault}.so"
    with zipfile.ZipFile(ROOT / "tests/fixtures/models/fashion_mnist_pt2/1/model.pt2") as model, \
            zipfile.ZipFile(path, "w") as faulty:
        for entry in model.infolist():
            content = library.read_bytes() if entry.filename == LIBRARY else model.read(entry)
            faulty.writestr(entry.filename, content)


def read(path):
    """Of a process; empty once that is gone."""
    try:
        return pathlib.Path(path).read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid):
    """Processes that it has started and that run."""
    tasks = list(pathlib.Path(f"/proc/{pid}/task").iterdir())
    return {int(child) for task in tasks for child in read(task / "children").split()}


class Trial(KserveTest):
    """Each class has a copy of the models."""
    control = "poll"

    @classmethod
    def models(cls):
        models = cls.scratch / "models"
        shutil.copytree(OPTIONS.models, models)
        return models

    @classmethod
    def start_server(cls):
        cls.server_flags = ["--repository-control", cls.control, *cls.server_flags]
        super().start_server()

    def log(self):
        return (self.scratch / "server.log").read_text(encoding="utf-8")

    def deploy(self, version, fault=None):
        """As an operator does: made elsewhere, then renamed."""
        staged = self.scratch / "staged"
        staged.mkdir()
        if fault:
            write_package(staged / "model.pt2", fault)
        else:
            shutil.copy(OPTIONS.models / MODEL / "1/model.pt", staged)
        staged.rename(self.scratch / "models" / MODEL / str(version))

    def version(self, version):
        """State and reason, as the repository's index has them."""
        return next(((model.state, model.reason) for model in self.client.get_model_repository_index().models
                     if (model.name, model.version) == (MODEL, str(version))), ("", ""))

    def wait_for(self, version, state, reason=""):
        end = time.monotonic() + WAIT_S
        while (now := self.version(version))[0] != state or reason not in now[1]:
            self.assertLess(time.monotonic(), end, f"{now}\n{self.log()}")
            time.sleep(0.02)
        return now[1]

    def answering(self):
        """The version that answers."""
        return self.infer(self.input(self.tensors[:1])).get_response().model_version

    def trial(self):
        """Its process, in the state where the package has been loaded and does not come back."""
        end = time.monotonic() + WAIT_S
        while True:
            self.assertLess(time.monotonic(), end, self.log())
            for child in children(self.server.pid):
                if "fashion_mnist.wrapper" in read(f"/proc/{child}/maps"):
                    return child
            time.sleep(0.02)


class Polled(Trial):
    server_flags = ["--repository-poll-interval", "100ms"]

    def test_what_ends_its_process_leaves_the_old_version_serving(self):
        self.deploy(2, "crashes")
        reason = self.wait_for(2, "UNAVAILABLE", "trial")
        self.assertIn("was ended by signal 11 (Segmentation fault)", reason)
        self.assertIn(MARK, reason)
        # Also with what --check itself ends with.
        for version, status in enumerate((0, 2, 3, 7), start=3):
            self.deploy(version, f"exits_{status}")
            reason = self.wait_for(version, "UNAVAILABLE", "trial")
            self.assertIn(f"was ended, with exit status {status}", reason)
        self.assertEqual(self.answering(), "1")
        self.deploy(7)
        self.wait_for(7, "READY")
        self.assertEqual(self.answering(), "7")
        self.assertNotIn("without a trial", self.log())
        self.assertEqual(children(self.server.pid), set())


class Late(Trial):
    server_flags = ["--repository-poll-interval", "100ms", "--repository-trial-timeout", "5s"]

    def test_what_never_comes_back_leaves_it_too(self):
        self.deploy(2, "hangs")
        reason = self.wait_for(2, "UNAVAILABLE", "trial")
        self.assertIn("had not ended after 5s (repository.trial_timeout)", reason)
        self.assertEqual(children(self.server.pid), set())
        self.assertEqual(self.answering(), "1")


class Removed(Trial):
    server_flags = ["--repository-poll-interval", "100ms"]

    def test_what_is_removed_is_tried_no_longer(self):
        self.deploy(2, "hangs")
        self.trial()
        shutil.rmtree(self.scratch / "models" / MODEL / "2")
        self.deploy(3)
        self.wait_for(3, "READY")
        self.assertEqual(children(self.server.pid), set())


class Replaced(Trial):
    control = "explicit"
    server_flags = ["--repository-load", MODEL]

    def test_what_was_not_tried_is_not_loaded(self):
        folder = self.scratch / "models" / MODEL / "2"
        self.deploy(2, "hangs")
        with concurrent.futures.ThreadPoolExecutor() as executor:
            load = executor.submit(self.client.load_model, MODEL)
            self.trial()
            folder.rename(self.scratch / "hangs")
            self.deploy(2, "crashes")
            with self.assertRaisesRegex(InferenceServerException, "signal 11"):
                load.result(WAIT_S)
        self.assertEqual(self.answering(), "1")


class ChangedOptions(Trial):
    @classmethod
    def start_server(cls):
        cls.config = cls.scratch / "config.yaml"
        cls.config.write_text("repository: {poll_interval: 100ms}\n", encoding="utf-8")
        cls.server_flags = ["--config", cls.config]
        super().start_server()

    def test_where_there_can_be_no_trial_the_log_says_so(self):
        self.config.write_text("repository: {poll_interval: soon}\n", encoding="utf-8")
        self.deploy(2)
        self.wait_for(2, "READY")
        self.assertRegex(self.log(), r'loaded without a trial model=fashion_mnist version=2 reason="exit status 2: .*soon')


class Called(Trial):
    control = "explicit"
    server_flags = ["--repository-load", MODEL]

    def test_the_caller_is_told(self):
        self.deploy(2, "crashes")
        with self.assertRaisesRegex(InferenceServerException, "version 2: its trial.* signal 11"):
            self.client.load_model(MODEL)
        self.assertEqual(self.answering(), "1")


class Stopped(Trial):
    server_flags = ["--repository-poll-interval", "100ms", "--grpc-drain-timeout", "10m"]

    def test_a_stop_waits_for_no_trial(self):
        self.deploy(2, "hangs")
        child = self.trial()
        self.server.terminate()
        self.assertEqual(self.server.wait(WAIT_S), 0, self.log())
        self.assertFalse(pathlib.Path(f"/proc/{child}").exists())


class Killed(Trial):
    server_flags = ["--repository-poll-interval", "100ms"]

    def test_a_trial_goes_with_its_server(self):
        self.deploy(2, "hangs")
        child = self.trial()
        self.assertEqual(read(f"/proc/{child}/oom_score_adj"), "1000\n", "is ended before the server")
        self.assertEqual(os.getpriority(os.PRIO_PROCESS, child), 19)
        self.server.send_signal(signal.SIGKILL)
        end = time.monotonic() + WAIT_S
        while read(f"/proc/{child}/maps"):  # which a zombie has none of
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)


class AtTheStart(Trial):
    server_flags = ["--repository-trial", "always"]

    @classmethod
    def start_server(cls):
        models = cls.models()
        cls.models = classmethod(lambda _: models)
        (models / MODEL / "2").mkdir()
        write_package(models / MODEL / "2/model.pt2", "crashes")
        super().start_server()

    def test_the_version_before_it_is_served(self):
        self.assertIn("signal 11", self.wait_for(2, "UNAVAILABLE"))
        self.assertEqual(self.answering(), "1")


class Untried(Trial):
    server_flags = ["--repository-poll-interval", "100ms", "--repository-trial", "never"]

    def test_without_a_trial_the_server_ends(self):
        """That the packages do harm, and that the trials above prevented it."""
        self.deploy(2, "exits_7")
        self.assertEqual(self.server.wait(WAIT_S), 7)


if __name__ == "__main__":
    kserve_testing.main("--packages")
