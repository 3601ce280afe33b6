"""The model repository over KServe v2, by Triton's own client: models are loaded and unloaded by call.

    kserve_repository_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import pathlib
import shutil
import threading
import time
import unittest

from tritonclient.utils import InferenceServerException

import kserve_testing
from kserve_testing import BINARY, MODEL, OPTIONS, KserveTest


class Explicit(KserveTest):
    @classmethod
    def start_server(cls):
        environment = kserve_testing.command_test.ENVIRONMENT
        for variable, value in (("CALSERVE_REPOSITORY_CONTROL", "explicit"), ("CALSERVE_REPOSITORY_LOAD", BINARY)):
            environment[variable] = value
            cls.addClassCleanup(environment.pop, variable)
        super().start_server()

    def index(self):
        return {(model.name, model.version): (model.state, model.reason)
                for model in self.client.get_model_repository_index().models}

    def version_file(self, version):
        folder = pathlib.Path(OPTIONS.models) / MODEL / str(version)
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        folder.mkdir()
        return folder / "model.pt"

    def setUp(self):
        self.client.unload_model(MODEL)
        self.tensor = self.input(self.tensors[:1])

    def test_the_server_says_that_it_can_be_controlled(self):
        self.assertIn("model_repository", self.client.get_server_metadata().extensions)

    def test_only_what_is_named_is_loaded_at_the_start(self):
        self.assertTrue(self.client.is_model_ready(BINARY))
        self.assertEqual(self.index()[(BINARY, "1")], ("READY", ""))
        self.assertIn(self.index()[(MODEL, "1")][0], ("UNAVAILABLE", "UNLOADING"))
        with self.assertRaisesRegex(InferenceServerException, "unknown model|is not at ready state: UNLOADING"):
            self.infer(self.tensor)
        self.assertIn("model_repository", self.client.get_server_metadata().extensions)

    def test_a_model_is_loaded_served_and_unloaded(self):
        self.client.load_model(MODEL)
        self.assertTrue(self.client.is_model_ready(MODEL))
        self.assertEqual(self.index()[(MODEL, "1")], ("READY", ""))
        self.assertEqual(self.infer(self.tensor).get_response().model_version, "1")
        self.client.unload_model(MODEL)
        with self.assertRaisesRegex(InferenceServerException, "unknown model|is not at ready state: UNLOADING"):
            self.infer(self.tensor)
        self.assertFalse(self.client.is_model_ready(MODEL), "known, and not ready")
        self.assertTrue(self.client.is_model_ready(BINARY), "the other one serves on")

    def test_a_new_version_is_there_after_the_next_load(self):
        self.client.load_model(MODEL)
        shutil.copy(pathlib.Path(OPTIONS.models) / MODEL / "1" / "model.pt", self.version_file(2))
        self.assertEqual(self.infer(self.tensor).get_response().model_version, "1")
        self.client.load_model(MODEL)
        self.assertEqual(self.infer(self.tensor).get_response().model_version, "2")

    def test_a_label_names_a_version_and_a_key_chooses_a_side(self):
        yaml = pathlib.Path(OPTIONS.models) / MODEL / "model.yaml"
        self.addCleanup(yaml.write_text, yaml.read_text(encoding="utf-8"), encoding="utf-8")
        shutil.copy(pathlib.Path(OPTIONS.models) / MODEL / "1" / "model.pt", self.version_file(2))
        with yaml.open("a", encoding="utf-8") as file:
            file.write("version_labels: {stable: 1, canary: 2}\ntraffic: {stable: 50, canary: 50}\n")
        self.client.load_model(MODEL)

        def version(**parameters):
            return self.infer(self.tensor, parameters=parameters).get_response().model_version

        self.assertEqual(version(version_label="stable"), "1")
        self.assertEqual(version(version_label="canary"), "2")
        chosen = {key: version(routing_key=key) for key in map(str, range(40))}
        self.assertEqual(set(chosen.values()), {"1", "2"})
        self.assertEqual({key: version(routing_key=key) for key in chosen}, chosen, "a key stays on its side")
        with self.assertRaisesRegex(InferenceServerException, "no ready version with the label 'next'"):
            version(version_label="next")

    def test_a_load_that_fails_says_why_and_the_old_version_serves_on(self):
        self.client.load_model(MODEL)
        self.version_file(2).write_text("this is no model", encoding="utf-8")
        with self.assertRaisesRegex(InferenceServerException, "version 2: .*2/model.pt is not a TorchScript model"):
            self.client.load_model(MODEL)
        state, reason = self.index()[(MODEL, "2")]
        self.assertEqual(state, "UNAVAILABLE")
        self.assertIn("is not a TorchScript model", reason)
        self.assertFalse(self.client.is_model_ready(MODEL, "2"))
        for ask in (lambda: self.infer(self.tensor, model_version="2"),
                    lambda: self.client.get_model_metadata(MODEL, "2")):
            with self.assertRaisesRegex(InferenceServerException,
                                        "UNAVAILABLE.*version 2 is not at ready state: FAILED: .*TorchScript.*mend"):
                ask()
        with self.assertRaisesRegex(InferenceServerException, "NOT_FOUND.*no version 3"):
            self.client.is_model_ready(MODEL, "3")
        self.assertEqual(self.infer(self.tensor).get_response().model_version, "1")

    def test_an_unknown_model_is_not_found(self):
        for call in (self.client.load_model, self.client.unload_model):
            with self.assertRaisesRegex(InferenceServerException, "NOT_FOUND.*boats"):
                call("boats")

    def test_no_call_fails_while_a_model_is_loaded_again_and_again(self):
        self.client.load_model(MODEL)
        path = self.version_file(2)
        stop, failures, answers = threading.Event(), [], {"1": 0, "2": 0}

        def predict():
            while not stop.is_set():
                try:
                    answers[self.infer(self.tensor).get_response().model_version] += 1
                except InferenceServerException as error:
                    failures.append(error)
                time.sleep(0.001)

        thread = threading.Thread(target=predict)
        thread.start()
        try:
            for turn in range(10):
                if turn % 2 == 0:
                    shutil.copy(pathlib.Path(OPTIONS.models) / MODEL / "1" / "model.pt", path)
                else:
                    path.unlink()
                    path.parent.rmdir()
                self.client.load_model(MODEL)
                if turn % 2 == 1:
                    path.parent.mkdir()
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failures, [])
        self.assertGreater(answers["1"], 0)
        self.assertGreater(answers["2"], 0)


if __name__ == "__main__":
    kserve_testing.main()
