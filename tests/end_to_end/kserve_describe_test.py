"""What calserve-server says of itself and its models over KServe v2, to Triton's own Python client and on the wire.

    kserve_describe_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import time
import unittest

import kserve_testing  # Before gRPC, whose environment it sets.

from google.protobuf import descriptor_pb2
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import InferenceServerException

from kserve_testing import BINARY, FAILING, MODEL, PROTOS, SIDE, KserveTest, our_descriptors

def facts(file):
    """Everything that the wire depends on, as {name: what it is}."""
    found = {}

    def of_enum(prefix, enum):
        for value in enum.value:
            found[f"{prefix}{enum.name}.{value.name}"] = value.number

    def of_message(prefix, message):
        name = f"{prefix}{message.name}"
        found[name] = "map entry" if message.options.map_entry else "message"
        for field in message.field:
            oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else None
            found[f"{name}.{field.name}"] = (field.number, field.type, field.label, field.type_name, oneof)
        for enum in message.enum_type:
            of_enum(f"{name}.", enum)
        for nested in message.nested_type:
            of_message(f"{name}.", nested)

    for message in file.message_type:
        of_message(f"{file.package}.", message)
    for enum in file.enum_type:
        of_enum(f"{file.package}.", enum)
    for service in file.service:
        for method in service.method:
            found[f"{file.package}.{service.name}/{method.name}"] = (
                method.input_type, method.output_type, method.client_streaming, method.server_streaming)
    return found


class Wire(unittest.TestCase):
    """Our messages against those of tritonclient."""

    def setUp(self):
        self.ours = our_descriptors()

    def theirs(self, module):
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        return facts(file)

    def test_the_service_and_its_messages_are_the_same_and_metadata_has_properties(self):
        ours, theirs = facts(self.ours[PROTOS[0]]), self.theirs(service_pb2)
        added = {name for name in ours if "ropert" in name}
        self.assertEqual(added, {"inference.ModelMetadataResponse.properties",
                                 "inference.ModelMetadataResponse.PropertiesEntry",
                                 "inference.ModelMetadataResponse.PropertiesEntry.key",
                                 "inference.ModelMetadataResponse.PropertiesEntry.value"})
        self.assertEqual(ours["inference.ModelMetadataResponse.properties"][0], 6)
        self.assertEqual({name: fact for name, fact in ours.items() if name not in added}, theirs)
        self.assertGreater(len(theirs), 250)

    def test_what_there_is_of_the_model_config_is_the_same(self):
        ours, theirs = facts(self.ours[PROTOS[1]]), self.theirs(model_config_pb2)
        self.assertEqual(ours, {name: fact for name, fact in theirs.items() if name in ours})
        self.assertGreater(len(ours), 50)


class Describing(KserveTest):
    def call(self, path, request, response):
        """A call with raw bytes."""
        return self.client._channel.unary_unary(path, lambda message: message, response)(request)

    def test_live_and_ready(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready(MODEL))
        self.assertTrue(self.client.is_model_ready(MODEL, "1"))

    def test_health_and_reflection_name_the_service(self):
        name = b"inference.GRPCInferenceService"
        check = self.call("/grpc.health.v1.Health/Check", b"\x0a" + bytes([len(name)]) + name, bytes)
        self.assertEqual(check, b"\x08\x01")  # SERVING
        reflect = self.client._channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", lambda message: message, bytes)
        self.assertIn(name, b"".join(reflect(iter([b"\x3a\x00"]))))  # list_services

    def test_server_metadata_has_the_extensions_that_hold(self):
        metadata = self.client.get_server_metadata()
        self.assertEqual(metadata.name, "calserve")
        self.assertRegex(metadata.version, r"^\d+\.\d+\.\d+$")
        self.assertEqual(list(metadata.extensions),
                         ["classification", "schedule_policy", "model_configuration", "parameters", "statistics"])

    def test_model_metadata_has_the_tensors(self):
        metadata = self.client.get_model_metadata(MODEL, as_json=True)
        self.assertEqual((metadata["name"], metadata["versions"], metadata["platform"]),
                         (MODEL, ["1"], "pytorch_libtorch"))
        self.assertEqual(metadata["inputs"],
                         [{"name": "input", "datatype": "FP32", "shape": ["-1", "1", str(SIDE), str(SIDE)]}])
        self.assertEqual([(o["name"], o["datatype"], o["shape"]) for o in metadata["outputs"]],
                         [("probabilities", "FP32", ["-1", "10"]), ("logits", "FP32", ["-1", "10"]),
                          ("ticket", "BYTES", ["-1", "1"]), ("prediction_id", "BYTES", ["-1", "1"])])
        self.assertEqual(self.client.get_model_metadata(BINARY).outputs[1].shape, [-1, 2])

    def test_model_metadata_has_the_calibrator_in_its_properties(self):
        self.assertEqual(self.properties(),
                         {"calibrator_method": "none", "calibrator_version": "0", "task": "multiclass",
                          "input_datatypes": "FP32,UINT8,BYTES"})

    def test_model_config_agrees_with_the_metadata(self):
        config = self.client.get_model_config(MODEL).config
        metadata = self.client.get_model_metadata(MODEL)
        self.assertEqual((config.name, config.platform, config.backend, config.default_model_filename),
                         (MODEL, "pytorch_libtorch", "pytorch", "model.pt"))
        self.assertEqual((config.max_batch_size, config.model_transaction_policy.decoupled), (32, False))
        # With a batch dimension, metadata shapes are -1 and then dims: perf_analyzer relies on it.
        for tensors, described in ((config.input, metadata.inputs), (config.output, metadata.outputs)):
            self.assertEqual([(t.name, [-1, *t.dims]) for t in tensors], [(t.name, t.shape) for t in described])
        self.assertEqual([model_config_pb2.DataType.Name(t.data_type) for t in [*config.input, *config.output]],
                         ["TYPE_FP32", "TYPE_FP32", "TYPE_FP32", "TYPE_STRING", "TYPE_STRING"])
        group, = config.instance_group
        self.assertEqual((group.count, group.Kind.Name(group.kind)), (1, "KIND_CPU"))
        self.assertTrue(config.HasField("dynamic_batching"))
        self.assertEqual(config.dynamic_batching.default_queue_policy.max_queue_size, 1024)
        self.assertEqual(config.parameters["input_datatypes"].string_value, "FP32,UINT8,BYTES")
        self.assertEqual(self.client.get_model_config(BINARY).config.parameters["task"].string_value, "binary")

    def test_the_index_has_every_model(self):
        for ready in (False, True):
            index = self.client._client_stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(ready=ready))
            self.assertEqual([(m.name, m.version, m.state, m.reason) for m in index.models],
                             [(name, "1", "READY", "") for name in (BINARY, FAILING, MODEL)])
        self.assertEqual(len(self.client.get_model_repository_index().models), 3)


class Counting(KserveTest):
    def statistics(self, model=MODEL, version=""):
        statistics, = self.client.get_inference_statistics(model, version).model_stats
        return statistics

    def test_a_model_that_was_not_asked_has_zeros(self):
        statistics = self.statistics(BINARY)
        self.assertEqual((statistics.name, statistics.version, statistics.last_inference), (BINARY, "1", 0))
        self.assertEqual((statistics.inference_count, statistics.execution_count), (0, 0))
        self.assertEqual(len(self.client.get_inference_statistics().model_stats), 3)

    def test_requests_rows_batches_and_their_times_are_counted(self):
        before = time.time()
        for _ in range(3):
            self.infer(self.input(self.tensors[:5]))
        self.infer(self.files(self.pixels[:2]))
        bad = self.input(self.tensors[:1])
        for options in ({"parameters": {"top_k": -1}}, {"outputs": [kserve_testing.triton.InferRequestedOutput("no")]}):
            with self.assertRaises(InferenceServerException):
                self.infer(bad, **options)
        statistics = self.statistics(version="1")
        self.assertEqual((statistics.inference_count, statistics.execution_count), (17, 4))
        self.assertTrue(before * 1000 - 1 <= statistics.last_inference <= time.time() * 1000 + 1)
        requests = statistics.inference_stats
        # Parameters are looked at before the model is: of the two that were refused, one is the model's.
        self.assertEqual((requests.success.count, requests.fail.count), (4, 1))
        for part in ("queue", "compute_input", "compute_infer", "compute_output"):
            self.assertEqual(getattr(requests, part).count, 4, part)
            self.assertGreater(getattr(requests, part).ns, 0, part)
            self.assertLess(getattr(requests, part).ns, requests.success.ns, part)
        self.assertEqual([(b.batch_size, b.compute_infer.count) for b in statistics.batch_stats], [(2, 1), (5, 3)])
        self.assertTrue(all(b.compute_infer.ns > 0 for b in statistics.batch_stats))


if __name__ == "__main__":
    kserve_testing.main()
