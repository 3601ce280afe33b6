"""What calserve-server refuses over KServe v2, as Triton's own Python client sees it: code and message.

    kserve_errors_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import queue

import kserve_testing  # Before gRPC, whose environment it sets.

import grpc
import numpy
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from kserve_testing import BINARY, FAILING, MODEL, SIDE, KserveTest

FP32 = ("FP32", [1, 1, SIDE, SIDE])


class Refusing(KserveTest):
    def refused(self, code, message, call, *arguments, **options):
        with self.assertRaises(InferenceServerException) as raised:
            call(*arguments, **options)
        self.assertEqual(raised.exception.status(), f"StatusCode.{code}", raised.exception)
        self.assertRegex(raised.exception.message(), message)

    def refused_rpc(self, code, message, request):
        """The same for a request that the client's classes would not build."""
        with self.assertRaises(grpc.RpcError) as raised:
            self.client._client_stub.ModelInfer(request)
        self.assertEqual(raised.exception.code().name, code, raised.exception)
        self.assertRegex(raised.exception.details(), message)

    def request(self, *inputs, raw=None, model=MODEL):
        request = triton.service_pb2.ModelInferRequest(model_name=model)
        for name, datatype, shape in inputs:
            request.inputs.add(name=name, datatype=datatype, shape=shape)
        request.raw_input_contents.extend(raw or [])
        return request

    def one(self, datatype, shape, raw=None):
        return self.request(("input", datatype, shape), raw=None if raw is None else [raw])

    def test_models_and_versions(self):
        for call in (self.client.is_model_ready, self.client.get_model_metadata, self.client.get_model_config,
                     self.client.get_inference_statistics):
            with self.subTest(call=call.__name__):
                self.refused("NOT_FOUND", "unknown model 'nope'", call, "nope")
                self.refused("NOT_FOUND", "no version 7", call, MODEL, "7")
                self.refused("INVALID_ARGUMENT", "whole number, .* was '-1'", call, MODEL, "-1")
        tensor = self.input(self.tensors[:1])
        self.refused("NOT_FOUND", "unknown model 'nope'; there is: binary .*failing .*fashion_mnist", self.infer, tensor,
                     model="nope")
        for version in ("0", "2"):
            self.refused("NOT_FOUND", f"no version {version}", self.infer, tensor, model_version=version)
        for version in ("-1", "1.0", "latest", " 1", "99999999999999999999"):
            self.refused("INVALID_ARGUMENT", "a model version must be a whole number", self.infer, tensor,
                         model_version=version)

    def test_version_labels(self):
        tensor = self.input(self.tensors[:1])
        self.refused("NOT_FOUND", "no ready version with the label 'canary'; there is: ", self.infer, tensor,
                     parameters={"version_label": "canary"})
        self.refused("INVALID_ARGUMENT", "version 1 and label 'canary'", self.infer, tensor, model_version="1",
                     parameters={"version_label": "canary"})

    def test_shapes_and_sizes(self):
        floats = bytes(4 * SIDE * SIDE)
        for shape in ([1, 2, SIDE, SIDE], [1, SIDE, SIDE], [SIDE, SIDE], []):
            self.refused_rpc("INVALID_ARGUMENT", r"unexpected shape for input 'input' for model 'fashion_mnist'. "
                             r"Expected \[-1,1,28,28\], got \[.*\]$", self.one("FP32", shape, floats))
        self.refused_rpc("INVALID_ARGUMENT", r"All input dimensions should be specified .*got \[-1,1,28,28\]",
                         self.one("FP32", [-1, 1, SIDE, SIDE], floats))
        for raw, got in ((floats[:-4], 3132), (floats + b"1234", 3140), (b"", 0)):
            self.refused_rpc("INVALID_ARGUMENT", f"input byte size mismatch for input 'input' for model "
                             f"'fashion_mnist'. Expected 3136, got {got}", self.one(*FP32, raw))
        self.refused_rpc("INVALID_ARGUMENT", "batch-size must be <= 32 for 'fashion_mnist'; was 33",
                         self.one("FP32", [33, 1, SIDE, SIDE], floats * 33))
        self.refused_rpc("INVALID_ARGUMENT", "batch-size must be >= 1", self.one("FP32", [0, 1, SIDE, SIDE], b""))
        self.refused_rpc("INVALID_ARGUMENT", "batch-size must be <= 32",
                         self.one("FP32", [2**62, 1, SIDE, SIDE], floats))

    def test_data_types(self):
        for datatype in ("INT32", "FP64", "FP16", "FLOAT", ""):
            self.refused_rpc("INVALID_ARGUMENT", f"inference input 'input' data-type is '{datatype}', but model "
                             "'fashion_mnist' expects 'FP32,UINT8,BYTES'", self.one(datatype, FP32[1], b"x"))
        self.refused("INVALID_ARGUMENT", "data-type is 'UINT8', but model 'binary' expects 'FP32'$", self.infer,
                     self.input(self.pixels[:1], "UINT8"), model=BINARY)
        self.refused("INVALID_ARGUMENT", "data-type is 'BYTES', but model 'binary'", self.infer,
                     self.files(self.pixels[:1]), model=BINARY)

    def test_inputs(self):
        tensor = self.input(self.tensors[:1])
        self.refused("INVALID_ARGUMENT", "unexpected inference input 'data' for model 'fashion_mnist'", self.infer,
                     self.input(self.tensors[:1], name="data"))
        self.refused("INVALID_ARGUMENT", "expected 1 inputs but got 2 inputs", self.infer, tensor, tensor)
        self.refused("INVALID_ARGUMENT", "expected 1 inputs but got 0 inputs", self.infer)
        self.refused_rpc("INVALID_ARGUMENT", "expected 1 raw_input_contents, one an input, but got 2",
                         self.request(("input", *FP32), raw=[b"", b""]))
        shared = triton.InferInput("input", FP32[1], "FP32").set_shared_memory("region", 3136)
        self.refused("UNIMPLEMENTED", "shared memory is not supported", self.infer, shared)

    def test_contents(self):
        self.refused_rpc("INVALID_ARGUMENT", "unable to find data for input tensor 'input'", self.one(*FP32))
        both = self.one(*FP32, bytes(3136))
        both.inputs[0].contents.fp32_contents.extend([0] * 784)
        self.refused_rpc("INVALID_ARGUMENT", "contents field must not be specified when using raw_input_contents for "
                         "'input' for model 'fashion_mnist'", both)
        wrong = self.one(*FP32)
        wrong.inputs[0].contents.int_contents.extend([0] * 784)
        self.refused_rpc("INVALID_ARGUMENT", "unexpected explicit tensor data .* of type 'INT32', expected datatype "
                         "'FP32'", wrong)
        for data_type, field in (("INT8", "int"), ("INT16", "int"), ("UINT16", "uint"), ("UINT32", "uint")):
            other = self.one(data_type, FP32[1])  # in the right field, of a type that no model takes
            getattr(other.inputs[0].contents, f"{field}_contents").extend([0] * 784)
            self.refused_rpc("INVALID_ARGUMENT", f"data-type is '{data_type}', but", other)
        short = self.one(*FP32)
        short.inputs[0].contents.fp32_contents.extend([0] * 783)
        self.refused_rpc("INVALID_ARGUMENT", "byte size mismatch .* Expected 3136, got 3132", short)
        large = self.one("UINT8", [1, 1, 1, 1])
        large.inputs[0].contents.uint_contents.append(256)
        self.refused_rpc("INVALID_ARGUMENT", "UINT8 must be from 0 to 255 .* element 0 is 256", large)

    def test_pixels(self):
        for shape in ([1, 3, SIDE, SIDE], [1, SIDE, SIDE, 4], [SIDE, SIDE, 1]):
            self.refused_rpc("INVALID_ARGUMENT", r"unexpected shape .* Expected \[-1,-1,-1,1\] or \[-1,-1,-1,3\], got",
                             self.one("UINT8", shape, bytes(SIDE * SIDE)))
        self.refused_rpc("INVALID_ARGUMENT", "byte size mismatch .* Expected 784, got 783",
                         self.one("UINT8", [1, SIDE, SIDE, 1], bytes(783)))
        self.refused_rpc("INVALID_ARGUMENT", "height and width must be from 1", self.one("UINT8", [1, 0, 5, 1], b""))
        self.refused_rpc("INVALID_ARGUMENT", "height and width must be from 1 to 1000000",
                         self.one("UINT8", [1, 2**40, 2**40, 1], b"x"))

    def test_files(self):
        def element(data, length=None):
            return (len(data) if length is None else length).to_bytes(4, "little") + data
        for raw, message in ((b"\1\0", "incomplete string length indicator .* 4 bytes but only 2 bytes available"),
                             (element(b"abc", 4), "incomplete string data .* expecting 4 bytes but only 3"),
                             (element(b"", 2**32 - 1), "incomplete string data .* expecting 4294967295 bytes"),
                             (element(b"a") * 3, "unexpected number of string elements 3 .* expecting 2"),
                             (element(b"a"), "unexpected number of string elements 1 .* expecting 2")):
            self.refused_rpc("INVALID_ARGUMENT", message, self.one("BYTES", [2], raw))
        self.refused_rpc("INVALID_ARGUMENT", r"Expected \[-1,1\], got \[1,2\]", self.one("BYTES", [1, 2], element(b"a")))
        self.refused("INVALID_ARGUMENT", "input 'input', row 1: .*(format|JPEG)", self.infer,
                     self.input(numpy.array([kserve_testing.png(self.pixels[0]), b"not an image"], object), "BYTES"))

    def test_values_that_are_not_finite(self):
        tensor = self.tensors[:3].copy()
        tensor[2, 0, 0, 5] = numpy.nan
        self.refused("INVALID_ARGUMENT", "input 'input', row 2: every element must be finite; element 5 is nan",
                     self.infer, self.input(tensor))

    def test_a_model_that_fails_is_internal(self):
        self.infer(self.input(self.tensors[:1]), model=FAILING)
        large = numpy.full((1, 1, SIDE, SIDE), 1e4, numpy.float32)
        self.refused("INTERNAL", "a logit that is not finite", self.infer, self.input(large), model=FAILING)
        statistics, = self.client.get_inference_statistics(FAILING).model_stats
        self.assertEqual((statistics.inference_stats.success.count, statistics.inference_stats.fail.count), (1, 1))

    def test_outputs(self):
        def output(name, **options):
            return [triton.InferRequestedOutput(name, **options)]
        tensor = self.input(self.tensors[:1])
        self.refused("INVALID_ARGUMENT", "unexpected inference output 'label' for model 'fashion_mnist'; its outputs "
                     "are probabilities, logits, ticket, prediction_id", self.infer, tensor, outputs=output("label"))
        for name in ("logits", "ticket"):
            self.refused("INVALID_ARGUMENT", "classification is given on the calibrated values", self.infer, tensor,
                         outputs=output(name, class_count=2))
        self.refused("INVALID_ARGUMENT", "'classification', expected value >= 1; was -3", self.infer, tensor,
                     outputs=output("probabilities", class_count=-3))
        region = output("logits")
        region[0].set_shared_memory("region", 40)
        self.refused("UNIMPLEMENTED", "shared memory is not supported: 'logits'", self.infer, tensor, outputs=region)

    def test_parameters(self):
        tensor = self.input(self.tensors[:1])
        for parameters, message in (
                ({"priority": "high"}, "invalid value type for 'priority' parameter, expected int64_param or uint64_param"),
                ({"priority": -1}, "invalid value for 'priority', expected value >= 0; was -1"),
                ({"timeout": 1.5}, "invalid value type for 'timeout' parameter"),
                ({"timeout": -5}, "invalid value for 'timeout'"),
                ({"top_k": -1}, "invalid value for 'top_k'"),
                ({"version_label": 1}, "invalid value type for 'version_label' parameter, expected string_param"),
                ({"triton_new": 1}, "starting with 'triton_' are reserved.*was 'triton_new'"),
                ({"triton_enable_empty_final_response": 1}, "expected bool_param")):
            request = self.one(*FP32, self.tensors[:1].tobytes())
            for name, value in parameters.items():
                kind = {str: "string_param", int: "int64_param", float: "double_param"}[type(value)]
                setattr(request.parameters[name], kind, value)
            with self.subTest(parameters=parameters):
                self.refused_rpc("INVALID_ARGUMENT", message, request)

    def test_both_integer_kinds_are_taken(self):
        for kind in ("int64_param", "uint64_param"):
            request = self.one(*FP32, self.tensors[:1].tobytes())
            for name, value in (("priority", 1), ("timeout", 30_000_000), ("top_k", 1)):
                setattr(request.parameters[name], kind, value)
            answer = triton.InferResult(self.client._client_stub.ModelInfer(request))
            self.assertEqual(answer.as_numpy("probabilities").shape, (1, 1))

    def test_what_is_not_supported_says_so(self):
        client = self.client
        for call, arguments in ((client.get_system_shared_memory_status, []),
                                (client.register_system_shared_memory, ["region", "/key", 64]),
                                (client.unregister_system_shared_memory, []),
                                (client.get_cuda_shared_memory_status, []),
                                (client.register_cuda_shared_memory, ["region", b"", 0, 64]),
                                (client.unregister_cuda_shared_memory, []),
                                (client.get_trace_settings, []), (client.get_log_settings, [])):
            with self.subTest(call=call.__name__):
                self.refused("UNIMPLEMENTED", "not supported: ", call, *arguments)

    def test_the_repository_is_changed_only_where_it_is_explicit(self):
        for call in (self.client.load_model, self.client.unload_model):
            self.refused("FAILED_PRECONDITION", "--repository-control explicit", call, MODEL)


class Overloaded(KserveTest):
    @classmethod
    def start_server(cls):
        kserve_testing.command_test.ENVIRONMENT["CALSERVE_BATCHING_MAX_QUEUE_ROWS"] = "32"
        cls.addClassCleanup(kserve_testing.command_test.ENVIRONMENT.pop, "CALSERVE_BATCHING_MAX_QUEUE_ROWS")
        super().start_server()

    def test_a_full_queue_is_resource_exhausted_and_the_others_are_answered(self):
        outcomes = queue.Queue()
        tensor = self.input(self.tensors[:32])
        for _ in range(150):
            self.client.async_infer(MODEL, [tensor], lambda result, error: outcomes.put((result, error)))
        outcomes = [outcomes.get(timeout=60) for _ in range(150)]
        errors = [error for _, error in outcomes if error is not None]
        self.assertTrue(errors, "150 requests at once and a queue of one more than is run: some are refused")
        self.assertLess(len(errors), 150)
        self.assertEqual({error.status() for error in errors}, {"StatusCode.RESOURCE_EXHAUSTED"})


if __name__ == "__main__":
    kserve_testing.main()
