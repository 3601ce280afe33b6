"""What the tests of KServe v2 share: a live calserve-server with three models, test images, Triton's own client."""
import argparse
import gzip
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

# Before gRPC is there: the processes that the tests start are forked, and must leave its threads and files alone.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import numpy
import tritonclient.grpc as triton
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tritonclient.grpc import service_pb2

import command_test
from command_test import DATA, IMAGES, MODEL, OPTIONS, SIDE

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = "binary"  # takes tensors and gives one logit
FAILING = "failing"  # takes tensors and gives NaN for large ones
MEAN, STD = numpy.float32(0.2860), numpy.float32(0.3530)  # as in the model.yaml of MODEL


PROTOS = ("inference/grpc_service.proto", "inference/model_config.proto")


def our_descriptors():
    """Of proto/inference, by protoc: FileDescriptorProtos by name."""
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "set"
        subprocess.run(["protoc", "-I", ROOT / "proto", f"--descriptor_set_out={out}", *PROTOS], check=True)
        return {file.name: file for file in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file}


def png(pixels):
    """An H x W x C array of bytes, grey or RGB, as a PNG file."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))


class KserveTest(command_test.LiveServerTest):
    """A server of its own for each class, with an empty store."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = triton.InferenceServerClient(cls.address)
        cls.addClassCleanup(cls.client.close)
        with gzip.open(DATA / "t10k-images-idx3-ubyte.gz") as file:
            pixels = numpy.frombuffer(file.read(16 + IMAGES * SIDE * SIDE)[16:], numpy.uint8)
        cls.pixels = pixels.reshape(-1, SIDE, SIDE, 1)
        # What the model itself takes: N, 1, 28, 28.
        cls.tensors = ((cls.pixels.astype(numpy.float32) / numpy.float32(255) - MEAN) / STD).transpose(0, 3, 1, 2)
        cls.names = (OPTIONS.models / MODEL / "labels.txt").read_text(encoding="utf-8").splitlines()

    @staticmethod
    def input(values, datatype="FP32", name="input"):
        """A tensor in raw bytes."""
        return triton.InferInput(name, values.shape, datatype).set_data_from_numpy(numpy.ascontiguousarray(values))

    def files(self, images, shape=None):
        """BYTES of PNG files."""
        files = numpy.array([png(image) for image in images], dtype=object)
        return self.input(files.reshape(shape or (len(files),)), "BYTES")

    def infer(self, *inputs, model=MODEL, **options):
        return self.client.infer(model, list(inputs), **options)

    def logits(self, *inputs, **options):
        return self.infer(*inputs, **options).as_numpy("logits")

    def properties(self, model=MODEL):
        """Of ModelMetadata; tritonclient's messages do not have them."""
        pool = descriptor_pool.DescriptorPool()
        for file in sorted(our_descriptors().values(), key=lambda file: len(file.dependency)):
            pool.Add(file)
        response = message_factory.GetMessageClass(pool.FindMessageTypeByName("inference.ModelMetadataResponse"))
        call = self.client._channel.unary_unary("/inference.GRPCInferenceService/ModelMetadata",
                                                service_pb2.ModelMetadataRequest.SerializeToString, response.FromString)
        return dict(call(service_pb2.ModelMetadataRequest(name=model)).properties)

    @staticmethod
    def texts(array):
        return [[text.decode() for text in row] for row in array]


def make_repository(directory):
    """The Fashion-MNIST model, and two that take tensors."""
    shutil.copytree(OPTIONS.models / MODEL, directory / MODEL)
    for name, task, file, labels in ((BINARY, "binary", "binary_one_logit.pt", ["other", "footwear"]),
                                     (FAILING, "multiclass", "nan_logits.pt", map(str, range(10)))):
        version = directory / name / "1"
        version.mkdir(parents=True)
        shutil.copy(ROOT / "tests/fixtures/models/torchscript" / file, version / "model.pt")
        (version.parent / "labels.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")
        (version.parent / "model.yaml").write_text(
            f"task: {task}\ninput:\n  kind: tensor\n  shape: [1, 28, 28]\nmax_batch_size: 8\n"
            f"{'attributes: {camera: any}' if name == BINARY else ''}\n", encoding="utf-8")


def main(*more):
    """`more`: options that the test has beside those of all."""
    parser = argparse.ArgumentParser()
    for option in ("--command", "--server", *more):
        parser.add_argument(option, required=True)
    parser.add_argument("--models", required=True, type=pathlib.Path)
    rest = parser.parse_known_args(namespace=OPTIONS)[1]
    with tempfile.TemporaryDirectory(prefix="calserve-kserve-test-") as directory:
        make_repository(pathlib.Path(directory))
        OPTIONS.models = pathlib.Path(directory)
        run = unittest.main(module="__main__", argv=[sys.argv[0], *rest], verbosity=2, exit=False)
    sys.exit(not run.result.wasSuccessful())
