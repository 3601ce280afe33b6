"""A live calserve-server that shows every metric it has without an accelerator: the demo's model with attributes,
prediction sets, labels with an inclusion probability, and an automatic refit."""
import json
import pathlib
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))

import kserve_testing  # Before gRPC, whose environment it sets.
from command_test import IMAGES, MODEL, OPTIONS, WAIT_S
from metrics_test import AdminTest

# Of accelerators: a machine without one has no series of them.
OF_DEVICES = {f"calserve_device_memory_{what}_bytes" for what in ("allocated", "reserved", "free", "size")}
main = kserve_testing.main


class EverythingTest(AdminTest):
    server_flags = ()
    refit = "{on: alarm, least_labels: 100000}"  # shown, and never begun: what is active stays

    @classmethod
    def models(cls):
        folder = tempfile.TemporaryDirectory(prefix="calserve-everything-")
        cls.addClassCleanup(folder.cleanup)
        copy = pathlib.Path(folder.name)
        shutil.copytree(OPTIONS.models / MODEL, copy / MODEL)
        with (copy / MODEL / "model.yaml").open("a", encoding="utf-8") as file:
            file.write(f"attributes: {{camera: [north, south]}}\nrefit: {cls.refit}\n")
        return copy

    def label(self, camera, labels=None, **more):
        """Predicts every image for a camera and sends the labels, true ones if there are none."""
        answers = self.json("predict", "--attribute", f"camera={camera}", *self.images)["predictions"]
        lines = [json.dumps({"ticket": answer["ticket"], "label": label, **more})
                 for answer, label in zip(answers, labels or self.labels)]
        self.calserve("feedback", input="\n".join(lines).encode())

    def wait_for_metrics(self, *names):
        deadline = time.monotonic() + WAIT_S
        while missing := set(names) - {name for name, _ in self.scrape()}:
            self.assertLess(time.monotonic(), deadline, missing)
            time.sleep(0.1)

    def exercise(self):
        """Predictions, labels, slices, a calibrator with prediction sets, and labels of it."""
        self.label("north")
        self.json("fit", "--model", MODEL, "--set-alpha", "0.1", "--activate")
        self.label("north", inclusion_probability=0.5)
        self.label("south", inclusion_probability=1)
        self.wait_for_metrics("calserve_calibration_set_coverage", "calserve_calibration_weighted_ece",
                              "calserve_slice_calibration_ece", "calserve_refit_attempts_total")

    def active(self):
        """The version of the calibrator that answers, as its series have it."""
        versions = {dict(labels)["calibrator"] for name, labels in self.scrape()
                    if name == "calserve_calibration_alarm_raised"}
        self.assertEqual(len(versions), 1)
        return versions.pop()


__all__ = ["EverythingTest", "IMAGES", "MODEL", "OF_DEVICES", "OPTIONS", "WAIT_S", "main"]
