"""Messages that are no messages, on a live calserve-server: they are looked at once the caller may call, and are an error,
never the end of a stream; and a compressed one takes no more memory than one that is not.

    unreadable_messages_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import pathlib
import random
import re
import threading

import kserve_testing  # Before gRPC, whose environment it sets.

import grpc

from access_test import OPEN
from access_testing import AccessTest, message_field, predict_request
from command_test import MODEL, WAIT_S
from contract import Contract

PREDICT, STREAM_PREDICT = (f"/calserve.v1.PredictionService/{name}" for name in ("Predict", "StreamPredict"))
SUBMIT, STREAM_FEEDBACK = (f"/calserve.v1.FeedbackService/{name}" for name in ("SubmitFeedback", "StreamFeedback"))
FIT = "/calserve.v1.CalibrationService/FitCalibrator"
INFER, STREAM_INFER = (f"/inference.GRPCInferenceService/{name}" for name in ("ModelInfer", "ModelStreamInfer"))
# By method: what it is to be sent, and the fields that lead to a string of it.
MESSAGES = {PREDICT: ("calserve.v1.PredictRequest", 1), STREAM_PREDICT: ("calserve.v1.StreamPredictRequest", 2, 1),
            SUBMIT: ("calserve.v1.SubmitFeedbackRequest", 2), STREAM_FEEDBACK: ("calserve.v1.StreamFeedbackRequest", 3),
            FIT: ("calserve.v1.FitCalibratorRequest", 1, 1), INFER: ("inference.ModelInferRequest", 1),
            STREAM_INFER: ("inference.ModelInferRequest", 1)}
# Not supported, so that what they are sent does not matter.
UNSUPPORTED = ("SystemSharedMemoryStatus", "SystemSharedMemoryRegister", "SystemSharedMemoryUnregister",
               "CudaSharedMemoryStatus", "CudaSharedMemoryRegister", "CudaSharedMemoryUnregister", "TraceSetting",
               "LogSettings")
NO_FIELD = b"\xff\xff"
LARGEST = 4 << 20


def unreadable(path):
    """What is no message of the method: cut off; no field; with a string that is not UTF-8."""
    text = b"\xff"
    for number in reversed(MESSAGES[path][1:]):
        text = message_field(number, text)
    return b"\x0a\x7f\x01", NO_FIELD, text


class UnreadableMessages(AccessTest):
    @classmethod
    def flags(cls):
        return ("--access-tokens-file", cls.dir / "tokens", "--grpc-reflection", "on", "--grpc-max-message-bytes",
                "4MiB")

    def metadata(self, token="all"):
        return [("authorization", f"Bearer {self.tokens[token]}")] if token else []

    def refused(self, call):
        with self.assertRaises(grpc.RpcError) as raised:
            call()
        return raised.exception

    def assert_unreadable(self, error, message):
        self.assertEqual(error.code(), grpc.StatusCode.INVALID_ARGUMENT, error)
        self.assertIn(f"cannot be read as {message}", error.details())
        self.assertIn(b"MESSAGE_UNREADABLE", dict(error.trailing_metadata())["grpc-status-details-bin"])

    def counted(self, rpc):
        """How many calls, of no model that is served, /metrics says to have failed so."""
        line = re.search(rf'^calserve_requests_total{{model="",version="",rpc="{rpc}",code="INVALID_ARGUMENT"}} (\d+)$',
                         self.body("/metrics", self.tokens["read"]), re.MULTILINE)
        return int(line[1]) if line else 0

    def test_a_call_is_told_what_it_should_have_been(self):
        channel = self.channel()
        before = self.counted("ModelInfer")
        for path in (PREDICT, SUBMIT, INFER):
            for body in unreadable(path):
                call = channel.unary_unary(path)
                error = self.refused(lambda: call(body, metadata=self.metadata(), timeout=WAIT_S))
                self.assert_unreadable(error, MESSAGES[path][0])
                self.assertIn("x-request-id", dict(error.initial_metadata()))
                # Who may not call learns nothing of it.
                for token, code in ((None, "UNAUTHENTICATED"), ("read", "PERMISSION_DENIED")):
                    error = self.refused(lambda: call(body, metadata=self.metadata(token), timeout=WAIT_S))
                    self.assertEqual(error.code().name, code)
        self.assertEqual(self.counted("ModelInfer"), before + len(unreadable(INFER)))

    def test_every_method_looks_at_a_message_once_its_caller_may_call(self):
        channel = self.channel()
        methods = [(f"/{service}/{method.name}", method) for service, method in Contract(channel).methods()]
        self.assertLess(set(MESSAGES), {path for path, _ in methods})
        for path, method in methods:
            with self.subTest(path):
                if method.name in OPEN:
                    self.assertEqual(self.call(channel, path, NO_FIELD), grpc.StatusCode.OK)
                    continue
                self.assertEqual(self.call(channel, path, NO_FIELD), grpc.StatusCode.UNAUTHENTICATED)
                call = channel.stream_stream(path)  # Of any kind of method, as on the wire they are one.
                error = self.refused(lambda: list(call(iter([NO_FIELD]), metadata=self.metadata(), timeout=WAIT_S)))
                if method.name in UNSUPPORTED:
                    self.assertEqual(error.code(), grpc.StatusCode.UNIMPLEMENTED)
                else:
                    self.assert_unreadable(error, method.input_type.full_name)

    def test_a_stream_ends_with_an_error_and_answers_what_came_before(self):
        channel = self.channel()
        contract = Contract(channel)
        image = self.images[0].read_bytes()
        infer = contract.message("inference.ModelInferRequest", model_name=MODEL)
        infer.inputs.add(name="image", datatype="BYTES", shape=[1])
        infer.raw_input_contents.append(len(image).to_bytes(4, "little") + image)
        before = {rpc: self.counted(rpc) for rpc in ("StreamPredict", "ModelStreamInfer")}
        for path, first in ((STREAM_PREDICT, b"\x08\x01" + message_field(2, predict_request(image))),
                            (STREAM_INFER, infer.SerializeToString()), (STREAM_FEEDBACK, None)):
            for body in unreadable(path):
                answers, answered = [], threading.Event()

                def sent(first=first, body=body, answered=answered):
                    if first is not None:
                        yield first
                        answered.wait(WAIT_S)
                    yield body
                    yield first or body

                stream = channel.stream_stream(path)(sent(), metadata=self.metadata(), timeout=WAIT_S)

                def read(stream=stream, answers=answers, answered=answered):
                    for answer in stream:
                        answers.append(answer)
                        answered.set()

                error = self.refused(read)
                self.assert_unreadable(error, MESSAGES[path][0])
                self.assertIn(f"message {1 if first is None else 2} of the stream", error.details())
                self.assertEqual(len(answers), 0 if first is None else 1)
        for rpc, count in before.items():
            self.assertEqual(self.counted(rpc), count + len(unreadable(STREAM_PREDICT)), rpc)

    def test_what_the_model_still_has_when_the_error_comes_is_answered(self):
        channel = self.channel()
        image = self.images[0].read_bytes()
        infer = Contract(channel).message("inference.ModelInferRequest", model_name=MODEL)
        infer.inputs.add(name="input", datatype="BYTES", shape=[1])
        infer.raw_input_contents.append(len(image).to_bytes(4, "little") + image)
        for path, first in ((STREAM_PREDICT, b"\x08\x01" + message_field(2, predict_request(image))),
                            (STREAM_INFER, infer.SerializeToString())):
            answers = []
            stream = channel.stream_stream(path)(iter([first] * 50 + [unreadable(path)[0]]), metadata=self.metadata(),
                                                 timeout=WAIT_S)
            error = self.refused(lambda stream=stream, answers=answers: answers.extend(stream))
            self.assertIn("message 51 of the stream", error.details())
            self.assertEqual(len(answers), 50)

    def upload(self, contract, change, compression=None):
        """A fit to four messages of 50 labelled logits, of which `change` makes others; what it ends with."""
        draw = random.Random(1)
        specification = contract.message("calserve.v1.FitCalibratorRequest")
        specification.specification.model = MODEL
        specification.specification.method = 2
        specification.specification.uploaded.SetInParent()
        parts = []
        for _ in range(4):
            part = contract.message("calserve.v1.FitCalibratorRequest")
            for _ in range(50):
                example = part.examples.examples.add(class_index=draw.randrange(10))
                example.logits.values.extend(draw.gauss(0, 3) for _ in range(10))
            parts.append(part.SerializeToString())
        call = self.channel().stream_stream(FIT)(iter([specification.SerializeToString(), *change(parts)]),
                                                 metadata=self.metadata(), timeout=WAIT_S, compression=compression)
        try:
            last = list(call)[-1]
            response = contract.message("calserve.v1.FitCalibratorResponse")
            response.ParseFromString(last)
            return grpc.StatusCode.OK, response.calibrator.report.n
        except grpc.RpcError as error:
            return error.code(), error.details()

    def calibrators(self, contract):
        request = contract.message("calserve.v1.ListCalibratorsRequest", model=MODEL).SerializeToString()
        response = contract.message("calserve.v1.ListCalibratorsResponse")
        response.ParseFromString(self.channel().unary_unary("/calserve.v1.CalibrationService/ListCalibrators")(
            request, metadata=self.metadata(), timeout=WAIT_S))
        return len(response.calibrators)

    def test_an_upload_that_is_not_whole_is_not_fitted(self):
        contract = Contract(self.channel())
        # What is fitted again to the same set keeps its version: each of these sets is another.
        self.assertEqual(self.upload(contract, lambda parts: parts[1:]), (grpc.StatusCode.OK, 150))
        before = self.calibrators(contract)
        for body in unreadable(FIT):
            code, details = self.upload(contract, lambda parts, body=body: [parts[0], body, *parts[1:]])
            self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT)
            self.assertIn("cannot be read as calserve.v1.FitCalibratorRequest", details)
        too_large = lambda parts: [parts[0], bytes(2 * LARGEST), *parts[1:]]
        for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
            for _ in range(3):
                code, details = self.upload(contract, too_large, compression)
                self.assertEqual(code, grpc.StatusCode.RESOURCE_EXHAUSTED, details)
        # Fits run one after the other: this one is behind whatever was to be fitted of the others.
        self.assertEqual(self.upload(contract, lambda parts: parts[2:]), (grpc.StatusCode.OK, 100))
        self.assertEqual(self.calibrators(contract), before + 1)

    def memory_mib(self):
        status = pathlib.Path(f"/proc/{self.server.pid}/status").read_text(encoding="utf-8")
        return int(status.split("VmHWM:")[1].split()[0]) >> 10

    def test_what_inflates_beyond_the_limit_is_not_inflated(self):
        channel = self.channel()
        call = channel.unary_unary(PREDICT)
        compressed = {"compression": grpc.Compression.Gzip, "timeout": WAIT_S}
        # Up to the limit it is read like any other.
        request = predict_request(self.images[0].read_bytes())
        self.assertTrue(call(request, metadata=self.metadata(), **compressed))
        deflated = dict(compressed, compression=grpc.Compression.Deflate)
        self.assertTrue(call(request, metadata=self.metadata(), **deflated))
        before = self.memory_mib()
        for options in (compressed, deflated):
            for token in (None, "all"):
                error = self.refused(lambda: call(bytes(300 << 20), metadata=self.metadata(token), **options))
                self.assertEqual(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
                self.assertIn("larger than max", error.details())
        self.assertLess(self.memory_mib() - before, 30)

    def test_a_message_of_one_who_may_not_call_takes_no_more_than_its_bytes(self):
        channel = self.channel()
        # Of unknown fields, which take twenty times as much once they are parsed.
        body = b"\xfa\x3e\x00" * (LARGEST // 3)
        before = self.memory_mib()
        for path in ("/calserve.v1.ModelService/ListModels", "/inference.GRPCInferenceService/RepositoryModelLoad",
                     "/calserve.v1.CalibrationService/WatchCalibration"):
            call = channel.stream_stream(path)
            error = self.refused(lambda: list(call(iter([body]), compression=grpc.Compression.Gzip, timeout=WAIT_S)))
            self.assertEqual(error.code(), grpc.StatusCode.UNAUTHENTICATED)
            self.assertLess(self.memory_mib() - before, 30, path)


if __name__ == "__main__":
    kserve_testing.main()
