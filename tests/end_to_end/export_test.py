"""Exports models with tools/export_model.py, serves them, and compares the answers with PyTorch's.

    export_test.py --command PROGRAM --server PROGRAM --photos DIRECTORY [unittest's arguments]

Needs tools/requirements.txt and kserve_requirements.txt; scripts/full_test.sh makes the environment.
"""

import argparse
import concurrent.futures
import contextlib
import copy
import io
import json
import math
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile
from unittest import mock

import numpy
import torch
import torchvision
import tritonclient.grpc as triton
from torchvision.transforms import v2
from tritonclient.utils import InferenceServerException

import command_test
import export_page
from command_test import OPTIONS

HERE = pathlib.Path(__file__).resolve().parent
TOOL = HERE.parents[1] / "tools" / "export_model.py"
MODULES = HERE.parent / "fixtures" / "export"
sys.path[:0] = [str(TOOL.parent), str(MODULES)]

import one_logit
from model_export import ExportError, arguments, packages, verify

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NET_INPUT = "--input-size 64 64 --resize 64 64 --mean 0.5 0.5 0.5 --std 0.25 0.25 0.25".split()
INSTANCES = 2
CALLERS = 4
GRPC_THREADS = 4  # by which its own come and go
RUN_THREADS = 8  # of the exporting process, and what a package without dynamic_threads keeps
SEED = 1  # export_model.py's default
SERVING_FLAGS = {"--check", "--model", "--model-repository", "--top-k"}  # of the server and of calserve, on the page
# Registers that AVX2 does not have, and what AVX-512 and AMX do with those that it has.
BEYOND_AVX2 = re.compile(r"%zmm|%[xy]mm(1[6-9]|2\d|3[01])|%k[0-7]|%tmm"
                         r"|\bv(pternlog|pdp|permt2|permi2|rndscale|cvtne|prol|pror|range|fpclass|plzcnt)")
command_test.WAIT_S = 120  # ResNet-18 warms up on batches of up to 32


def tool(*arguments, exits=0):
    run = subprocess.run([sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True, check=False)
    if run.returncode != exits:
        raise AssertionError(f"exit status {run.returncode}, not {exits}:\n{run.stdout}{run.stderr}")
    return run.stdout + run.stderr


def export(*arguments, exits=0):
    text = tool(*arguments, exits=exits)
    if exits == 0 and "loaded again" not in text:
        raise AssertionError(f"the tool has not verified its output:\n{text}")
    return text


def check(models, exits=0):
    run = subprocess.run([OPTIONS.server, "--check", models], capture_output=True, text=True, check=False)
    if run.returncode != exits:
        raise AssertionError(f"exit status {run.returncode}, not {exits}:\n{run.stdout}{run.stderr}")
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


def instructions(path):
    """Of the libraries in a package, as objdump prints them."""
    with zipfile.ZipFile(path) as package, tempfile.TemporaryDirectory() as scratch:
        libraries = [package.extract(name, scratch) for name in package.namelist() if name.endswith(".so")]
        disassemble = ["objdump", "--disassemble", "--no-show-raw-insn", *libraries]
        return subprocess.run(disassemble, capture_output=True, text=True, check=True).stdout.splitlines()


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


class Page(Served):
    """docs/models-from-pytorch.md, from top to bottom in a folder of its own as its reader would go through it; its
    ResNet-18 as TorchScript, too."""

    @classmethod
    def export(cls):
        cls.enterClassContext(contextlib.chdir(cls.scratch))
        for photo in photos():
            shutil.copy(photo, cls.scratch)
        (cls.scratch / "labels.txt").write_text("cat\ndog\n", encoding="utf-8")
        OPTIONS.models = cls.exported
        cls.reader = export_page.Reader(cls.run_tool, lambda *arguments: cls().calserve(*arguments)[0], cls.serve)
        cls.reader.follow()
        cls.resnet18, cls.net = cls.reader.exports
        export(*cls.resnet18, "--output", "models/script", "--format", "torchscript")
        torch.manual_seed(SEED)
        cls.model = torchvision.models.resnet18().eval()

    @staticmethod
    def run_tool(*arguments):
        return export(*arguments) if "--output" in arguments else tool(*arguments)

    @classmethod
    def serve(cls, *arguments):
        if arguments and arguments != ("--model-repository", cls.exported.name):
            raise AssertionError(f"start_server() has other flags: {arguments}")
        cls.start_server()

    @classmethod
    def start_server(cls):
        """Anew where there is one, as the page asks for."""
        if hasattr(cls, "server"):
            cls.server.kill()
            cls.server.wait()
        super().start_server()

    def test_all_is_run_but_what_the_test_names(self):
        self.assertCountEqual(self.reader.left_out, export_page.NOT_RUN)

    def test_it_prints_what_the_page_shows(self):
        number = re.compile(r"(\d+\.\d+(?:e-\d+)?)")
        self.assertEqual(len(self.reader.shown), 5)  # two exports, two predictions, model.yaml
        for shown, printed in self.reader.shown:
            with self.subTest(shown):
                expected, got = number.split(shown), number.split(printed)
                self.assertEqual(got[::2], expected[::2])
                for one, other in zip(got[1::2], expected[1::2]):
                    self.assertTrue(math.isclose(float(one), float(other), rel_tol=0.01, abs_tol=0.002), printed)

    def test_a_second_version_goes_beside_the_first(self):
        files = [self.exported / "cat_or_dog" / name for name in ("labels.txt", "model.yaml")]
        contents = [file.read_bytes() for file in files]
        export(*self.net, "--model-version", 2, "--format", "torchscript")
        self.assertEqual([file.read_bytes() for file in files], contents)
        self.assertIn("2 versions checked", check(self.exported / "cat_or_dog"))

    def test_a_second_version_that_needs_other_files_is_refused(self):
        beside_a_script = ["--model-version", 2, "--output", self.exported / "script"]
        self.assertIn("labels.txt has other labels", export(*self.net, *beside_a_script, exits=1))
        self.assertIn("device", export(*self.resnet18, *beside_a_script, exits=1))

    def test_the_server_finds_nothing_wrong(self):
        self.assertIn("3 models", check(self.exported))

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
        for model in ("resnet18", "script"):
            with self.subTest(model):
                logits, probabilities = self.predict_photos(model)
                torch.testing.assert_close(logits, expected, atol=1e-3, rtol=1e-3)
                torch.testing.assert_close(probabilities, expected.softmax(1), atol=1e-5, rtol=1e-3)

    def test_tensors_get_pytorchs_logits(self):
        batch = torch.randn(5, 3, 224, 224)
        with torch.inference_mode():
            expected = self.model(batch)
        for model in ("resnet18", "script"):
            with self.subTest(model):
                torch.testing.assert_close(self.infer(model, batch)[0], expected, atol=1e-4, rtol=1e-4)

    def test_the_labels_are_the_weights_categories(self):
        labels = (self.exported / "resnet18" / "labels.txt").read_text(encoding="utf-8").splitlines()
        self.assertEqual(labels, torchvision.models.ResNet18_Weights.DEFAULT.meta["categories"])


class PageFlags(unittest.TestCase):
    """What docs/models-from-pytorch.md says of flags, in commands or between them."""

    def test_the_tool_has_every_flag(self):
        known = set(arguments.parser()._option_string_actions)
        self.assertEqual(export_page.flags(export_page.text()) - known, SERVING_FLAGS)
        for block in export_page.blocks():
            for command in export_page.commands(block):
                if command.startswith(export_page.TOOL):
                    self.assertLessEqual(export_page.flags(command), known)

    def test_the_tool_takes_their_values(self):
        with_values = [code for code in export_page.inline_code() if re.match(r"--\S+\s", code)]
        self.assertGreater(len(with_values), 10)
        for code in with_values:
            values = shlex.split(re.sub("HEIGHT|WIDTH", "64", code))
            with self.subTest(code), contextlib.redirect_stderr(io.StringIO()) as said:
                try:
                    arguments.check(arguments.parser().parse_args(["--torchvision", "resnet18", "--output", "x", *values]))
                except (SystemExit, ExportError) as error:
                    self.fail(said.getvalue() or error)


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

    @unittest.skipUnless(shutil.which("objdump"), "objdump, of binutils, is not there")
    def test_the_package_has_no_instruction_that_an_avx2_processor_lacks(self):
        code = instructions(self.exported / "package" / "1" / "model.pt2")
        self.assertTrue(any("%ymm" in line for line in code))
        self.assertIsNone(next(filter(BEYOND_AVX2.search, code), None))

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
            with self.subTest(model):
                check(changed)
                file, = changed.rglob("expected.json")
                golden = json.loads(file.read_text(encoding="utf-8"))
                golden["samples"][0]["logits"][0] += 1
                file.write_text(json.dumps(golden), encoding="utf-8")
                self.assertRegex(check(changed, exits=3), f"warm-up sample .*{golden['samples'][0]['file']}")

    def test_samples_are_compared_that_are_made_as_models_md_says(self):
        code, = (b.code for b in export_page.blocks(export_page.PAGE.with_name("models.md")) if b.language == "python")
        model = self.scratch / "samples" / "models" / "NAME"
        shutil.copytree(self.exported / "script", model, ignore=shutil.ignore_patterns("warmup"))
        names = {"json": json, "numpy": numpy, "pathlib": pathlib, "torch": torch}
        with contextlib.chdir(self.scratch / "samples"):
            exec(code, names | {"model": self.model, "batch": torch.randn(3, 3, 64, 64)})
        self.assertIn("3 warm-up samples", check(model))


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
    for option in ("--command", "--server", "--photos"):  # a test may change the directory
        parser.add_argument(option, required=True, type=lambda path: pathlib.Path(path).absolute())
    unittest.main(argv=[sys.argv[0], *parser.parse_known_args(namespace=OPTIONS)[1]], verbosity=2)


if __name__ == "__main__":
    main()
