"""Exports models with tools/export_model.py, serves them, and compares the answers with PyTorch's.

    export_test.py --command PROGRAM --server PROGRAM --photos DIRECTORY [unittest's arguments]

Needs tools/requirements.txt and kserve_requirements.txt; scripts/full_test.sh makes the environment.
"""

import argparse
import concurrent.futures
import copy
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest
import zipfile
from unittest import mock

import torch
import torchvision
import tritonclient.grpc as triton
from torchvision.transforms import v2
from tritonclient.utils import InferenceServerException

import command_test
from command_test import OPTIONS

HERE = pathlib.Path(__file__).resolve().parent
TOOL = HERE.parents[1] / "tools" / "export_model.py"
MODULES = HERE.parent / "fixtures" / "export"
sys.path[:0] = [str(TOOL.parent), str(MODULES)]

import one_logit
from model_export import ExportError, packages, verify

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NET_INPUT = "--input-size 64 64 --resize 64 64 --mean 0.5 0.5 0.5 --std 0.25 0.25 0.25".split()
INSTANCES = 2
CALLERS = 4
GRPC_THREADS = 4  # by which its own come and go
RUN_THREADS = 8  # of the exporting process, and what a package without dynamic_threads keeps
SEED = 1  # export_model.py's default
command_test.WAIT_S = 120  # ResNet-18 warms up on batches of up to 32


def export(*arguments, exits=0):
    run = subprocess.run([sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True, check=False)
    if run.returncode != exits:
        raise AssertionError(f"exit status {run.returncode}, not {exits}:\n{run.stdout}{run.stderr}")
    if exits == 0 and "loaded again" not in run.stdout + run.stderr:
        raise AssertionError(f"the tool has not verified its output:\n{run.stdout}{run.stderr}")
    return run.stdout + run.stderr


def own(factory, output, *arguments, **options):
    labels = output.parent / "labels.txt"
    labels.parent.mkdir(parents=True, exist_ok=True)
    labels.write_text("indoors\noutdoors\n")
    module = ["--module", f"one_logit:{factory}", "--python-path", MODULES, "--labels", labels]
    return export(*module, *NET_INPUT, "--output", output, *arguments, **options)


def aoti_metadata(path):
    with zipfile.ZipFile(path) as package:
        return [json.loads(package.read(name)) for name in package.namelist() if name.endswith("_metadata.json")]


def photos():
    return sorted(OPTIONS.photos.glob("*.jpg"))


class Served(command_test.LiveServerTest):
    """What a subclass exports into cls.exported, served."""

    @classmethod
    def write_images(cls):
        cls.exported = cls.scratch / "models"
        cls.export()
        OPTIONS.models = cls.exported

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = triton.InferenceServerClient(cls.address)
        cls.addClassCleanup(cls.client.close)

    def infer(self, model, batch):
        tensor = triton.InferInput("input", list(batch.shape), "FP32").set_data_from_numpy(batch.numpy())
        answer = self.client.infer(model, [tensor])
        return torch.tensor(answer.as_numpy("logits")), torch.tensor(answer.as_numpy("probabilities"))

    def predict_photos(self, model):
        answers = self.json("predict", "--model", model, "--logits", "--probabilities", *photos())[
            "predictions"
        ]
        return torch.tensor([a["logits"] for a in answers]), torch.tensor([a["probabilities"] for a in answers])


class ResNet18(Served):
    """Of torchvision, in both formats, with random weights."""

    @classmethod
    def export(cls):
        common = ["--torchvision", "resnet18", "--weights", "none", "--sample-image", photos()[0]]
        export(*common, "--output", cls.exported / "package")
        export(*common, "--output", cls.exported / "script", "--format", "torchscript")
        torch.manual_seed(SEED)
        cls.model = torchvision.models.resnet18().eval()

    def test_real_photographs_get_pytorchs_logits(self):
        transform = v2.Compose(
            [
                v2.Resize(256, antialias=True),
                v2.CenterCrop(224),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(MEAN, STD),
            ]
        )
        with torch.inference_mode():
            expected = self.model(torch.stack([transform(torchvision.io.decode_image(str(p))) for p in photos()]))
        self.assertGreaterEqual(len(expected), 2)
        self.assertGreater((expected[0] - expected[1]).abs().max(), 0.1)  # so that one cannot pass for the other
        for model in ("package", "script"):
            with self.subTest(model):
                logits, probabilities = self.predict_photos(model)
                torch.testing.assert_close(logits, expected, atol=1e-3, rtol=1e-3)
                torch.testing.assert_close(probabilities, expected.softmax(1), atol=1e-5, rtol=1e-3)

    def test_tensors_get_pytorchs_logits(self):
        batch = torch.randn(5, 3, 224, 224)
        with torch.inference_mode():
            expected = self.model(batch)
        for model in ("package", "script"):
            with self.subTest(model):
                torch.testing.assert_close(self.infer(model, batch)[0], expected, atol=1e-4, rtol=1e-4)

    def test_the_labels_are_the_weights_categories(self):
        labels = (self.exported / "package" / "labels.txt").read_text(encoding="utf-8").splitlines()
        self.assertEqual(labels, torchvision.models.ResNet18_Weights.DEFAULT.meta["categories"])


class OneLogit(Served):
    """A user's module with a state_dict of its own, in three files: as exported, TorchScript, and a package with the
    exporting process's thread count built in."""

    @classmethod
    def export(cls):
        torch.manual_seed(7)
        cls.model = one_logit.Net().eval()
        with torch.inference_mode():
            cls.model.output.weight.mul_(20)  # else the logits of photographs are close to each other
        torch.save(cls.model.state_dict(), cls.scratch / "net.pth")
        own("Net", cls.exported / "package", "--state-dict", cls.scratch / "net.pth")
        own("Net", cls.exported / "script", "--state-dict", cls.scratch / "net.pth", "--format", "torchscript")
        (cls.exported / "labels.txt").unlink()

    def test_photographs_get_pytorchs_probabilities(self):
        transform = v2.Compose(
            [
                v2.Resize([64, 64], antialias=True),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize([0.5] * 3, [0.25] * 3),
            ]
        )
        with torch.inference_mode():
            z = self.model(torch.stack([transform(torchvision.io.decode_image(str(p))) for p in photos()]))
        for model in ("package", "script"):
            with self.subTest(model):
                logits, probabilities = self.predict_photos(model)
                torch.testing.assert_close(logits[:, -1:], z, atol=1e-3, rtol=1e-3)
                torch.testing.assert_close(probabilities, torch.cat([(-z).sigmoid(), z.sigmoid()], 1), atol=1e-4, rtol=1e-3)

    def test_batches_of_tensors_get_pytorchs_logits(self):
        for rows in (1, 2, 7, 32):
            batch = torch.randn(rows, 3, 64, 64)
            with torch.inference_mode():
                z = self.model(batch)
            for model in ("package", "script"):
                with self.subTest(model, rows=rows):
                    expected = torch.cat([torch.zeros_like(z), z], 1)
                    torch.testing.assert_close(self.infer(model, batch)[0], expected, atol=1e-4, rtol=1e-4)

    def test_the_package_records_that_it_is_for_every_avx2_processor(self):
        metadata = aoti_metadata(self.exported / "package" / "1" / "model.pt2")
        self.assertGreater(len(metadata), 0)
        for one in metadata:
            self.assertEqual((one["AOTI_CPU_ISA"], one["AOTI_MACHINE"]), ("AVX2", "x86_64"))

    def test_a_file_that_gives_other_logits_than_the_model_is_not_verified(self):
        inputs = list(torch.randn(5, 3, 64, 64))
        other = copy.deepcopy(self.model)
        with torch.no_grad():
            other.output.bias += 0.01
        for model, file in (("package", "model.pt2"), ("script", "model.pt")):
            path = self.exported / model / "1" / file
            with self.subTest(model):
                self.assertLess(verify.verify(path, self.model, inputs, 32, "cpu"), 1e-4)
                with self.assertRaisesRegex(ExportError, f"{file} gives other logits than PyTorch"):
                    verify.verify(path, other, inputs, 32, "cpu")
        with mock.patch("torch.jit.freeze", return_value=other):
            with self.assertRaisesRegex(ExportError, "model.pt frozen gives other logits than PyTorch"):
                verify.verify(path, self.model, inputs, 32, "cpu")

    def test_golden_logits_that_were_changed_are_refused(self):
        for model in ("package", "script"):
            changed = self.scratch / "changed" / model
            shutil.copytree(self.exported / model, changed)
            check = [OPTIONS.server, "--check", changed]
            with self.subTest(model):
                self.assertEqual(subprocess.run(check, capture_output=True, check=False).returncode, 0)
                file, = changed.rglob("expected.json")
                golden = json.loads(file.read_text(encoding="utf-8"))
                golden["samples"][0]["logits"][0] += 1
                file.write_text(json.dumps(golden), encoding="utf-8")
                run = subprocess.run(check, capture_output=True, text=True, check=False)
                self.assertEqual(run.returncode, 3)
                self.assertRegex(run.stdout + run.stderr, f"warm-up sample .*{golden['samples'][0]['file']}")


class Threads(unittest.TestCase):
    """A package must leave the number of threads to the server."""

    def threads(self, dynamic_threads):
        """Of a server that has loaded two instances of one thread each, which have run batches of 32: what it had before,
        and what it has."""

        class Server(Served):
            server_flags = ("--repository-control", "explicit")

            @classmethod
            def export(cls):
                own("Net", cls.exported / "net")
                (cls.exported / "labels.txt").unlink()
                if not dynamic_threads:
                    torch.manual_seed(SEED)
                    before = torch.get_num_threads()
                    torch.set_num_threads(RUN_THREADS)
                    packages.compile_package(
                        one_logit.Net().eval(),
                        cls.exported / "net" / "1" / "model.pt2",
                        (3, 64, 64),
                        32,
                        dynamic_threads=False,
                    )
                    torch.set_num_threads(before)
                with (cls.exported / "net" / "model.yaml").open("a") as yaml:
                    yaml.write(f"instances: {INSTANCES}\nintra_op_threads: 1\n")

            def runTest(self):
                before = self.count_after(self.refused)  # gRPC has the threads that such calls need
                self.client.load_model("net")
                Server.count = before, self.count_after(lambda batch: self.infer("net", batch))

            def refused(self, batch):
                with self.assertRaisesRegex(InferenceServerException, "unknown model"):
                    self.infer("net", batch)

            def count_after(self, call):
                batch = torch.zeros(32, 3, 64, 64)
                with concurrent.futures.ThreadPoolExecutor(CALLERS) as callers:  # keep both instances busy
                    list(callers.map(lambda _: call(batch), range(64)))
                return len(os.listdir(f"/proc/{self.server.pid}/task"))

        result = unittest.TestResult()
        unittest.TestSuite([Server()]).run(result)
        self.assertTrue(result.wasSuccessful(), result.errors + result.failures)
        return Server.count

    def test_a_package_has_no_thread_count_of_its_own(self):
        before, exported = self.threads(True)
        _, built_in = self.threads(False)
        print(f"threads of a server: {before} without a model, {exported} with {INSTANCES} instances of one thread;"
              f" {built_in} with {RUN_THREADS} threads built in")
        # An instance's thread is the one that computes; a batcher has one more, which sweeps its queue.
        self.assertLessEqual(exported, before + INSTANCES + 1 + GRPC_THREADS)
        # Two instances with seven helpers each.
        self.assertGreaterEqual(built_in - exported, INSTANCES * (RUN_THREADS - 1) - GRPC_THREADS)


def main():
    parser = argparse.ArgumentParser()
    for option in ("--command", "--server"):
        parser.add_argument(option, required=True)
    parser.add_argument("--photos", required=True, type=pathlib.Path)
    unittest.main(argv=[sys.argv[0], *parser.parse_known_args(namespace=OPTIONS)[1]], verbosity=2)


if __name__ == "__main__":
    main()
