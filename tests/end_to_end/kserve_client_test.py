"""Drives KServe v2 with NVIDIA Triton's own Python client, unmodified, against a live calserve-server.

    kserve_client_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import argparse
import gzip
import sys
import unittest

import numpy
import tritonclient.grpc as triton

import command_test
from command_test import DATA, MODEL, OPTIONS, SIDE

MEAN, STD = numpy.float32(0.2860), numpy.float32(0.3530)  # as in the model's model.yaml


class KserveTest(command_test.LiveServerTest):
    """A server with the Fashion-MNIST model, the first test images and a client."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = triton.InferenceServerClient(cls.address)
        cls.addClassCleanup(cls.client.close)
        with gzip.open(DATA / "t10k-images-idx3-ubyte.gz") as file:
            pixels = numpy.frombuffer(file.read(16 + command_test.IMAGES * SIDE * SIDE)[16:], numpy.uint8)
        cls.pixels = pixels.reshape(-1, SIDE, SIDE, 1)
        # What the model itself takes: N, 1, 28, 28.
        cls.tensors = ((cls.pixels.astype(numpy.float32) / numpy.float32(255) - MEAN) / STD).transpose(0, 3, 1, 2)
        cls.names = (OPTIONS.models / MODEL / "labels.txt").read_text(encoding="utf-8").splitlines()

    def tensor(self, first, last):
        data = triton.InferInput("input", [last - first, 1, SIDE, SIDE], "FP32")
        return data.set_data_from_numpy(numpy.ascontiguousarray(self.tensors[first:last]))


class Inferring(KserveTest):
    def test_a_float_tensor_gets_calibrated_probabilities_logits_and_tickets(self):
        answer = self.client.infer(MODEL, [self.tensor(0, 5)], request_id="five")
        probabilities, logits = answer.as_numpy("probabilities"), answer.as_numpy("logits")
        self.assertEqual((probabilities.shape, probabilities.dtype), ((5, 10), numpy.float32))
        self.assertEqual((logits.shape, logits.dtype), ((5, 10), numpy.float32))
        softmax = numpy.exp(logits - logits.max(1, keepdims=True))
        softmax /= softmax.sum(1, keepdims=True)
        numpy.testing.assert_allclose(probabilities, softmax, atol=1e-6)
        self.assertEqual([self.names[k] for k in probabilities.argmax(1)], self.labels[:5])
        self.assertEqual(answer.as_numpy("ticket").shape, (5, 1))
        self.assertEqual(len({bytes(i) for i in answer.as_numpy("prediction_id").ravel()}), 5)
        response = answer.get_response()
        self.assertEqual((response.id, response.model_name, response.model_version), ("five", MODEL, "1"))


class Describing(KserveTest):
    def test_the_server_is_live(self):
        self.assertTrue(self.client.is_server_live())


if __name__ == "__main__":
    PARSER = argparse.ArgumentParser()
    for option in ("--command", "--server"):
        PARSER.add_argument(option, required=True)
    PARSER.add_argument("--models", required=True, type=command_test.pathlib.Path)
    unittest.main(argv=[sys.argv[0], *PARSER.parse_known_args(namespace=OPTIONS)[1]], verbosity=2)
