"""Drives the calserve command against a live calserve-server: what it prints and its exit codes.

    command_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import argparse
import ctypes
import gzip
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")  # Debian package dataset-fashion-mnist
SIDE = 28
IMAGES = 300
WAIT_S = 30  # for what takes well under a second on an idle machine
DONE, REFUSED, USAGE, UNREACHABLE = range(4)  # exit codes of the command
MODEL = "fashion_mnist"

OPTIONS = argparse.Namespace()
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("CALSERVE_")}
ENVIRONMENT["CALSERVE_LOG_FORMAT"] = "text"  # Its lines are easier to look for.
LIBC = ctypes.CDLL(None)


def die_with_the_test():
    LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def png(pixels):
    """A grey 28x28 image as a PNG file."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    rows = b"".join(b"\0" + pixels[i:i + SIDE] for i in range(0, SIDE * SIDE, SIDE))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))


class LiveServerTest(unittest.TestCase):
    """Each class has a server of its own, with an empty store, and the first test images as PNG files."""
    admin_listen = "off"
    server_flags = ()  # beside those below

    @classmethod
    def setUpClass(cls):
        cls.scratch = pathlib.Path(tempfile.mkdtemp(prefix="calserve-command-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.scratch)
        cls.write_images()
        cls.start_server()

    @classmethod
    def models(cls):
        return OPTIONS.models

    @classmethod
    def models_with_a_broken_version(cls):
        """A copy of the models; version 2 of MODEL is the first one's with a calibrator that is none."""
        models = cls.scratch / "models"
        shutil.copytree(OPTIONS.models, models)
        shutil.copytree(models / MODEL / "1", models / MODEL / "2")
        (models / MODEL / "2" / "calibrator.json").write_text("{", encoding="utf-8")
        return models

    @classmethod
    def start_server(cls):
        log = cls.scratch / "server.log"
        command = [OPTIONS.server, "--model-repository", cls.models(), "--listen", "127.0.0.1:0",
                   "--admin-listen", cls.admin_listen, "--data-dir", cls.scratch / "data", *cls.server_flags]
        with log.open("wb") as stderr:
            cls.server = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=stderr,
                                          preexec_fn=die_with_the_test)
        cls.addClassCleanup(cls.server.wait)
        cls.addClassCleanup(cls.server.kill)
        deadline = time.monotonic() + WAIT_S
        while not (serving := re.search(r" serving address=(\S+)\n", log.read_text(encoding="utf-8"))):
            if cls.server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the server does not serve:\n" + log.read_text(encoding="utf-8"))
            time.sleep(0.02)
        cls.address = serving[1]
        admin = re.search(r" admin address=(\S+)\n", log.read_text(encoding="utf-8"))
        cls.admin_address = admin[1] if admin else None

    @classmethod
    def write_images(cls):
        with gzip.open(DATA / "t10k-images-idx3-ubyte.gz") as file:
            pixels = file.read(16 + IMAGES * SIDE * SIDE)[16:]
        with gzip.open(DATA / "t10k-labels-idx1-ubyte.gz") as file:
            classes = file.read(8 + IMAGES)[8:]
        names = (pathlib.Path(OPTIONS.models) / MODEL / "labels.txt").read_text(encoding="utf-8").splitlines()
        cls.labels = [names[index] for index in classes]
        cls.images = [cls.scratch / f"{i}.png" for i in range(IMAGES)]
        for i, image in enumerate(cls.images):
            image.write_bytes(png(pixels[i * SIDE * SIDE:(i + 1) * SIDE * SIDE]))
        # A list, since "T-shirt/top" cannot name a folder.
        rows = [f"{image.name},{label}" for image, label in zip(cls.images, cls.labels)]
        cls.list = cls.scratch / "images.csv"
        cls.list.write_text("\n".join(["path,label", *rows, ""]), encoding="utf-8")

    def calserve(self, *arguments, exits=DONE, server=None, **options):
        """Standard output and standard error of the command, which must end with `exits`."""
        command = [OPTIONS.command, "--server", server or self.address, *arguments]
        # With these options it is posix_spawn. In the child of a fork the gRPC of this process ran on now and then,
        # and aborted it.
        run = subprocess.run(command, env=ENVIRONMENT, timeout=WAIT_S, capture_output=True, check=False,
                             close_fds=False, **options)
        out, err = run.stdout.decode(), run.stderr.decode()
        self.assertEqual(run.returncode, exits, f"{command}\n{out}\n{err}")
        return out, err

    def json(self, *arguments, exits=DONE):
        """The one document that the command prints with --json."""
        out, _ = self.calserve("--json", *arguments, exits=exits)
        self.assertEqual(out.count("\n"), 1, out)
        return json.loads(out)

    def labels_known(self):
        """How many labels the server has stored for plain softmax."""
        return self.json("report", "--stored", "--calibrator-version", "0")["served"]["n"]

    def predict(self, image):
        answer, = self.json("predict", image)["predictions"]
        return answer


def main():
    parser = argparse.ArgumentParser()
    for name in ("--command", "--server", "--models"):
        parser.add_argument(name, required=True)
    unittest.main(argv=[sys.argv[0], *parser.parse_known_args(namespace=OPTIONS)[1]], verbosity=2)


class Predicting(LiveServerTest):
    def test_health_says_that_the_server_serves(self):
        self.assertEqual(self.calserve("health"), ("SERVING\n", ""))
        self.assertEqual(self.json("health"), {"status": "SERVING"})

    def test_models_lists_the_model_and_its_version(self):
        header, row = self.calserve("models")[0].splitlines()
        self.assertEqual(header.split(), "model version state format device input classes calibrator".split())
        self.assertEqual(row.split()[:3] + row.split()[-2:], [MODEL, "1", "READY", "10", "none"])
        model, = self.json("models")["models"]
        self.assertEqual((model["name"], model["input_shape"]), (MODEL, [1, SIDE, SIDE]))
        self.assertEqual([version["state"] for version in model["versions"]], ["READY"])

    def test_predict_shows_a_row_for_each_image(self):
        header, *rows = self.calserve("predict", *self.images[:2])[0].splitlines()
        self.assertRegex(header, r"^file +predicted +confidence +uncalibrated +most probable$")
        self.assertEqual(len(rows), 2)
        for row, image, label in zip(rows, self.images, self.labels):
            self.assertRegex(row, rf"^{image} +{label} +[01]\.\d{{3}} +[01]\.\d{{3}} +{label} [01]\.\d{{3}}, ")

    def test_predict_as_json_has_labels_with_probabilities_and_a_ticket(self):
        answer = self.predict(self.images[0])
        top = answer["top_classes"]
        self.assertEqual(top[0]["label"], self.labels[0])
        self.assertEqual(answer["confidence"], top[0]["probability"])
        self.assertTrue(1 >= top[0]["probability"] > top[1]["probability"] > top[2]["probability"] >= 0, top)
        self.assertTrue(answer["ticket"])

    def test_a_ticket_takes_its_label_once_and_keeps_the_first(self):
        ticket = self.predict(self.images[0])["ticket"]

        def label(name, exits):
            return self.calserve("feedback", "--ticket", ticket, "--label", name, exits=exits)
        self.assertEqual(label("Ankle boot", DONE), ("1 accepted, 0 duplicate, 0 rejected\n", ""))
        self.assertEqual(label("Ankle boot", DONE), ("0 accepted, 1 duplicate, 0 rejected\n", ""))
        out, err = label("Bag", REFUSED)
        self.assertEqual(out, "0 accepted, 0 duplicate, 1 rejected\n")
        self.assertRegex(err, r"(?m)^rejected, LABEL_CONFLICT: .* the first one stays$")
        self.assertRegex(err, r"(?m)^calserve: FAILED_PRECONDITION: 1 labels were rejected")
        result = self.json("feedback", "--ticket", ticket, "--label", "Bag", exits=REFUSED)
        self.assertEqual((result["outcome"], result["error"]["code"]), ("REJECTED", "FAILED_PRECONDITION"))

    def test_feedback_reads_lines_of_predictions_with_their_labels(self):
        lines = [json.dumps({**self.predict(self.images[i]), "label": self.labels[i]}) for i in range(2)]
        out, _ = self.calserve("feedback", input="\n".join(lines).encode())
        self.assertEqual(out, "2 accepted, 0 duplicate, 0 rejected\n")
        out, _ = self.calserve("--json", "feedback", input="\n".join([*lines, "{}"]).encode(), exits=REFUSED)
        *results, failure = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([result["outcome"] for result in results], ["DUPLICATE", "DUPLICATE"])
        self.assertEqual(list(failure), ["error"])

    def test_predict_as_json_has_the_error_beside_the_other_answers(self):
        document = self.json("predict", self.images[0], self.scratch / "absent.png", exits=REFUSED)
        good, bad = document["predictions"]
        self.assertTrue(good["ticket"])
        self.assertEqual((bad["error"]["code"], document["error"]["code"]), ("NOT_FOUND", "NOT_FOUND"))

    def test_output_that_cannot_be_written_ends_with_1(self):
        for arguments in (["models"], ["--json", "predict", self.images[0]], ["--json", "watch"]):
            with self.subTest(arguments=arguments), open("/dev/full", "wb") as full:
                command = [OPTIONS.command, "--server", self.address, *arguments]
                run = subprocess.run(command, env=ENVIRONMENT, timeout=WAIT_S, stdout=full, stderr=subprocess.PIPE,
                                     check=False, preexec_fn=die_with_the_test)
                self.assertEqual(run.returncode, REFUSED)
                self.assertIn(b"cannot write to standard output: No space left", run.stderr)

    def test_a_label_is_a_name_even_of_digits_and_an_index_has_an_option_of_its_own(self):
        ticket = self.predict(self.images[0])["ticket"]
        result = self.json("feedback", "--ticket", ticket, "--label", "9", exits=REFUSED)
        self.assertEqual((result["outcome"], result["reason"]), ("REJECTED", "LABEL_UNKNOWN"))
        self.assertEqual(self.json("feedback", "--ticket", ticket, "--class-index", "9")["outcome"], "ACCEPTED")
        self.assertEqual(self.labels[0], "Ankle boot")  # class 9
        self.assertEqual(self.json("feedback", "--ticket", ticket, "--label", "Ankle boot")["outcome"], "DUPLICATE")

    def test_evaluate_takes_a_folder_for_each_class(self):
        for image, label in list(zip(self.images, self.labels))[:40]:
            if "/" not in label:
                folder = self.scratch / "folders" / label
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy(image, folder)
        report = self.json("evaluate", "--no-feedback", self.scratch / "folders")
        self.assertEqual(report["served"]["n"], sum("/" not in label for label in self.labels[:40]))
        self.assertEqual(report["feedback"], {"accepted": 0, "duplicate": 0})

    def test_evaluate_sends_no_label_unless_every_image_is_good(self):
        broken = self.scratch / "broken.png"
        broken.write_bytes(b"not a picture")
        before = self.labels_known()
        for bad, exits_with in ((f"{self.scratch}/absent.png,Bag", "absent.png"), (f"{self.images[1]},Hat", "Hat"),
                                (f"{broken},Bag", "broken.png")):
            with self.subTest(bad=bad):
                images = self.scratch / "bad.csv"
                images.write_text(f"path,label\n{self.images[0]},{self.labels[0]}\n{bad}\n", encoding="utf-8")
                _, err = self.calserve("evaluate", images, exits=REFUSED)
                self.assertIn(exits_with, err)
        self.assertEqual(self.labels_known(), before)

    def test_what_the_server_refuses_ends_with_1(self):
        error = self.json("predict", "--model", "nope", self.images[0], exits=REFUSED)["error"]
        self.assertEqual((error["code"], error["reason"]), ("NOT_FOUND", "MODEL_NOT_FOUND"))
        error = self.json("calibrators", "activate", "99", exits=REFUSED)["error"]
        self.assertEqual(error["code"], "NOT_FOUND")
        self.assertIn("no calibrator version 99", error["message"])
        _, err = self.calserve("report", "--window", "nope", exits=REFUSED)
        self.assertRegex(err, r'^calserve: INVALID_ARGUMENT: .*"nope"')

    def test_wrong_usage_ends_with_2(self):
        for arguments in ([], ["nonsense"], ["predict"], ["fit", "--method", "nope"], ["--timeout", "soon", "health"],
                          ["feedback", "--ticket", "!", "--label", "Bag"],
                          ["feedback", "--ticket", "AAAA"], ["feedback", "--class-index", "1"],
                          ["feedback", "--ticket", "AAAA", "--label", "1", "--class-index", "1"], ["watch", "--interval", "often"]):
            with self.subTest(arguments=arguments):
                self.assertTrue(self.calserve(*arguments, exits=USAGE)[1])

    def test_a_port_without_a_server_ends_with_3(self):
        with socket.socket() as taken:  # bound, so that nobody else takes it, but not listening
            taken.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            _, err = self.calserve("--timeout", "5s", "health", server=address, exits=UNREACHABLE)
        self.assertRegex(err, rf"^calserve: cannot reach {address}: ")


class Choosing(LiveServerTest):
    """A model of two versions, with labels, a split of the traffic, and priorities."""

    @classmethod
    def models(cls):
        models = cls.scratch / "models"
        shutil.copytree(OPTIONS.models, models)
        model = models / MODEL
        shutil.copytree(model / "1", model / "2")
        with (model / "model.yaml").open("a", encoding="utf-8") as file:
            file.write("versions: all\nversion_labels: {stable: 1, canary: 2}\n"
                       "traffic: {stable: 50, canary: 50}\npriority_levels: 2\n")
        return models

    def version_of(self, *arguments):
        answer, = self.json("predict", *arguments, self.images[0])["predictions"]
        return answer["model_version"]

    def test_predict_takes_the_version_that_a_label_names(self):
        self.assertEqual(self.version_of("--version-label", "stable"), 1)
        self.assertEqual(self.version_of("--version-label", "canary"), 2)
        _, err = self.calserve("predict", "--version-label", "nightly", self.images[0], exits=REFUSED)
        self.assertIn("nightly", err)
        self.calserve("predict", "--version-label", "stable", "--model-version", "1", self.images[0], exits=USAGE)

    def test_predict_keeps_a_routing_key_to_its_side(self):
        versions = {key: {self.version_of("--routing-key", key) for _ in range(3)} for key in map(str, range(12))}
        self.assertTrue(all(len(seen) == 1 for seen in versions.values()), versions)
        self.assertEqual(set.union(*versions.values()), {1, 2})

    def test_without_a_version_every_command_acts_on_the_default_one(self):
        default = 1  # Of equal shares the first in model.yaml, and not the newest version.
        acted = {"evaluate": self.json("evaluate", self.list)["model_version"],
                 "fit": self.json("fit", "--method", "temperature")["model_version"],
                 "report": self.json("report", "--stored", "--calibrator-version", "0")["model_version"],
                 "watch": self.json("watch", "--count", "1")["model_version"],
                 "activate": self.json("calibrators", "activate", "1")["model_version"],
                 "show": self.json("calibrators", "show", "0")["model_version"],
                 "rollback": self.json("calibrators", "rollback")["model_version"],
                 "refits": self.json("refits")["model_version"]}
        self.assertEqual(set(acted.values()), {default}, acted)
        active = {each["version"]: each["active_calibrator"]["version"]
                  for each in self.json("models")["models"][0]["versions"]}
        self.assertEqual(set(active.values()), {0}, "the other one keeps its own")

    def test_predict_names_a_priority(self):
        self.assertIn(self.version_of("--priority", "2"), (1, 2))
        error = self.json("predict", "--priority", "3", self.images[0], exits=REFUSED)["error"]
        self.assertEqual(error["code"], "INVALID_ARGUMENT")
        self.assertIn("priority", error["message"])


class Calibrating(LiveServerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.evaluation = cls().json("evaluate", cls.list)

    def test_evaluate_reports_every_image_and_sends_its_label(self):
        self.assertEqual(self.evaluation["feedback"], {"accepted": IMAGES, "duplicate": 0})
        self.assertEqual(self.evaluation["served"]["n"], IMAGES)
        self.assertGreater(self.evaluation["served"]["accuracy"], 0.85)

    def test_report_of_a_window_agrees_with_evaluate(self):
        deadline = time.monotonic() + WAIT_S
        while True:
            report = self.json("report", "--window", "last_1000", "--calibrator-version", "0")
            if report["served"]["n"] == IMAGES or time.monotonic() > deadline:
                break
        for metric in ("n", "accuracy", "ece", "nll"):
            self.assertAlmostEqual(report["served"][metric], self.evaluation["served"][metric], places=4)

    def test_watch_prints_a_line_for_each_update(self):
        report = self.json("watch", "--count", "1", "--window", "last_1000", "--calibrator", "0")
        self.assertEqual((report["model"], report["window"]), (MODEL, "last_1000"))

    def test_watch_ends_well_when_asked_to(self):
        command = [OPTIONS.command, "--server", self.address, "--json", "watch"]
        with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True,
                              preexec_fn=die_with_the_test) as watch:
            self.assertIn("served", json.loads(watch.stdout.readline()))
            watch.terminate()
            self.assertEqual(watch.wait(WAIT_S), DONE)

    def test_a_fitted_calibrator_serves_from_activation_to_rollback(self):
        def served_by():
            return self.predict(self.images[0])["calibrator_version"]
        def states():
            return [(each["version"], each["state"]) for each in self.json("calibrators", "list")["calibrators"]]
        self.assertEqual(states(), [(0, "ACTIVE")])
        fitted = self.json("fit", "--method", "temperature")
        self.assertEqual(states(), [(1, "FITTED"), (0, "ACTIVE")])
        self.assertEqual((fitted["version"], fitted["state"], fitted["n"]), (1, "FITTED", IMAGES))
        self.assertLess(fitted["nll_after"], fitted["nll_before"])
        self.assertEqual(served_by(), 0)
        self.assertEqual(self.json("calibrators", "activate", "1")["state"], "ACTIVE")
        self.assertEqual(served_by(), 1)
        self.assertEqual(states(), [(1, "ACTIVE"), (0, "RETIRED")])
        listed = self.json("calibrators", "list")["calibrators"][0]
        self.assertEqual(listed["parameters"], fitted["parameters"])
        self.assertEqual(self.json("calibrators", "rollback")["version"], 0)
        self.assertEqual(served_by(), 0)
        listed = self.calserve("calibrators", "list")[0]
        self.assertRegex(listed, r"\n +1 +1 +RETIRED +temperature ")
        self.assertRegex(listed, r"\n +0 +1 +ACTIVE +none ")
        self.assertEqual(self.json("calibrators", "show", "0")["state"], "ACTIVE")


class Alarming(LiveServerTest):
    """A tolerance of the model's own, and labels that are wrong on purpose."""

    @classmethod
    def models(cls):
        models = cls.scratch / "models"
        shutil.copytree(OPTIONS.models, models)
        with (models / MODEL / "model.yaml").open("a", encoding="utf-8") as file:
            file.write("alarm: {tolerance: 0.05}\n")
        return models

    def alarm(self):
        listed, = self.json("alarms")["alarms"]
        self.assertEqual((listed["model"], listed["model_version"], listed["calibrator_version"]), (MODEL, 1, 0))
        return listed["alarm"]

    def test_wrong_labels_raise_it_until_it_is_acknowledged(self):
        self.assertEqual((self.alarm()["state"], self.alarm()["tolerance"]), ("QUIET", 0.05))
        error = self.json("acknowledge", exits=REFUSED)["error"]
        self.assertEqual(error["code"], "FAILED_PRECONDITION")

        wrong = self.scratch / "wrong.csv"
        rows = [f"{image.name},{label}" for image, label in zip(self.images, self.labels[1:] + self.labels[:1])]
        wrong.write_text("\n".join(["path,label", *rows, ""]), encoding="utf-8")
        self.json("evaluate", wrong)
        deadline = time.monotonic() + WAIT_S
        while self.alarm()["labels"] < IMAGES and time.monotonic() < deadline:
            time.sleep(0.02)
        alarm = self.alarm()
        self.assertEqual((alarm["state"], alarm["direction"]), ("RAISED", "OVERCONFIDENT"))
        self.assertGreater(alarm["e_overconfident"], alarm["threshold"])
        self.assertEqual(self.json("report")["alarm"], alarm)
        self.assertIn("\nALARM: overconfident since label ", self.calserve("report")[0])
        self.assertIn(" ALARM: overconfident since label ", self.calserve("watch", "--count", "1")[0])
        self.assertIn("ALARM: overconfident since label ", self.calserve("alarms")[0])

        error = self.json("acknowledge", "--calibrator", "7", exits=REFUSED)["error"]
        self.assertEqual(error["code"], "ABORTED")
        self.assertIn("acknowledged, no alarm", self.calserve("acknowledge")[0])
        self.assertEqual((self.alarm()["state"], self.alarm()["acknowledgements"]), ("QUIET", 1))


class Sliced(LiveServerTest):
    """A model whose predictions say of which camera they are, and one camera that is labelled wrong on purpose."""

    @classmethod
    def models(cls):
        models = cls.scratch / "models"
        shutil.copytree(OPTIONS.models, models)
        with (models / MODEL / "model.yaml").open("a", encoding="utf-8") as file:
            file.write("alarm: {tolerance: 0.2}\nattributes: {camera: any, site: [a]}\n")
        return models

    def label(self, camera, images, labels):
        answers = self.json("predict", "--attribute", f"camera={camera}", "--attribute", "site=z", *images)["predictions"]
        lines = [json.dumps({**answer, "label": label}) for answer, label in zip(answers, labels)]
        self.calserve("feedback", input="\n".join(lines).encode())

    def slices(self):
        return {report["slice"]["value"]: report for report in self.json("slices")["reports"]}

    def test_slices_are_reported_watched_alarmed_and_acknowledged_apart(self):
        self.assertEqual(self.json("slices"), {
            "keys": [{"key": "camera", "values": []}, {"key": "site", "values": ["a"]}], "reports": []})
        half = IMAGES // 2
        self.label("north", self.images[:half], self.labels[:half])
        self.label("south", self.images[half:], self.labels[1:half + 1])
        deadline = time.monotonic() + WAIT_S
        while self.json("report")["served"]["n"] < IMAGES and time.monotonic() < deadline:
            time.sleep(0.02)
        slices = self.slices()
        self.assertEqual([(name, report["served"]["n"]) for name, report in slices.items()],
                         [("north", half), ("other", IMAGES), ("south", IMAGES - half)])
        self.assertEqual(slices["north"]["alarm"]["state"], "QUIET")
        self.assertEqual(slices["south"]["alarm"]["state"], "RAISED")
        self.assertRegex(self.calserve("slices")[0], r"\ncamera=south +\d+ .* ALARM: overconfident")

        report = self.json("report", "--slice", "camera=north")
        self.assertEqual(report["slice"], {"key": "camera", "value": "north"})
        self.assertEqual(report["served"]["n"], half)
        stored = self.json("report", "--stored", "--details", "--slice", "camera=south")
        self.assertEqual(stored["served_details"]["n"], IMAGES - half)
        both = self.json("report", "--stored", "--attribute", "camera=north", "--attribute", "camera=south")
        self.assertEqual(both["served"]["n"], IMAGES)
        self.assertIn(" camera=north ", self.calserve("watch", "--count", "1", "--slice", "camera=north")[0])
        fit = self.json("fit", "--method", "temperature", "--attribute", "camera=north")
        self.assertEqual(fit["n"], half)

        alarms = {alarm.get("slice", {}).get("value"): alarm["alarm"]["state"] for alarm in self.json("alarms")["alarms"]}
        self.assertEqual((alarms["north"], alarms["south"]), ("QUIET", "RAISED"))
        self.assertIn("camera=south: acknowledged", self.calserve("acknowledge", "--slice", "camera=south")[0])
        self.assertEqual(self.slices()["south"]["alarm"]["state"], "QUIET")

        hostile = "camera=\x1b[2J\u009b8m\u202e"
        for exits, arguments in ((REFUSED, ["predict", "--attribute", hostile, self.images[0]]),
                                 (REFUSED, ["acknowledge", "--slice", hostile]), (DONE, ["report", "--slice", hostile]),
                                 (DONE, ["watch", "--count", "1", "--slice", hostile])):
            for output in (*self.calserve(*arguments, exits=exits),
                           self.calserve("--json", *arguments, exits=exits)[0]):
                self.assertFalse(set("\x1b\u009b\u202e") & set(output), output)
        error = self.json("predict", "--attribute", hostile, self.images[0], exits=REFUSED)["error"]
        self.assertEqual(error["code"], "INVALID_ARGUMENT")
        self.assertIn("the value of attribute 'camera' must have no control characters", error["message"])

        error = self.json("report", "--slice", "site=z", exits=REFUSED)["error"]
        self.assertEqual(error["code"], "NOT_FOUND")
        self.assertIn("everything else is in site=other", error["message"])
        self.calserve("watch", "--slice", "camera", exits=USAGE)


class Stopping(LiveServerTest):
    def test_the_server_leaves_with_0_on_sigterm(self):
        self.calserve("predict", self.images[0])
        self.server.terminate()
        self.assertEqual(self.server.wait(WAIT_S), 0)


if __name__ == "__main__":
    main()
