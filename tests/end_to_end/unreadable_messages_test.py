"""Messages that are no messages, on a live calserve-server: they are looked at once the caller may call, and are an error,
never the end of a stream; and a compressed one takes no more memory than one that is not.

    unreadable_messages_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import pathlib
import random
import time

import kserve_testing  # Before gRPC, whose environment it sets.

import grpc

from access_testing import AccessTest, predict_request
from command_test import MODEL, WAIT_S
from contract import Contract

PREDICT, STREAM_PREDICT = (f"/calserve.v1.PredictionService/{name}" for name in ("Predict", "StreamPredict"))
SUBMIT, STREAM_FEEDBACK = (f"/calserve.v1.FeedbackService/{name}" for name in ("SubmitFeedback", "StreamFeedback"))
FIT = "/calserve.v1.CalibrationService/FitCalibrator"
INFER, STREAM_INFER = (f"/inference.GRPCInferenceService/{name}" for name in ("ModelInfer", "ModelStreamInfer"))
# Cut off; a string that is not UTF-8, as field 1 of each of these messages or of one within it.
UNREADABLE = (b"\x0a\x7f\x01", b"\xff\xff")
LARGEST = 1 << 20


class UnreadableMessages(AccessTest):
    @classmethod
    def flags(cls):
        return ("--access-tokens-file", cls.dir / "tokens", "--grpc-reflection", "on", "--grpc-max-message-bytes",
                "1MiB")

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

    def test_a_call_is_told_what_it_should_have_been(self):
        channel = self.channel()
        for path, message in ((PREDICT, "calserve.v1.PredictRequest"), (SUBMIT, "calserve.v1.SubmitFeedbackRequest"),
                              (INFER, "inference.ModelInferRequest")):
            for body in UNREADABLE:
                call = channel.unary_unary(path)
                error = self.refused(lambda: call(body, metadata=self.metadata(), timeout=WAIT_S))
                self.assert_unreadable(error, message)
                self.assertIn("x-request-id", dict(error.initial_metadata()))
                # Who may not call learns nothing of it.
                for token, code in ((None, "UNAUTHENTICATED"), ("read", "PERMISSION_DENIED")):
                    error = self.refused(lambda: call(body, metadata=self.metadata(token), timeout=WAIT_S))
                    self.assertEqual(error.code().name, code)
        counted = 'calserve_requests_total{model="",version="",rpc="ModelInfer",code="INVALID_ARGUMENT"} 2'
        self.assertIn(counted, self.body("/metrics", self.tokens["read"]).splitlines())

    def test_a_stream_ends_with_an_error_and_answers_what_came_before(self):
        channel = self.channel()
        contract = Contract(channel)
        image = self.images[0].read_bytes()
        infer = contract.message("inference.ModelInferRequest", model_name=MODEL)
        infer.inputs.add(name="image", datatype="BYTES", shape=[1])
        infer.raw_input_contents.append(len(image).to_bytes(4, "little") + image)
        predict = b"\x08\x01\x12" + bytes([len(predict_request(image)) & 127 | 128, len(predict_request(image)) >> 7])
        for path, first, message in (
                (STREAM_PREDICT, predict + predict_request(image), "calserve.v1.StreamPredictRequest"),
                (STREAM_INFER, infer.SerializeToString(), "inference.ModelInferRequest"),
                (STREAM_FEEDBACK, None, "calserve.v1.StreamFeedbackRequest")):
            for body in UNREADABLE:
                answers = []

                def sent(first=first, body=body, answers=answers):
                    if first is not None:
                        yield first
                        while not answers:
                            time.sleep(0.01)
                    yield body
                    yield first or body

                stream = channel.stream_stream(path)(sent(), metadata=self.metadata(), timeout=WAIT_S)

                def read(stream=stream, answers=answers):
                    for answer in stream:
                        answers.append(answer)

                error = self.refused(read)
                self.assert_unreadable(error, message)
                self.assertIn(f"message {1 if first is None else 2} of the stream", error.details())
                self.assertEqual(len(answers), 0 if first is None else 1)

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
        self.assertEqual(self.upload(contract, lambda parts: parts), (grpc.StatusCode.OK, 200))
        before = self.calibrators(contract)
        for body in UNREADABLE:
            code, details = self.upload(contract, lambda parts, body=body: [parts[0], body, *parts[1:]])
            self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT)
            self.assertIn("cannot be read as calserve.v1.FitCalibratorRequest", details)
        too_large = lambda parts: [parts[0], bytes(2 * LARGEST), *parts[1:]]
        for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
            for _ in range(3):
                code, details = self.upload(contract, too_large, compression)
                self.assertEqual(code, grpc.StatusCode.RESOURCE_EXHAUSTED, details)
        self.assertEqual(self.calibrators(contract), before)

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


if __name__ == "__main__":
    kserve_testing.main()
