"""The admin port of a live calserve-server: metrics, read by Prometheus's own parser, move by exactly what was sent.

    metrics_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import contextlib
import http.client
import pathlib
import queue
import shutil
import signal
import sqlite3
import subprocess
import time

import command_test
import kserve_testing  # Before gRPC, whose environment it sets.

import grpc
import numpy
from prometheus_client.parser import text_string_to_metric_families
from tritonclient.utils import InferenceServerException

from command_test import DONE, REFUSED, SIDE, WAIT_S
from kserve_testing import BINARY, FAILING, MODEL, OPTIONS, KserveTest

PARTS = {"receive", "queue", "decode", "compute", "calibrate", "respond"}
PREDICTIONS = {"Predict", "StreamPredict", "ModelInfer", "ModelStreamInfer", "FitExamples"}
DURATION = "calserve_request_duration_seconds"
SPLIT = "calserve_request_time_seconds_total"
THREADS = "calserve_thread_cpu_seconds_total"
STATE = "calserve_model_version_state"
MODELS = (MODEL, BINARY, FAILING)
MAX_QUEUED_IMAGES = 4


def series_of(text):
    """{(name, labels): value}, of every sample."""
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text) for sample in family.samples}


def key(name, **labels):
    return name, tuple(sorted(labels.items()))


class AdminTest(KserveTest):
    admin_listen = "127.0.0.1:0"
    server_flags = ("--repository-control", "explicit", "--repository-load", ",".join(MODELS),
                    "--decoding-max-queued-images", str(MAX_QUEUED_IMAGES))

    @classmethod
    def ask(cls, path, method="GET"):
        connection = http.client.HTTPConnection(cls.admin_address, timeout=WAIT_S)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def scrape(self):
        status, text = self.ask("/metrics")
        self.assertEqual(status, 200)
        return series_of(text)

    def settled(self):
        """What is there once every answered request is counted in full, which is a moment after its answer."""
        deadline = time.monotonic() + WAIT_S
        while True:
            series = self.scrape()
            answered = sum(value for (name, labels), value in series.items()
                           if name == "calserve_requests_total" and ("code", "OK") in labels
                           and dict(labels)["rpc"] in PREDICTIONS)
            counted = sum(value for (name, _), value in series.items() if name == DURATION + "_count")
            if answered == counted or time.monotonic() > deadline:
                self.assertEqual(answered, counted)
                return series
            time.sleep(0.01)

    def moved(self, before):
        after = self.settled()
        return {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}

    def counted(self, before, family):
        """What moved of a family: {its labels: by how much}."""
        return {labels: value for (name, labels), value in self.moved(before).items()
                if name == family and dict(labels).get("rpc", "Predict") in PREDICTIONS}

    @staticmethod
    def request(rpc, code, model=MODEL, version="1"):
        return key("", model=model, version=version, rpc=rpc, code=code)[1]

    def answer(self, image):
        prediction, = self.json("predict", "--model", MODEL, image)["predictions"]
        return prediction

    def refuse(self, message, *inputs, **options):
        with self.assertRaisesRegex(InferenceServerException, message):
            self.infer(*inputs, **options)


class Counting(AdminTest):
    def test_requests_move_by_exactly_what_was_sent(self):
        before = self.settled()
        for i in range(5):
            self.infer(self.input(self.tensors[i:i + 2]))
        for _ in range(3):
            self.refuse("shape", self.input(self.tensors[:1, :, :5]))
        self.answer(self.images[0])
        self.answer(self.images[1])
        large = numpy.full((1, 1, SIDE, SIDE), 1e4, numpy.float32)
        self.refuse("not finite", self.input(large), model=FAILING)
        self.refuse("decode queue", self.files(self.pixels[:MAX_QUEUED_IMAGES + 1]))
        self.calserve("predict", "--model", MODEL, "--top-k", "11", self.images[0], exits=REFUSED)
        with grpc.insecure_channel(self.address) as channel, self.assertRaisesRegex(grpc.RpcError, "1 to"):
            predict = channel.unary_unary("/calserve.v1.PredictionService/Predict")
            predict(b"\x0a" + bytes([len(MODEL)]) + MODEL.encode())  # PredictRequest{model: MODEL}, without inputs
        self.assertEqual(self.counted(before, "calserve_requests_total"), {
            self.request("ModelInfer", "OK"): 5, self.request("ModelInfer", "INVALID_ARGUMENT"): 3,
            self.request("StreamPredict", "OK"): 2, self.request("StreamPredict", "INVALID_ARGUMENT"): 1,
            self.request("Predict", "INVALID_ARGUMENT"): 1,
            self.request("ModelInfer", "RESOURCE_EXHAUSTED"): 1,
            self.request("ModelInfer", "INTERNAL", model=FAILING): 1})
        moved = self.moved(before)
        of = {"model": MODEL, "version": "1"}
        self.assertEqual(moved[key("calserve_predictions_total", **of)], 12)
        self.assertEqual(moved[key("calserve_batch_rows_sum", **of)], 12)
        self.assertEqual(moved[key("calserve_batch_rows_count", **of)], 7)  # Each was sent after the one before.
        self.assertEqual(moved[key("calserve_batch_rows_bucket", **of, le="1")], 2)
        self.assertEqual(moved[key("calserve_model_errors_total", model=FAILING, version="1")], 1)

    def test_a_deadline_that_has_passed_is_counted_as_such(self):
        before = self.settled()
        self.refuse("(?i)deadline", self.input(self.tensors[:1]), timeout=1)  # µs
        self.assertEqual(self.counted(before, "calserve_requests_total"),
                         {self.request("ModelInfer", "DEADLINE_EXCEEDED"): 1})
        self.assertEqual(self.counted(before, "calserve_queue_drops_total"),
                         {key("", model=MODEL, version="1", reason="expired")[1]: 1})

    def moved_by_images(self, count):
        """What so many requests, one after the other and each of one image, added."""
        before = self.settled()
        for i in range(count):
            self.infer(self.files(self.pixels[i:i + 1]))
        return self.moved(before)

    def test_the_split_is_positive_and_never_more_than_the_whole(self):
        moved = self.moved_by_images(20)
        parts = {dict(labels)["part"]: value for (name, labels), value in moved.items() if name == SPLIT}
        self.assertEqual(set(parts), PARTS)
        self.assertTrue(all(seconds > 0 for seconds in parts.values()), parts)
        of = {"model": MODEL, "version": "1"}
        self.assertEqual(moved[key(DURATION + "_count", **of)], 20)
        self.assertLessEqual(sum(parts.values()), moved[key(DURATION + "_sum", **of)] * (1 + 1e-9))
        self.assertLess(sum(parts.values()) - parts["queue"], moved[key("process_cpu_seconds_total")] + 0.5)
        # One image a request, one request a batch: a share is the whole.
        for part in PARTS - {"receive"}:
            self.assertEqual(moved[key(f"calserve_request_{part}_seconds_count", **of)], 20)
            self.assertAlmostEqual(moved[key(f"calserve_request_{part}_seconds_sum", **of)], parts[part], places=6)

    def test_the_threads_that_predict_take_the_processor_time(self):
        moved = self.moved_by_images(20)
        of = {dict(labels)["threads"]: value for (name, labels), value in moved.items() if name == THREADS}
        self.assertEqual(set(of), {"decode", "grpc", "instance", "other"})
        self.assertTrue(all(of[threads] > 0 for threads in ("decode", "grpc", "instance")), of)
        self.assertAlmostEqual(sum(of.values()), moved[key("process_cpu_seconds_total")], delta=0.05)

    def test_feedback_is_counted_by_its_outcome(self):
        before = self.settled()
        tickets = [self.answer(image)["ticket"] for image in self.images[:3]]
        for ticket in (*tickets, tickets[0]):
            self.calserve("feedback", "--ticket", ticket, "--label", "Bag")
        self.calserve("feedback", "--ticket", tickets[0], "--label", "Coat", exits=REFUSED)
        self.calserve("feedback", "--ticket", tickets[0], "--label", "Hat", exits=REFUSED)
        moved = self.moved(before)
        self.assertEqual(self.counted(before, "calserve_feedback_labels_total"),
                         {(("outcome", "accepted"),): 3, (("outcome", "duplicate"),): 1, (("outcome", "rejected"),): 2})
        self.assertEqual(moved[key("calserve_feedback_label_conflicts_total")], 1)
        self.assertEqual(moved[key("calserve_feedback_label_delay_seconds_count")], 3)
        self.assertGreater(moved[key("calserve_feedback_label_delay_seconds_sum")], 0)
        self.assertEqual(moved[key("calserve_store_commit_seconds_count")], 5)  # "Hat" is no class: not stored.

    def test_names_that_are_not_served_add_no_series(self):
        self.refuse("unknown model", self.input(self.tensors[:1]), model="never")
        before = self.settled()
        for i in range(50):
            self.refuse("unknown model", self.input(self.tensors[:1]), model=f"unknown {i}")
        self.assertEqual(set(self.settled()), set(before))
        self.assertEqual(self.counted(before, "calserve_requests_total"),
                         {self.request("ModelInfer", "NOT_FOUND", model="", version=""): 50})

    def test_the_process_is_as_the_kernel_sees_it(self):
        series = self.scrape()
        proc = pathlib.Path("/proc") / str(self.server.pid)
        resident_kb = next(int(line.split()[1]) for line in (proc / "status").read_text().splitlines()
                           if line.startswith("VmRSS"))
        self.assertAlmostEqual(series[key("process_resident_memory_bytes")] / 1024 / resident_kb, 1, delta=0.1)
        self.assertAlmostEqual(series[key("process_open_fds")], len(list((proc / "fd").iterdir())), delta=5)
        ticks = [int(field) for field in (proc / "stat").read_text().rpartition(")")[2].split()[11:13]]
        self.assertAlmostEqual(series[key("process_cpu_seconds_total")], sum(ticks) / 100, delta=0.5)
        self.assertAlmostEqual(series[key("process_start_time_seconds")], time.time(), delta=WAIT_S * 10)
        self.assertIn(key("calserve_ready"), series)


class Overloading(AdminTest):
    server_flags = ("--batching-max-queue-rows", "32")

    def test_every_refusal_is_counted(self):
        before = self.settled()
        outcomes = queue.Queue()
        tensor = self.input(self.tensors[:32])
        for _ in range(150):
            self.client.async_infer(MODEL, [tensor], lambda result, error: outcomes.put(error))
        refused = sum(outcomes.get(timeout=WAIT_S) is not None for _ in range(150))
        self.assertGreater(refused, 0)
        self.assertEqual(self.counted(before, "calserve_requests_total"),
                         {self.request("ModelInfer", "OK"): 150 - refused,
                          self.request("ModelInfer", "RESOURCE_EXHAUSTED"): refused})
        self.assertEqual(self.counted(before, "calserve_queue_drops_total"),
                         {key("", model=MODEL, version="1", reason="refused")[1]: refused})
        series = self.settled()
        for gauge in ("queue_rows", "queue_bytes", "instances_busy"):
            self.assertEqual(series[key(f"calserve_{gauge}", model=MODEL, version="1")], 0, gauge)
        self.assertEqual(self.counted(before, "calserve_batch_turn_wait_seconds_total"), {})


class TakingTurns(AdminTest):
    """Two models of which one runs a batch at a time."""
    server_flags = ("--batching-batches-per-device", "1")

    def test_both_are_answered_and_their_waits_are_counted(self):
        outcomes = queue.Queue()
        tensor = self.input(self.tensors[:8])
        waits = [key("calserve_batch_turn_wait_seconds_total", model=model, version="1") for model in (MODEL, BINARY)]
        deadline = time.monotonic() + WAIT_S
        while not all(self.settled()[wait] > 0 for wait in waits):
            self.assertLess(time.monotonic(), deadline)
            for _ in range(30):
                for model in (MODEL, BINARY):
                    self.client.async_infer(model, [tensor], lambda result, error: outcomes.put(error))
            self.assertEqual([outcomes.get(timeout=WAIT_S) for _ in range(60)], [None] * 60)


class Reading(AdminTest):
    def test_prometheus_tools_find_no_fault(self):
        self.infer(self.input(self.tensors[:1]))
        text = self.ask("/metrics")[1]
        types = {}
        for family in text_string_to_metric_families(text):
            self.assertNotIn(family.name, types)
            self.assertTrue(family.documentation, family.name)
            self.assertTrue(family.samples, family.name)
            types[family.name] = family.type
        self.assertNotIn("unknown", types.values())
        promtool = shutil.which("promtool")
        if promtool is None:
            self.skipTest("promtool (Debian's package prometheus) is not here; its parser's reading was checked")
        run = subprocess.run([promtool, "check", "metrics"], input=text.encode(), capture_output=True, check=False)
        self.assertEqual((run.returncode, run.stdout, run.stderr), (0, b"", b""))

    def test_what_else_is_asked_for_is_refused(self):
        self.assertEqual(self.ask("/healthz")[0], 200)
        self.assertEqual(self.ask("/readyz"), (200, "ready\n"))
        self.assertEqual(self.ask("/nothing")[0], 404)
        self.assertEqual(self.ask("/metrics", method="POST")[0], 405)

    def test_an_address_that_is_taken_ends_the_start_with_4(self):
        command = [OPTIONS.server, "--model-repository", self.models(), "--listen", "127.0.0.1:0", "--admin-listen",
                   self.admin_address, "--data-dir", self.scratch / "second"]
        run = subprocess.run(command, env=command_test.ENVIRONMENT, timeout=WAIT_S, capture_output=True, check=False)
        self.assertEqual(run.returncode, 4, run.stderr)
        self.assertIn(f"cannot listen on {self.admin_address} (admin_listen)", run.stderr.decode())


class Withdrawing(AdminTest):
    def test_the_series_of_a_version_go_with_it_and_start_anew(self):
        self.infer(self.input(self.tensors[:1]), model=BINARY)

        def binary():
            return {name: value for name, value in self.settled().items() if ("model", BINARY) in name[1]}
        self.assertEqual(binary()[key("calserve_predictions_total", model=BINARY, version="1")], 1)
        others = {name for name in self.settled() if ("model", MODEL) in name[1]}
        self.client.unload_model(BINARY)
        deadline = time.monotonic() + WAIT_S
        while set(binary()) == {key(STATE, model=BINARY, version="1", state="UNLOADING", failed="false")}:
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(binary(), {})
        self.assertEqual({name for name in self.settled() if ("model", MODEL) in name[1]}, others)
        self.client.load_model(BINARY)
        self.assertEqual(binary()[key("calserve_predictions_total", model=BINARY, version="1")], 0)


class Rollout(AdminTest):
    """Of a second version, which cannot be loaded at first."""
    server_flags = ("--repository-control", "poll", "--repository-poll-interval", "100ms")

    @classmethod
    def models(cls):
        return cls.models_with_a_broken_version()

    def wait_for_states(self, expected):
        """{version: its state, and whether it is at fault} of MODEL."""
        deadline = time.monotonic() + WAIT_S
        while True:
            labels = [dict(labels) for name, labels in self.scrape() if name == STATE]
            states = {of["version"]: (of["state"], of["failed"]) for of in labels if of["model"] == MODEL}
            if states == expected:
                return
            self.assertLess(time.monotonic(), deadline, states)
            time.sleep(0.05)

    def test_a_version_that_fails_is_shown_until_it_is_mended_or_removed(self):
        model = self.scratch / "models" / MODEL
        self.wait_for_states({"1": ("READY", "false"), "2": ("FAILED", "true")})
        (model / "2" / "calibrator.json").unlink()
        self.wait_for_states({"2": ("READY", "false")})  # The one before it is not wanted any more.
        (model / "2" / "calibrator.json").write_text("{", encoding="utf-8")
        self.wait_for_states({"2": ("READY", "true")})  # as it was loaded before
        shutil.rmtree(model / "2")
        self.wait_for_states({"1": ("READY", "false")})

    def test_a_model_whose_directory_is_wrong_is_shown_without_a_version(self):
        settings = self.scratch / "models" / MODEL / "model.yaml"
        right = settings.read_text(encoding="utf-8")
        self.addCleanup(settings.write_text, right, encoding="utf-8")
        settings.write_text(right + "nonsense: 1\n", encoding="utf-8")
        deadline = time.monotonic() + WAIT_S
        broken = key(STATE, model=MODEL, version="", state="FAILED", failed="true")
        while broken not in self.scrape():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        settings.write_text(right, encoding="utf-8")
        while broken in self.scrape():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)


class Calibration(AdminTest):
    WINDOW = "last_1000"
    server_flags = ()

    def test_gauges_are_what_the_report_says(self):
        of = {"model": MODEL, "version": "1", "calibrator": "0", "window": self.WINDOW}
        self.assertEqual(self.scrape()[key("calserve_calibration_labels", **of)], 0)
        self.assertNotIn(key("calserve_calibration_ece", **of), self.scrape())
        self.json("evaluate", "--model", MODEL, self.list)
        deadline = time.monotonic() + WAIT_S
        while self.scrape()[key("calserve_calibration_labels", **of)] < command_test.IMAGES:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        report = self.json("report", "--model", MODEL, "--window", self.WINDOW, "--calibrator-version", "0")["served"]
        series = self.scrape()
        for gauge, figure in (("labels", "n"), ("ece", "ece"), ("ece_low", "ece_low"), ("ece_high", "ece_high"),
                              ("ece_noise_floor", "noise_floor"), ("mce", "mce"), ("nll", "nll"),
                              ("accuracy", "accuracy")):
            self.assertAlmostEqual(series[key(f"calserve_calibration_{gauge}", **of)], report[figure], places=6,
                                   msg=gauge)
        self.assertAlmostEqual(series[key("calserve_calibration_confidence_gap", **of)],
                               report["mean_confidence"] - report["accuracy"], places=6)


class Damaged(AdminTest):
    """A store with a row that is none: windows cannot be had from it, and predictions can."""
    server_flags = ()

    def test_labels_that_cannot_be_folded_are_in_the_log_and_in_the_metrics(self):
        fails, behind = key("calserve_monitoring_failing", what="fold"), key("calserve_monitoring_catching_up")
        self.json("evaluate", "--model", MODEL, self.list)
        self.assertEqual((self.scrape()[fails], self.scrape()[behind]), (0, 0))
        self.server.terminate()
        self.assertEqual(self.server.wait(WAIT_S), DONE)
        with contextlib.closing(sqlite3.connect(self.scratch / "data" / "calserve.db")) as store, store:
            store.execute("UPDATE feedback SET prediction_id = x'00' WHERE position = 3")
            store.execute("DELETE FROM checkpoints WHERE name NOT LIKE 'class_names%' AND name NOT LIKE 'model/%'")
        self.start_server()
        deadline = time.monotonic() + WAIT_S
        log = self.scratch / "server.log"
        while "monitoring fails; it is tried again" not in log.read_text(encoding="utf-8"):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        self.assertEqual((self.scrape()[fails], self.scrape()[behind]), (1, 1))
        self.json("predict", "--model", MODEL, self.images[0])


class Draining(AdminTest):
    server_flags = ("--grpc-lame-duck", "2s")

    def test_metrics_are_read_and_readiness_is_gone_while_the_server_drains(self):
        self.assertEqual(self.ask("/readyz")[0], 200)
        self.infer(self.input(self.tensors[:1]))
        self.server.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + WAIT_S
        while (ready := self.ask("/readyz"))[0] == 200:
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(ready, (503, "not ready: stopping\n"))
        self.assertEqual(self.ask("/healthz")[0], 200)
        series = self.scrape()
        self.assertEqual(series[key("calserve_ready")], 0)
        self.assertEqual(series[key("calserve_predictions_total", model=MODEL, version="1")], 1)
        self.assertEqual(self.server.wait(WAIT_S), DONE)
        with self.assertRaises(OSError):
            self.ask("/healthz")


if __name__ == "__main__":
    kserve_testing.main()
