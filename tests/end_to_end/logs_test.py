"""What a live calserve-server logs: JSON lines on a pipe, ids that can be followed, a bounded number, and no secrets.

    logs_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import collections
import contextlib
import http.client
import json
import os
import pty
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import command_test
import kserve_testing  # Before gRPC, whose environment it sets.

import grpc

from contract import Contract
from command_test import ENVIRONMENT, MODEL, OPTIONS, WAIT_S
from metrics_test import series_of

JSON_ENVIRONMENT = {key: value for key, value in ENVIRONMENT.items() if key != "CALSERVE_LOG_FORMAT"}
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
PREDICT = "/calserve.v1.PredictionService/Predict"
LINES_PER_SECOND = 5
# A line feed, terminal controls, a C1 control, Unicode's line ends, a writing direction.
ATTACK = 'x","level":"error"}\n{"time":"1","level":"critical","message":"forged"}\r\x1b[2J\x9b\x85\u2028\u2029\u202e'


class LogTest(command_test.LiveServerTest):
    """The server's standard error is a pipe, read here line by line."""
    admin_listen = "127.0.0.1:0"

    @classmethod
    def start_server(cls):
        cls.raw, cls.arrived = [], threading.Condition()
        command = [OPTIONS.server, "--model-repository", OPTIONS.models, "--listen", "127.0.0.1:0", "--admin-listen",
                   cls.admin_listen, "--data-dir", cls.scratch / "data", *cls.server_flags]
        cls.server = subprocess.Popen(command, env=JSON_ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                      preexec_fn=command_test.die_with_the_test)
        cls.addClassCleanup(cls.server.stderr.close)
        cls.reader = threading.Thread(target=cls.read)
        cls.reader.start()
        cls.addClassCleanup(cls.reader.join)
        cls.addClassCleanup(cls.server.wait)
        cls.addClassCleanup(cls.server.kill)
        cls.address = cls.wait_for_line(message="serving")["address"]
        cls.admin_address = cls.wait_for_line(message="admin")["address"]
        cls.channel = grpc.insecure_channel(cls.address)
        cls.addClassCleanup(cls.channel.close)

    @classmethod
    def read(cls):
        for line in cls.server.stderr:
            with cls.arrived:
                cls.raw.append(line)
                cls.arrived.notify_all()

    @classmethod
    def lines(cls, since=0):
        """What was logged, parsed; a line that is not JSON fails here."""
        with cls.arrived:
            return [json.loads(line) for line in cls.raw[since:]]

    @classmethod
    def wait_for_line(cls, since=0, **fields):
        deadline = time.monotonic() + WAIT_S
        while True:
            found = [line for line in cls.lines(since) if fields.items() <= line.items()]
            if found:
                return found[0]
            if time.monotonic() > deadline or cls.server.poll() is not None:
                raise AssertionError(f"no line with {fields} in\n" + b"".join(cls.raw[since:]).decode(errors="replace"))
            with cls.arrived:
                cls.arrived.wait(0.1)

    def call(self, path, request=b"", metadata=()):
        """Code, request id of the answer's metadata."""
        call = self.channel.stream_stream(path)(iter([request]), metadata=metadata, timeout=WAIT_S)
        try:
            for _ in call:
                pass
        except grpc.RpcError:
            pass
        ids = [value for key, value in [*(call.initial_metadata() or ()), *(call.trailing_metadata() or ())]
               if key == "x-request-id"]
        self.assertEqual(len(ids), 1, path)
        return call.code(), ids[0]

    def set_level(self, level):
        self.calserve("log-level", "set", level)
        self.addCleanup(self.calserve, "log-level", "set", "info")

    def scrape(self):
        return {labels: value for (name, labels), value in series_of(self.get("/metrics")[1]).items()
                if name == "calserve_requests_total"}

    def get(self, path, headers=()):
        connection = http.client.HTTPConnection(self.admin_address, timeout=WAIT_S)
        try:
            connection.putrequest("GET", path)
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            return response.headers["X-Request-Id"], response.read().decode()
        finally:
            connection.close()


class LinesTest(LogTest):
    def test_every_line_is_a_json_object_with_time_level_and_message(self):
        self.set_level("debug")
        self.call(PREDICT)
        self.wait_for_line(rpc=PREDICT[1:], code="NOT_FOUND")
        for line in self.lines():
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
            self.assertIn(line["level"], ("debug", "info", "warn", "error", "critical"))
            self.assertTrue(line["message"])

    def test_the_ids_of_the_caller_come_back_and_are_in_the_line(self):
        self.set_level("debug")
        inputs = {"model": MODEL, "inputs": [{"encoded_image": self.images[0].read_bytes()}]}
        good = Contract(self.channel).message("calserve.v1.PredictRequest", **inputs).SerializeToString()
        for number, (path, request, code) in enumerate((
                (PREDICT, good, "OK"), (PREDICT, b"", "NOT_FOUND"),
                ("/calserve.v1.PredictionService/StreamPredict", b"", "OK"),
                ("/calserve.v1.FeedbackService/StreamFeedback", b"", "INVALID_ARGUMENT"),
                ("/calserve.v1.CalibrationService/WatchCalibration", b"", "NOT_FOUND"),
                ("/inference.GRPCInferenceService/ServerLive", b"", "OK"))):
            asked = f"caller/{number}"
            got, returned = self.call(path, request, [("x-request-id", asked), ("traceparent", TRACEPARENT),
                                                      ("tracestate", "congo=t61rcWkgMzE")])
            self.assertEqual((got.name, returned), (code, asked), path)
            line = self.wait_for_line(request_id=asked, rpc=path[1:], code=code)
            self.assertEqual((line["trace_id"], line["parent_span_id"]), (TRACE, PARENT))
            self.assertEqual(line["tracestate"], "congo=t61rcWkgMzE")
            self.assertRegex(line["span_id"], "^[0-9a-f]{16}$")
            self.assertNotEqual(line["span_id"], PARENT)

    def test_ids_are_made_where_there_are_none_or_they_are_malformed(self):
        self.set_level("debug")
        seen = set()
        for metadata in ((), [("x-request-id", "a b"), ("traceparent", TRACEPARENT.upper())],
                         [("x-request-id", "x" * 129), ("traceparent", "ff" + TRACEPARENT[2:])],
                         [("x-request-id", ""), ("traceparent", f"00-{'0' * 32}-{PARENT}-01")],
                         [("x-request-id", "one"), ("x-request-id", "two"),
                          ("traceparent", TRACEPARENT + "-more")]):
            _, request_id = self.call(PREDICT, metadata=metadata)
            self.assertRegex(request_id, "^[0-9a-f]{32}$")
            line = self.wait_for_line(request_id=request_id)
            self.assertRegex(line["trace_id"], "^[0-9a-f]{32}$")
            self.assertNotEqual(line["trace_id"], TRACE, metadata)
            self.assertNotIn("parent_span_id", line)
            seen |= {request_id, line["trace_id"]}
        self.assertEqual(len(seen), 10)

    def test_the_admin_port_has_ids_too(self):
        self.set_level("debug")
        request_id, _ = self.get("/healthz", (("X-Request-Id", "probe-1"), ("traceparent", TRACEPARENT)))
        self.assertEqual(request_id, "probe-1")
        line = self.wait_for_line(request_id="probe-1")
        self.assertEqual((line["path"], line["status"], line["trace_id"]), ("/healthz", 200, TRACE))
        # gRPC's own client sends one traceparent, whatever it is given.
        request_id, _ = self.get("/healthz", (("X-Request-Id", "one"), ("X-Request-Id", "two"),
                                              ("traceparent", TRACEPARENT), ("traceparent", TRACEPARENT)))
        self.assertRegex(request_id, "^[0-9a-f]{32}$")
        self.assertNotEqual(self.wait_for_line(request_id=request_id)["trace_id"], TRACE)
        request_id, _ = self.get("/healthz?token=SECRET-QUERY")
        self.wait_for_line(request_id=request_id)
        self.assertNotIn(b"SECRET-QUERY", b"".join(self.raw))

    def test_the_level_changes_at_run_time_by_an_audited_call(self):
        self.assertEqual(self.calserve("log-level", "get")[0], "info\n")
        model = Contract(self.channel).message("calserve.v1.GetModelRequest", model=MODEL).SerializeToString()
        path = "/calserve.v1.ModelService/GetModel"
        _, quiet = self.call(path, model)
        self.assertIn("was info", self.calserve("log-level", "set", "debug")[0])
        change = self.wait_for_line(message="audit", before="info", after="debug")
        self.assertEqual((change["action"], change["outcome"], change["logger"]),
                         ("calserve.v1.ServerService/SetLogLevel", "OK", "audit"))
        self.assertRegex(change["request_id"], "^[0-9a-f]{32}$")
        _, loud = self.call(path, model)
        self.wait_for_line(request_id=loud, model=MODEL, version=1, code="OK")
        self.assertEqual([line for line in self.lines() if line.get("request_id") == quiet], [])
        self.calserve("log-level", "set", "error")
        since = len(self.raw)
        self.call(PREDICT)
        out = json.loads(self.calserve("log-level", "set", "info", "--json")[0])
        self.assertEqual(out, {"level": "info", "previous": "error"})
        self.wait_for_line(since, message="audit", after="info")  # The audit log has no level.
        self.assertEqual([line for line in self.lines(since) if line["message"] != "audit"], [])
        self.calserve("log-level", "set", "loud", exits=command_test.USAGE)

    def test_a_flood_of_failures_is_a_few_lines_a_second_and_a_count(self):
        calls, path = 400, "/inference.GRPCInferenceService/TraceSetting"
        time.sleep(1.1)
        _, last_before = self.call(path)  # Its line has what other tests left.
        self.wait_for_line(request_id=last_before)
        since = len(self.raw)
        began = time.monotonic()
        for _ in range(calls):
            self.call(path)
        seconds = int(time.monotonic() - began) + 2
        time.sleep(1.1)
        self.call(path)
        last = collections.deque(maxlen=1)
        self.wait_for_line(since, rpc=path[1:], code="UNIMPLEMENTED")
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            lines = [line for line in self.lines(since) if line.get("rpc") == path[1:]]
            last.append(lines[-1])
            if sum(line.get("suppressed", 0) for line in lines) + len(lines) == calls + 1:
                break
            time.sleep(0.05)
        self.assertEqual(sum(line.get("suppressed", 0) for line in lines) + len(lines), calls + 1)
        self.assertLessEqual(len(lines), LINES_PER_SECOND * seconds + 1)
        self.assertGreater(last[0].get("suppressed", 0), 0)

    def test_texts_that_are_not_utf8_are_a_few_lines_and_json(self):
        since, name = len(self.raw), b"\x0a\x03\xff\xfe\x00"
        infer = self.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        began = time.monotonic()
        for _ in range(100):
            with self.assertRaises(grpc.RpcError) as refused:
                infer(name)
            self.assertEqual(refused.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        seconds = int(time.monotonic() - began) + 2
        self.wait_for_line(since, message="Protobuf", level="warn")
        lines = [line for line in self.lines(since) if line["message"] == "Protobuf"]
        self.assertIn("invalid UTF-8", lines[0]["error"])
        self.assertLessEqual(len(lines), LINES_PER_SECOND * seconds)

    def test_a_call_of_every_method_is_counted_once_by_its_code(self):
        walked = 0
        for service, method in Contract(self.channel).methods():
            before = self.scrape()
            code, _ = self.call(f"/{service}/{method.name}")
            moved = {}
            deadline = time.monotonic() + WAIT_S
            while not moved and time.monotonic() < deadline:
                moved = {labels: value - before.get(labels, 0) for labels, value in self.scrape().items()
                         if value != before.get(labels, 0)}
            (labels, by), = moved.items()
            labels = dict(labels)
            self.assertEqual((labels["rpc"], by), (method.name, 1))
            self.assertEqual((labels["model"], labels["version"]), ("", ""), "an unknown model is no label")
            if method.name in ("StreamPredict", "ModelStreamInfer"):  # Their messages are counted, and fail alone.
                self.assertEqual((code.name, labels["code"]), ("OK", "NOT_FOUND"))
            else:
                self.assertEqual(labels["code"], code.name, method.name)
            walked += 1
        self.assertGreaterEqual(walked, 38)

    def test_a_call_about_a_model_is_counted_with_its_version(self):
        contract = Contract(self.channel)
        for path, kind, field in (
                ("calserve.v1.CalibrationService/ListCalibrators", "calserve.v1.ListCalibratorsRequest", "model"),
                ("calserve.v1.CalibrationService/GetCalibrationReport", "calserve.v1.GetCalibrationReportRequest",
                 "model"),
                ("calserve.v1.ModelService/GetModel", "calserve.v1.GetModelRequest", "model"),
                ("inference.GRPCInferenceService/ModelMetadata", "inference.ModelMetadataRequest", "name"),
                ("inference.GRPCInferenceService/ModelReady", "inference.ModelReadyRequest", "name")):
            request = contract.message(kind)
            setattr(request, field, MODEL)
            key = tuple(sorted({"model": MODEL, "version": "1", "rpc": path.split("/")[1], "code": "OK"}.items()))
            before = self.scrape().get(key, 0)
            code, _ = self.call("/" + path, request.SerializeToString())
            self.assertEqual(code.name, "OK", path)
            self.assertEqual(self.scrape().get(key, 0), before + 1, path)

    def test_nothing_from_outside_can_forge_a_line(self):
        self.set_level("debug")
        contract, since = Contract(self.channel), len(self.raw)
        predict = contract.message("calserve.v1.PredictRequest", model=ATTACK).SerializeToString()
        load = contract.message("inference.RepositoryModelLoadRequest", model_name=ATTACK).SerializeToString()
        sneaky = '"}{"level":"critical'
        _, first = self.call(PREDICT, predict, [("x-request-id", sneaky), ("traceparent", sneaky),
                                                ("tracestate", sneaky)])
        _, second = self.call("/inference.GRPCInferenceService/RepositoryModelLoad", load)
        # HTTP lets more bytes through than gRPC.
        third, _ = self.get("/%0aforged%1b%c2%85%e2%80%a8%ff",
                            (("X-Request-Id", "a\x85\x9b\xff"), ("traceparent", "\x85")))
        self.assertEqual(self.wait_for_line(since, request_id=first)["model"], ATTACK)
        self.assertEqual(self.wait_for_line(since, request_id=second, message="audit")["model"], ATTACK)
        self.wait_for_line(since, request_id=third, status=404)
        with self.arrived:
            raw = list(self.raw[since:])
        for line in raw:
            text = line.decode("utf-8")  # Raises where it is not UTF-8.
            self.assertNotRegex(text[:-1], "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202e]")
            self.assertNotEqual(json.loads(text)["level"], "critical")
            self.assertNotEqual(json.loads(text)["message"], "forged")

    def test_no_label_and_no_attribute_value_is_logged_whatever_is_wrong_with_it(self):
        self.set_level("debug")
        contract, since = Contract(self.channel), len(self.raw)
        image = self.images[0].read_bytes()
        attribute = {"key": "SECRET-KEY", "value": "SECRET-VALUE"}
        for path, kind, fields in (
                (PREDICT, "calserve.v1.PredictRequest",
                 {"model": MODEL, "inputs": [{"encoded_image": image, "attributes": [attribute]}]}),
                (PREDICT, "calserve.v1.PredictRequest",
                 {"model": MODEL, "inputs": [{"encoded_image": b"SECRET-IMAGE", "attributes": [attribute]}]}),
                ("/calserve.v1.FeedbackService/SubmitFeedback", "calserve.v1.SubmitFeedbackRequest",
                 {"items": [{"ticket": b"SECRET-TICKET", "class_name": "SECRET-LABEL"}]}),
                ("/calserve.v1.CalibrationService/GetCalibrationReport", "calserve.v1.GetCalibrationReportRequest",
                 {"model": MODEL, "slice": {"key": "SECRET-KEY", "value": "SECRET-VALUE"}}),
                ("/calserve.v1.CalibrationService/AcknowledgeAlarm", "calserve.v1.AcknowledgeAlarmRequest",
                 {"model": MODEL, "slice": {"key": "SECRET-KEY", "value": "SECRET-VALUE"}})):
            _, request_id = self.call(path, contract.message(kind, **fields).SerializeToString())
            self.wait_for_line(since, request_id=request_id)
        with self.arrived:
            self.assertNotIn(b"SECRET", b"".join(self.raw[since:]))


class EndTest(LogTest):
    def test_the_drain_is_logged_and_still_json(self):
        self.server.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(WAIT_S), 0)
        self.reader.join()
        self.assertEqual(self.lines()[-1]["message"], "stopped")
        self.assertEqual([line["signal"] for line in self.lines() if line["message"] == "stopping"], ["Terminated"])


class ClosedTest(unittest.TestCase):
    @staticmethod
    def open_files(files):
        """What the server has open, without what it closes meanwhile."""
        for file in os.listdir(files):
            with contextlib.suppress(FileNotFoundError):
                yield os.readlink(f"{files}/{file}")

    def test_the_log_of_a_closed_standard_error_goes_into_no_file_of_the_server(self):
        with tempfile.TemporaryDirectory() as folder:
            command = ["sh", "-c", 'exec "$@" <&- 2>&-', "sh", OPTIONS.server, "--model-repository", OPTIONS.models,
                       "--listen", "127.0.0.1:0", "--data-dir", folder]
            server = subprocess.Popen(command, env=JSON_ENVIRONMENT, stdout=subprocess.DEVNULL,
                                      preexec_fn=command_test.die_with_the_test)
            self.addCleanup(server.kill)
            files = f"/proc/{server.pid}/fd"
            deadline = time.monotonic() + WAIT_S
            while not any("calserve.db" in file for file in self.open_files(files)):
                self.assertLess(time.monotonic(), deadline)
                self.assertIsNone(server.poll())
                time.sleep(0.01)
            self.assertEqual([os.readlink(f"{files}/{file}") for file in (0, 2)], ["/dev/null"] * 2)
            server.send_signal(signal.SIGKILL)
            server.wait(WAIT_S)


class FormatTest(unittest.TestCase):
    """Of a server that cannot start."""
    COMMAND = ("--model-repository", "/nonexistent/models", "--data-dir")

    def refused(self, *flags, environment=JSON_ENVIRONMENT):
        with tempfile.TemporaryDirectory() as folder:
            run = subprocess.run([OPTIONS.server, *self.COMMAND, folder, *flags], env=environment, timeout=WAIT_S,
                                 capture_output=True, check=False)
        self.assertNotEqual(run.returncode, 0)
        self.assertEqual(run.stdout, b"")
        return run.stderr.decode()

    def test_what_keeps_it_from_starting_is_json_on_a_pipe(self):
        for flags in ((), ("--log-level", "loud"), ("--nonsense",)):
            for line in self.refused(*flags).splitlines():
                self.assertEqual(json.loads(line)["level"], "critical", flags)

    def test_text_can_be_asked_for_by_flag_or_variable(self):
        line = r"^\d{4}-\d\d-\d\dT[0-9:.]+Z critical cannot start: "
        self.assertRegex(self.refused("--log-format", "text"), line)
        self.assertRegex(self.refused(environment={**JSON_ENVIRONMENT, "CALSERVE_LOG_FORMAT": "text"}), line)
        self.assertRegex(self.refused("--nonsense", environment={**JSON_ENVIRONMENT, "CALSERVE_LOG_FORMAT": "text"}),
                         line)

    def test_text_is_the_format_on_a_terminal_and_json_can_be_asked_for_there(self):
        for flags, starts in (((), r"\d{4}-"), (("--log-format", "json"), r"\{")):
            ours, theirs = pty.openpty()
            with tempfile.TemporaryDirectory() as folder:
                run = subprocess.run([OPTIONS.server, *self.COMMAND, folder, *flags], env=JSON_ENVIRONMENT,
                                     timeout=WAIT_S, stderr=theirs, check=False)
            os.close(theirs)
            text = os.read(ours, 1 << 16).decode()
            os.close(ours)
            self.assertNotEqual(run.returncode, 0)
            self.assertRegex(text, "^" + starts)


if __name__ == "__main__":
    kserve_testing.main()
