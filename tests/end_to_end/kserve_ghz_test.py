"""ghz, the load generator, unmodified, against calserve-server's KServe v2. Exits with 77 where ghz cannot be had.

    kserve_ghz_test.py --command PROGRAM --server PROGRAM --models DIRECTORY --tools DIRECTORY [unittest's arguments]
"""
import argparse
import base64
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys

import kserve_testing
from kserve_testing import MODEL, ROOT, SIDE, KserveTest

GHZ = "github.com/bojand/ghz/cmd/ghz@v0.121.0"
SKIPPED = 77
REQUESTS = 400


def skip(reason):
    print("SKIPPED:", reason)
    sys.exit(SKIPPED)


def find_ghz(tools):
    """Of the machine, or built once into `tools`."""
    built = tools.absolute() / "ghz"
    if found := shutil.which("ghz") or (built.exists() and str(built)):
        return found
    if not shutil.which("go"):
        skip("no ghz, and no Go to build it with")
    install = subprocess.run(["go", "install", GHZ], env={**os.environ, "GOBIN": str(built.parent)}, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if install.returncode != 0:
        skip(f"go install {GHZ} failed:\n{install.stdout}")
    return str(built)


class Loading(KserveTest):
    ghz = None

    def load(self, request, *options, call="inference.GRPCInferenceService.ModelInfer"):
        """The statuses of REQUESTS calls, counted, as ghz reports them."""
        run = subprocess.run(
            [self.ghz, "--insecure", "--call", call, "--data", json.dumps(request), "--total", str(REQUESTS), "--concurrency", "8", "--format", "json", *options,
             self.address], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        return json.loads(run.stdout)["statusCodeDistribution"]

    def request(self, **changes):
        raw = base64.b64encode(self.tensors[:1].tobytes()).decode()
        return {"model_name": MODEL, "raw_input_contents": [raw],
                "inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 1, SIDE, SIDE]}], **changes}

    def answered(self):
        statistics, = self.client.get_inference_statistics(MODEL).model_stats
        return statistics.inference_stats.success.count

    def test_it_finds_the_messages_by_reflection_and_every_call_is_answered(self):
        before = self.answered()
        self.assertEqual(self.load(self.request()), {"OK": REQUESTS})
        self.assertEqual(self.answered() - before, REQUESTS)

    def test_it_sends_typed_contents_by_our_proto_files(self):
        request = self.request(raw_input_contents=[])
        request["inputs"][0]["contents"] = {"fp32_contents": self.tensors[0].ravel().tolist()}
        self.assertEqual(self.load(request, "--proto", str(ROOT / "proto/inference/grpc_service.proto"),
                                   "--import-paths", str(ROOT / "proto")), {"OK": REQUESTS})

    def test_it_sends_every_kind_of_input(self):
        file = kserve_testing.png(self.pixels[0])
        for datatype, shape, raw in (("UINT8", [1, SIDE, SIDE, 1], self.pixels[0].tobytes()),
                                     ("BYTES", [1], struct.pack("<I", len(file)) + file)):
            with self.subTest(datatype):
                before = self.answered()
                request = self.request(inputs=[{"name": "input", "datatype": datatype, "shape": shape}],
                                       raw_input_contents=[base64.b64encode(raw).decode()])
                self.assertEqual(self.load(request), {"OK": REQUESTS})
                self.assertEqual(self.answered() - before, REQUESTS)

    def test_it_calls_what_describes_the_server_and_its_models(self):
        for call, request in (("ServerLive", {}), ("ServerReady", {}), ("ModelReady", {"name": MODEL}),
                              ("ServerMetadata", {}), ("ModelMetadata", {"name": MODEL}),
                              ("ModelConfig", {"name": MODEL}), ("ModelStatistics", {"name": MODEL}),
                              ("RepositoryIndex", {})):
            with self.subTest(call):
                self.assertEqual(self.load(request, call=f"inference.GRPCInferenceService.{call}"),
                                 {"OK": REQUESTS})

    def test_it_checks_health(self):
        proto = self.scratch / "health.proto"  # As in gRPC's own repository.
        proto.write_text("""syntax = "proto3";
package grpc.health.v1;
message HealthCheckRequest { string service = 1; }
message HealthCheckResponse {
  enum ServingStatus { UNKNOWN = 0; SERVING = 1; NOT_SERVING = 2; SERVICE_UNKNOWN = 3; }
  ServingStatus status = 1;
}
service Health { rpc Check(HealthCheckRequest) returns (HealthCheckResponse); }
""", encoding="utf-8")
        health = ("--proto", str(proto))
        self.assertEqual(self.load({}, *health, call="grpc.health.v1.Health.Check"), {"OK": REQUESTS})
        self.assertEqual(self.load({"service": "nope"}, *health, call="grpc.health.v1.Health.Check"),
                         {"NotFound": REQUESTS})

    def test_it_sees_the_status_of_what_is_refused(self):
        self.assertEqual(self.load(self.request(model_name="nope")), {"NotFound": REQUESTS})


if __name__ == "__main__":
    PARSER = argparse.ArgumentParser()
    PARSER.add_argument("--tools", required=True, type=pathlib.Path)
    KNOWN, sys.argv[1:] = PARSER.parse_known_args()
    Loading.ghz = find_ghz(KNOWN.tools)
    kserve_testing.main()
