"""What the calserve command shows of a live calserve-server's calibrators: prediction sets, several versions side by
side, the automatic refit, windows without a label.

    command_reports_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import json
import re
import shutil
import time

import command_test
from command_test import DONE, IMAGES, MODEL, OPTIONS, REFUSED, USAGE, WAIT_S


class Comparing(command_test.LiveServerTest):
    """Two calibrators were fitted to the labels of all images, and the newer one serves."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        test = cls()
        test.json("evaluate", cls.list)
        cls.first = test.json("fit", "--method", "temperature", "--set-alpha", "0.2", "--set-alpha", "0.1234567")
        cls.second = test.json("fit", "--method", "platt", "--activate")

    def logits(self):
        """Options that name the logits of all images and their labels, as the server gives them."""
        answers = self.json("predict", "--logits", *self.images)["predictions"]
        classes = self.json("models")["models"][0]["labels"]
        logits, labels = self.scratch / "logits.csv", self.scratch / "labels.csv"
        logits.write_text("\n".join(",".join(map(repr, answer["logits"])) for answer in answers), encoding="utf-8")
        labels.write_text("\n".join(str(classes.index(label)) for label in self.labels), encoding="utf-8")
        return ["--logits", logits, "--labels", labels]

    def test_versions_of_the_server_stand_side_by_side_on_one_data_set(self):
        versions = ["--calibrator-version", "0", "--calibrator-version", "1", "--calibrator-version", "2"]
        page = self.scratch / "versions.html"
        columns = self.json("report", *versions, *self.logits(), "--html", page)["calibrators"]
        self.assertEqual([column["name"] for column in columns],
                         [f"none ({MODEL} 0)", f"temperature ({MODEL} 1)", f"platt_one_vs_rest ({MODEL} 2)"])
        self.assertEqual([column["n"] for column in columns], [IMAGES] * 3)
        # Applied to the very rows that they were fitted to.
        for column, fit in zip(columns[1:], (self.first, self.second)):
            self.assertAlmostEqual(column["nll"], fit["nll_after"], places=2)
        self.assertAlmostEqual(columns[0]["nll"], self.first["nll_before"], places=2)
        header = self.calserve("report", *versions, *self.logits())[0].splitlines()[0]
        self.assertRegex(header, rf"none \({MODEL} 0\) +temperature \({MODEL} 1\) +platt_one_vs_rest \({MODEL} 2\)$")
        self.assertIn(f"temperature ({MODEL} 1)", page.read_text(encoding="utf-8"))

    def test_versions_stand_side_by_side_each_on_its_own_labels(self):
        reports = self.json("report", "--stored", "--calibrator-version", "0", "--calibrator-version", "1")["reports"]
        self.assertEqual([report["calibrator_version"] for report in reports], [0, 1])
        self.assertEqual(reports[0]["served"]["n"], IMAGES)
        out, _ = self.calserve("report", "--stored", "--calibrator-version", "0", "--calibrator-version", "1")
        self.assertRegex(out, r"\n +calibrator 0 +calibrator 1\n")
        self.assertIn("the rows are not the same", out)
        _, err = self.calserve("report", "--calibrator-version", "0", "--calibrator-version", "9", exits=REFUSED)
        self.assertIn("has no calibrator 9", err)

    def test_the_thresholds_of_prediction_sets_are_shown_and_saved(self):
        def asked(thresholds):
            return [(each["method"], each["alpha"]) for each in thresholds]
        both = [(method, alpha) for alpha in (0.2, 0.1234567) for method in ("THR", "APS")]
        self.assertCountEqual(asked(self.first["set_thresholds"]), both)
        shown, _ = self.calserve("calibrators", "show", "1", "--out", self.scratch / "calibrator.json")
        for method, alpha in both:
            self.assertRegex(shown, rf"(?m)^prediction sets: {method} at alpha {alpha}, threshold [01]\.\d+ of {IMAGES} rows$")
        saved = json.loads((self.scratch / "calibrator.json").read_text(encoding="utf-8"))
        self.assertEqual(saved["set_thresholds"], self.first["set_thresholds"])
        self.assertIn("prediction sets: none", self.calserve("calibrators", "show", "0")[0])
        self.assertIn("prediction sets: THR at alpha 0.1, ", self.calserve("fit", "--method", "temperature")[0])

    def test_an_alpha_that_no_threshold_is_for_is_said_with_all_its_digits(self):
        _, err = self.calserve("predict", "--prediction-set", "THR", "--alpha", "0.1234568", self.images[0], exits=REFUSED)
        self.assertIn("has no threshold for THR at alpha 0.1234568; it has THR at alpha 0.1, ", err)

    def test_alphas_given_twice_are_refused_before_anything_is_sent(self):
        _, err = self.calserve("fit", "--set-alpha", "0.2", "--set-alpha", "0.20", exits=USAGE)
        self.assertIn("--set-alpha: set_alphas has 0.2 twice", err)

    def test_a_selection_by_an_attribute_that_is_not_declared_says_what_is(self):
        for command in (["report", "--stored"], ["fit"]):
            error = self.json(*command, "--attribute", "camera=north", exits=REFUSED)["error"]
            self.assertEqual(error["code"], "INVALID_ARGUMENT")
            self.assertIn(f"model '{MODEL}' has no attribute 'camera': its model.yaml lists none", error["message"])


class WithoutLabels(command_test.LiveServerTest):
    @classmethod
    def models(cls):
        models = cls.scratch / "models"
        shutil.copytree(OPTIONS.models, models)
        with (models / MODEL / "model.yaml").open("a", encoding="utf-8") as file:
            file.write("attributes: {camera: any, site: [a]}\n")
        return models

    def test_a_window_without_a_label_has_dashes_and_no_zeros(self):
        line, _ = self.calserve("watch", "--count", "1")
        self.assertIn(" n 0 ECE - (floor -) accuracy - confidence - NLL -", line)

    def test_a_model_that_does_not_refit_says_so(self):
        self.assertEqual(self.json("refits")["state"], "OFF")
        self.assertRegex(self.calserve("refits")[0], rf"^{MODEL}/1 calibrator 0: OFF, refit on never\n.+\n$")

    def test_a_selection_by_attributes_takes_what_is_declared(self):
        error = self.json("fit", "--attribute", "camra=north", exits=REFUSED)["error"]
        self.assertIn("has no attribute 'camra': its model.yaml lists camera, site", error["message"])
        for command in (["report", "--stored"], ["fit"]):
            error = self.json(*command, "--attribute", "site=other", exits=REFUSED)["error"]
            self.assertEqual(error["code"], "INVALID_ARGUMENT")
            self.assertIn("'other' is no value of attribute 'site' but the slice of the values that have none of their own: "
                          "name the values, or ask for a report of the slice site=other", error["message"])
        self.json("report", "--stored", "--attribute", "site=a")


class Refitting(command_test.LiveServerTest):
    """A model that tries a refit after every 100 labels."""

    @classmethod
    def models(cls):
        models = cls.scratch / "models"
        shutil.copytree(OPTIONS.models, models)
        with (models / MODEL / "model.yaml").open("a", encoding="utf-8") as file:
            file.write("refit: {on: every, every: 100, least_labels: 100, cooldown: 1s}\n")
        return models

    def test_refits_shows_the_state_and_every_attempt_with_its_figures(self):
        before = self.json("refits")
        self.assertEqual((before["model"], before["model_version"], before["calibrator_version"]), (MODEL, 1, 0))
        self.assertEqual((before["trigger"], before["state"], before["attempts"]), ("every", "SELECTIVE_LABELS", []))
        self.assertTrue(before["reason"])
        self.assertIn("no attempt so far\n", self.calserve("refits")[0])

        self.json("evaluate", self.list)
        deadline = time.monotonic() + WAIT_S
        while not (status := self.json("refits"))["attempts"] or status["attempts"][0]["outcome"] == "JUDGING":
            self.assertLess(time.monotonic(), deadline, status)
            time.sleep(0.1)
        attempt = status["attempts"][0]
        self.assertIn(attempt["outcome"], ("ACTIVATED", "KEPT"))
        self.assertEqual((attempt["kind"], attempt["incumbent_version"], attempt["candidate_version"]), ("REFIT", 0, 1))
        self.assertRegex(attempt["reason"], r"on \d+ labels its negative log-likelihood differs by")
        out, _ = self.calserve("refits", "--model", MODEL, "--model-version", "1")
        self.assertRegex(out, rf"^{MODEL}/1 calibrator \d: [A-Z_]+, refit on every\n")
        self.assertTrue(re.search(rf"\n\S+Z +REFIT +1 +0 +1 +{attempt['outcome']} +\d+ ", out), out)

        _, err = self.calserve("refits", "--model", "nope", exits=REFUSED)
        self.assertIn("NOT_FOUND", err)
        _, err = self.calserve("refits", "--model-version", "7", exits=REFUSED)
        self.assertIn("7", err)
        self.calserve("refits", "--model-version", "one", exits=USAGE)
        self.calserve("refits", "--help", exits=DONE)


if __name__ == "__main__":
    command_test.main()
