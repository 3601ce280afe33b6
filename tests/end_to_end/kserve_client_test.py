"""NVIDIA Triton's own Python client, unmodified, against a live calserve-server: what works.

    kserve_client_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import asyncio
import base64
import json
import queue
import shutil
import subprocess
import sys
import time

import kserve_testing  # Before gRPC, whose environment it sets.

import numpy
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException

from kserve_testing import BINARY, IMAGES, MODEL, OPTIONS, SIDE, KserveTest

ALL_OUTPUTS = ["probabilities", "logits", "ticket", "prediction_id"]


def softmax(logits):
    weights = numpy.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


class Inferring(KserveTest):
    def test_floats_get_probabilities_logits_tickets_and_ids(self):
        answer = self.infer(self.input(self.tensors[:5]), request_id="five")
        probabilities, logits = answer.as_numpy("probabilities"), answer.as_numpy("logits")
        self.assertEqual((probabilities.shape, probabilities.dtype), ((5, 10), numpy.float32))
        self.assertEqual((logits.shape, logits.dtype), ((5, 10), numpy.float32))
        numpy.testing.assert_allclose(probabilities, softmax(logits), atol=1e-6)
        self.assertEqual([self.names[k] for k in probabilities.argmax(1)], self.labels[:5])
        self.assertEqual(answer.as_numpy("ticket").shape, (5, 1))
        self.assertEqual(len({bytes(i) for i in answer.as_numpy("prediction_id").ravel()}), 5)
        response = answer.get_response()
        self.assertEqual((response.id, response.model_name, response.model_version), ("five", MODEL, "1"))
        self.assertEqual([output.name for output in response.outputs], ALL_OUTPUTS)
        self.assertEqual(len(response.raw_output_contents), len(ALL_OUTPUTS))

    def test_rows_of_a_batch_get_what_they_get_alone(self):
        together = self.logits(self.input(self.tensors[:32]))
        alone = numpy.concatenate([self.logits(self.input(self.tensors[i:i + 1])) for i in range(32)])
        numpy.testing.assert_allclose(together, alone, atol=1e-4)

    def test_pixels_and_files_get_what_the_preprocessed_floats_get(self):
        expected = self.logits(self.input(self.tensors[:4]))
        for same in (self.input(self.pixels[:4], "UINT8"), self.files(self.pixels[:4]),
                     self.files(self.pixels[:4], (4, 1)), self.input(self.pixels[:4].repeat(3, 3), "UINT8")):
            numpy.testing.assert_allclose(self.logits(same), expected, atol=1e-4)

    def test_pixels_of_another_size_are_resized_as_a_file_of_them_is(self):
        large = self.pixels[:2].repeat(3, 1).repeat(2, 2).repeat(3, 3)
        self.assertEqual(large.shape, (2, 3 * SIDE, 2 * SIDE, 3))
        numpy.testing.assert_array_equal(self.logits(self.input(large, "UINT8")), self.logits(self.files(large)))

    def test_typed_contents_get_what_raw_bytes_get(self):
        def infer(datatype, shape, **contents):
            request = triton.service_pb2.ModelInferRequest(model_name=MODEL)
            tensor = request.inputs.add(name="input", datatype=datatype, shape=shape)
            for field, values in contents.items():
                getattr(tensor.contents, field).extend(values)
            return triton.InferResult(self.client._client_stub.ModelInfer(request)).as_numpy("logits")
        expected = self.logits(self.input(self.tensors[:2]))
        for logits in (infer("FP32", [2, 1, SIDE, SIDE], fp32_contents=self.tensors[:2].ravel()),
                       infer("UINT8", [2, SIDE, SIDE, 1], uint_contents=self.pixels[:2].ravel()),
                       infer("BYTES", [2], bytes_contents=[kserve_testing.png(image) for image in self.pixels[:2]])):
            numpy.testing.assert_allclose(logits, expected, atol=1e-4)

    def test_a_model_of_one_logit_has_two_classes(self):
        answer = self.infer(self.input(self.tensors[:3]), model=BINARY)
        logits = answer.as_numpy("logits")
        self.assertEqual(logits.shape, (3, 2))
        numpy.testing.assert_array_equal(logits[:, 0], 0)
        numpy.testing.assert_allclose(answer.as_numpy("probabilities"), softmax(logits), atol=1e-6)

    def test_only_the_outputs_asked_for_come_in_the_order_asked_for(self):
        names = ["ticket", "probabilities", "ticket"]
        response = self.infer(self.input(self.tensors[:1]),
                              outputs=[triton.InferRequestedOutput(name) for name in names]).get_response()
        self.assertEqual([output.name for output in response.outputs], ["ticket", "probabilities"])
        self.assertEqual(len(response.raw_output_contents), 2)

    def test_classification_lists_the_most_probable_classes(self):
        answer = self.infer(self.input(self.tensors[:2]), outputs=[
            triton.InferRequestedOutput("probabilities", class_count=3)])
        probabilities = self.infer(self.input(self.tensors[:2])).as_numpy("probabilities")
        rows = self.texts(answer.as_numpy("probabilities"))
        for row, all_of_it in zip(rows, probabilities):
            best = numpy.argsort(-all_of_it)[:3]
            self.assertEqual(row, [f"{all_of_it[k]:.6f}:{k}:{self.names[k]}" for k in best])

    def test_top_k_is_classification_for_the_whole_request(self):
        answer = self.infer(self.input(self.tensors[:2]), parameters={"top_k": 2})
        self.assertEqual(answer.as_numpy("probabilities").shape, (2, 2))
        self.assertEqual(answer.as_numpy("logits").shape, (2, 10))
        more = self.infer(self.input(self.tensors[:2]), model=BINARY, parameters={"top_k": 99})
        self.assertEqual(more.as_numpy("probabilities").shape, (2, 2))

    def test_the_response_says_where_the_time_went(self):
        parameters = self.infer(self.files(self.pixels[:8])).get_response().parameters
        self.assertEqual(parameters["calibrator_version"].int64_param, 0)
        self.assertEqual(parameters["calibrator_method"].string_param, "none")
        for name in ("queue_us", "preprocess_us", "compute_us"):
            self.assertEqual(parameters[name].WhichOneof("parameter_choice"), "int64_param", name)
        self.assertGreater(parameters["compute_us"].int64_param, 0)
        self.assertGreater(parameters["preprocess_us"].int64_param, 0)

    def test_parameters_that_mean_nothing_here_are_let_pass(self):
        self.infer(self.input(self.tensors[:1]), priority=1, timeout=60_000_000, sequence_id=7, sequence_start=True,
                   compression_algorithm="gzip", parameters={"camera": "north", "weight": 0.5, "dry": True})

    def test_the_example_of_the_documentation_runs(self):
        page = (kserve_testing.ROOT / "docs/kserve.md").read_text(encoding="utf-8")
        code = page.split("```python\n")[1].split("```")[0]
        self.assertIn('"127.0.0.1:8500"', code)
        (self.scratch / "shoe.png").write_bytes(kserve_testing.png(self.pixels[0]))
        run = subprocess.run([sys.executable, "-c", code.replace("127.0.0.1:8500", self.address)], cwd=self.scratch,
                             capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(run.stderr, "")
        self.assertRegex(run.stdout, r"^Ankle boot [01]\.\d{6}\n.+\n.+\n[A-Za-z0-9+/]+=*\n$")


class Renamed(KserveTest):
    """A model whose tensors are called as those of Triton's PyTorch backend are."""

    @classmethod
    def models(cls):
        models = cls.scratch / "models"
        shutil.copytree(OPTIONS.models / MODEL, models / MODEL)
        with (models / MODEL / "model.yaml").open("a", encoding="utf-8") as file:
            file.write("tensor_names: {input: INPUT__0, probabilities: OUTPUT__0}\n")
        return models

    def test_tensors_have_the_names_that_model_yaml_gives_them(self):
        names = ["OUTPUT__0", *ALL_OUTPUTS[1:]]
        metadata, config = self.client.get_model_metadata(MODEL), self.client.get_model_config(MODEL).config
        for described in ((metadata.inputs, metadata.outputs), (config.input, config.output)):
            self.assertEqual([[tensor.name for tensor in tensors] for tensors in described], [["INPUT__0"], names])
        tensor = triton.InferInput("INPUT__0", [2, 1, SIDE, SIDE], "FP32").set_data_from_numpy(self.tensors[:2])
        self.assertEqual([output.name for output in self.infer(tensor).get_response().outputs], names)
        one = self.infer(tensor, outputs=[triton.InferRequestedOutput("OUTPUT__0", class_count=1)])
        self.assertEqual(one.as_numpy("OUTPUT__0").shape, (2, 1))
        with self.assertRaisesRegex(InferenceServerException, "unexpected inference input 'input' .* 'INPUT__0'"):
            self.infer(self.input(self.tensors[:2]))
        with self.assertRaisesRegex(InferenceServerException, "'probabilities' .* its outputs are OUTPUT__0, logits"):
            self.infer(tensor, outputs=[triton.InferRequestedOutput("probabilities")])


class InferringAsync(KserveTest):
    def test_callbacks_get_the_answers_of_their_requests(self):
        answers = queue.Queue()
        for i in range(40):
            def callback(result, error, i=i):
                answers.put((i, result, error))
            self.client.async_infer(MODEL, [self.input(self.tensors[i:i + 1])], callback, request_id=str(i))
        expected = self.logits(self.input(self.tensors[:32]))
        for _ in range(40):
            i, result, error = answers.get(timeout=30)
            self.assertIsNone(error)
            self.assertEqual(result.get_response().id, str(i))
            if i < 32:
                numpy.testing.assert_allclose(result.as_numpy("logits")[0], expected[i], atol=1e-4)

    def test_the_asyncio_client_infers_and_streams(self):
        async def drive():
            async with triton_aio.InferenceServerClient(self.address) as client:
                self.assertTrue(await client.is_server_ready())
                together = await asyncio.gather(*[client.infer(MODEL, [self.input(self.tensors[i:i + 1])])
                                                  for i in range(10)])

                async def requests():
                    for i in range(10):
                        yield {"model_name": MODEL, "inputs": [self.input(self.tensors[i:i + 1])],
                               "request_id": str(i)}
                streamed = [answer async for answer in client.stream_infer(requests())]
                return together, streamed
        together, streamed = asyncio.run(drive())
        self.assertEqual([result.get_response().id for result, _ in streamed], [str(i) for i in range(10)])
        for one, (other, error) in zip(together, streamed):
            self.assertIsNone(error)
            numpy.testing.assert_allclose(one.as_numpy("logits"), other.as_numpy("logits"), atol=1e-4)

    def stream(self, requests, headers=None):
        """What the callback of a stream gets for the requests, each a dict."""
        answers = queue.Queue()
        with triton.InferenceServerClient(self.address) as client:
            client.start_stream(lambda result, error: answers.put((result, error)), headers=headers)
            for request in requests:
                client.async_stream_infer(**request)
            client.stop_stream()  # returns when all is answered
        return list(answers.queue)

    def requests(self, count, bad=()):
        return [{"model_name": "nope" if i in bad else MODEL, "request_id": str(i),
                 "inputs": [self.input(self.tensors[i:i + 1])]} for i in range(count)]

    def test_a_stream_answers_in_order_and_survives_a_bad_request(self):
        answers = self.stream(self.requests(50, bad=[20]))
        self.assertEqual(len(answers), 50)
        for i, (result, error) in enumerate(answers):
            if i == 20:
                self.assertIsNone(result)
                self.assertIn("NOT_FOUND: unknown model 'nope'", error.message())
                continue
            self.assertIsNone(error)
            self.assertEqual(result.get_response().id, str(i))
            self.assertTrue(result.get_response().parameters["triton_final_response"].bool_param)

    def test_a_stream_ends_with_a_status_where_the_client_asks_for_one(self):
        *before, last = self.stream(self.requests(50, bad=[40]), headers={"triton_grpc_error": "true"})
        self.assertEqual([result.get_response().id for result, error in before if error is None],
                         [str(i) for i in range(40)])
        self.assertEqual(last[1].status(), "StatusCode.NOT_FOUND")


class Calibrated(KserveTest):
    """With a calibrator that was fitted on labels of predictions made over KServe v2."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        test = cls()
        lines = []
        for first in range(0, IMAGES, 30):
            tickets = test.infer(test.input(test.tensors[first:first + 30])).as_numpy("ticket").ravel()
            for ticket, label in zip(tickets, test.labels[first:]):
                lines.append(test.line(ticket, label))
        cls.feedback = test.calserve("feedback", input="\n".join(lines).encode())[0]
        cls.again = test.calserve("feedback", input="\n".join(lines[:10]).encode())[0]
        cls.report = test.wait_for_labels(IMAGES)
        cls.properties_before = test.properties()
        cls.ece_before = test.client.get_model_config(MODEL).config.parameters["ece"].string_value
        test.json("fit", "--model", MODEL, "--method", "temperature")
        test.json("calibrators", "activate", "--model", MODEL, "1")

    @staticmethod
    def line(ticket, label):
        return json.dumps({"ticket": ticket.decode(), "label": label})

    def wait_for_labels(self, count):
        deadline = time.monotonic() + 30
        while True:
            report = self.json("report", "--model", MODEL, "--window", "last_1000", "--calibrator-version", "0")
            if report["served"]["n"] == count or time.monotonic() > deadline:
                return report["served"]

    def test_every_element_of_bytes_is_text(self):
        answer = self.infer(self.input(self.tensors[:3]))
        for name in ("ticket", "prediction_id"):
            for element in answer.as_numpy(name).ravel():
                self.assertRegex(element.decode("ascii"), r"^[A-Za-z0-9+/=-]+$")

    def test_a_ticket_counts_as_the_text_that_it_came_as_too(self):
        ticket = self.infer(self.input(self.tensors[:1]), model=BINARY).as_numpy("ticket")[0][0]
        twice = base64.b64encode(ticket).decode()  # what the command sends is then the text itself
        for text, outcome in ((twice, "1 accepted, 0 duplicate"), (ticket.decode(), "0 accepted, 1 duplicate")):
            out, _ = self.calserve("feedback", "--ticket", text, "--label", "footwear")
            self.assertEqual(out, f"{outcome}, 0 rejected\n")

    def test_labels_for_tickets_count_like_any_other(self):
        self.assertEqual(self.feedback, f"{IMAGES} accepted, 0 duplicate, 0 rejected\n")
        self.assertEqual(self.again, "0 accepted, 10 duplicate, 0 rejected\n")
        self.assertEqual(self.report["n"], IMAGES)
        self.assertGreater(self.report["accuracy"], 0.85)
        self.assertAlmostEqual(float(self.ece_before), self.report["ece"], places=6)

    def test_model_metadata_has_the_ece_and_the_calibrator_that_answers(self):
        before = self.properties_before
        self.assertEqual([before[key] for key in ("calibrator_method", "calibrator_version", "ece_window", "ece_labels")],
                         ["none", "0", "last_1000", str(IMAGES)])
        self.assertAlmostEqual(float(before["ece"]), self.report["ece"], places=6)
        now = self.properties()
        self.assertEqual((now["calibrator_method"], now["calibrator_version"]), ("temperature", "1"))
        fitted, = (c for c in self.json("calibrators", "list", "--model", MODEL)["calibrators"] if c["version"] == 1)
        self.assertAlmostEqual(float(now["calibrator_temperature"]), fitted["parameters"]["temperature"], places=5)

    def test_attributes_are_parameters_and_slice_the_labels_of_every_row(self):
        tensors = self.input(self.tensors[:3])
        tickets = self.infer(tensors, model=BINARY, parameters={"attribute.camera": "north"}).as_numpy("ticket").ravel()
        lines = "\n".join(self.line(ticket, "footwear") for ticket in tickets)
        self.assertEqual(self.calserve("feedback", input=lines.encode())[0], "3 accepted, 0 duplicate, 0 rejected\n")
        report = ["report", "--model", BINARY, "--slice", "camera=north"]
        deadline = time.monotonic() + 30
        while self.json(*report)["served"]["n"] < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(self.json(*report)["served"]["n"], 3)
        self.assertEqual(self.json(*report, "--stored")["served"]["n"], 3)
        self.assertEqual(self.client.get_model_config(BINARY).config.parameters["attributes"].string_value, "camera")
        with self.assertRaises(InferenceServerException) as refused:
            self.infer(tensors, model=BINARY, parameters={"attribute.camra": "north"})
        self.assertRegex(refused.exception.message(), "lists: camera; was 'camra'")

    def test_probabilities_and_classification_are_calibrated_and_logits_are_not(self):
        answer = self.infer(self.input(self.tensors[:20]))
        parameters = answer.get_response().parameters
        self.assertEqual(parameters["calibrator_version"].int64_param, 1)
        self.assertEqual(parameters["calibrator_method"].string_param, "temperature")
        temperature = float(self.client.get_model_config(MODEL).config.parameters["calibrator_temperature"].string_value)
        self.assertGreater(temperature, 1.05)  # the demo's model is overconfident
        probabilities, logits = answer.as_numpy("probabilities"), answer.as_numpy("logits")
        self.assertGreater(abs(probabilities - softmax(logits)).max(), 0.01)
        self.assertTrue((probabilities.argmax(1) == logits.argmax(1)).all())
        top = self.infer(self.input(self.tensors[:20]), outputs=[
            triton.InferRequestedOutput("probabilities", class_count=1)]).as_numpy("probabilities")
        for (text,), row in zip(self.texts(top), probabilities):
            self.assertAlmostEqual(float(text.split(":")[0]), row.max(), places=5)

    def test_the_config_has_no_ece_until_this_calibrator_has_labels(self):
        parameters = self.client.get_model_config(MODEL).config.parameters
        self.assertEqual(parameters["calibrator_version"].string_value, "1")
        self.assertNotIn("ece", parameters)


if __name__ == "__main__":
    kserve_testing.main()
