"""Exports models with tools/export_model.py, serves them, and compares the answers with PyTorch's.

    export_test.py --command PROGRAM --server PROGRAM --photos DIRECTORY [unittest's arguments]

Needs tools/requirements.txt and kserve_requirements.txt; scripts/full_test.sh makes the environment.
"""

import argparse
import concurrent.futures
import contextlib
import copy
import importlib
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
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

import export_model
import one_logit
from model_export import ExportError, image_input, packages, samples, verify

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NET_INPUT = "--input-size 64 64 --resize 64 64 --mean 0.5 0.5 0.5 --std 0.25 0.25 0.25".split()
INSTANCES = 2
CALLERS = 4
GRPC_THREADS = 4  # by which its own come and go
RUN_THREADS = 8  # of the exporting process, and what a package without dynamic_threads keeps
SEED = 1  # export_model.py's default
FAULTY = """\
import torch


class Gives(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.forward = function


def raises(): raise RuntimeError("no\\nweights")
def needs(depth): return None
def ends(): raise SystemExit(7)
def text(): return "x"
def script(): return torch.jit.script(torch.nn.Linear(4, 2))
def pair(): return Gives(lambda x: (x[:, :2], x))
def third_axis(): return Gives(lambda x: x[:, :2, None])
def whole_numbers(): return Gives(lambda x: x[:, :2].long())
def no_number(): return Gives(lambda x: x[:, :2] * float("nan"))
def in_place(): return Gives(lambda x: x.mul_(2)[:, :2])
def narrow(): return torch.nn.Linear(3, 2)
def linear(): return torch.nn.Linear(4, 2)
"""
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


class Refusals(unittest.TestCase):
    """Exit status 1, a sentence, and nothing written."""

    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="calserve-export-test-"))
        self.addCleanup(shutil.rmtree, self.scratch)
        self.models = self.scratch / "models"
        self.addCleanup(signal.signal, signal.SIGTERM, signal.getsignal(signal.SIGTERM))
        self.addCleanup(setattr, sys, "path", [*sys.path])
        self.addCleanup(sys.modules.pop, "faulty", None)

    def assert_nothing_written(self):
        self.assertEqual([p.name for p in self.models.iterdir()], ["labels.txt"])

    def test_a_model_that_cannot_be_served_is_refused(self):
        for factory, said in (
            ("Softmax", "before the softmax"),
            ("Random", "something in it is random"),
            ("FixedBatch", "torch cannot export"),
            ("Nte", "it has Net"),
        ):
            with self.subTest(factory):
                self.assertIn(said, own(factory, self.models / "net", exits=1))
                self.assert_nothing_written()

    def test_a_state_dict_of_another_model_is_refused(self):
        torch.save(torch.nn.Linear(2, 2).state_dict(), self.scratch / "other.pth")
        self.assertIn(
            "does not fit the model", own("Net", self.models / "net", "--state-dict", self.scratch / "other.pth", exits=1)
        )
        self.assert_nothing_written()

    def refusal(self, factory, *arguments, status=export_model.REFUSED):
        """The one line about a model of four numbers. In this process: torch is imported already."""
        self.models.mkdir(exist_ok=True)
        labels = self.models / "labels.txt"
        labels.write_text("a\nb\n")
        (self.scratch / "faulty.py").write_text(FAULTY)
        importlib.invalidate_caches()
        argv = ["--module", factory if ":" in factory else f"faulty:{factory}", "--python-path", self.scratch]
        argv += ["--input-shape", 4, "--format", "torchscript", "--labels", labels, "--output", self.models / "net"]
        errors = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
            self.assertEqual(export_model.main([str(a) for a in [*argv, *arguments]]), status, errors.getvalue())
        self.assertEqual(errors.getvalue().count("\n"), 1, errors.getvalue())
        self.assert_nothing_written()
        return errors.getvalue()

    def test_what_a_users_code_raises_is_one_line_with_its_place(self):
        for factory, said in (
            ("raises", f"makes no model: RuntimeError: no weights ({self.scratch / 'faulty.py'}:10); name a function"),
            ("needs", "missing 1 required positional argument: 'depth'; name a function that makes it"),
            ("ends", "SystemExit: 7"),
            ("text", "must make a torch.nn.Module; made a str"),
            ("script", "is TorchScript already"),
            ("pair", "gave a tuple: wrap it"),
            ("third_axis", "gave [4, 2, 1]"),
            ("whole_numbers", "must be floats; were torch.int64"),
            ("no_number", "4 of 4 warm-up samples give NaN"),
            ("in_place", "changes its input in place"),
            ("narrow", "does not run on an input of shape [4, 4]: RuntimeError: "),
        ):
            with self.subTest(factory):
                self.assertIn(said, self.refusal(factory))

    def test_a_module_that_cannot_be_imported_is_named(self):
        for name, source, said in (
            ("no_python", "def (:\n", "SyntaxError: invalid syntax (no_python.py, line 1)"),
            ("no_package", "\nimport no_such_package\n", "No module named 'no_such_package' ("),
            ("no_import", "open('/none')\n", "FileNotFoundError"),
        ):
            (self.scratch / f"{name}.py").write_text(source)
            with self.subTest(name):
                self.assertIn(f"cannot import {name} from {self.scratch}: ", text := self.refusal(f"{name}:f"))
                self.assertIn(said, text)

    def test_a_file_of_weights_that_cannot_be_used_is_said_to_be_what_it_is(self):
        linear, file = torch.nn.Linear(4, 2), self.scratch / "weights.pth"
        broken = {"weight": torch.zeros(2, 4), "bias": torch.full((2,), float("nan"))}
        for save, said in (
            (lambda: file.write_bytes(b""), "it is empty"),
            (lambda: file.write_text("hello world\n"), "it is another kind of file"),
            (lambda: file.write_bytes(b"PK\3\4 and no more"), "it is damaged or cut short"),
            (lambda: torch.save(linear, file), "it holds more than tensors"),
            (lambda: torch.jit.script(linear).save(str(file)), "it is TorchScript"),
            (lambda: torch.save([1], file), "holds a list; save model.state_dict() alone"),
            (lambda: torch.save({"net": linear.state_dict(), "epoch": 3}, file), "holds the keys net, epoch; save"),
            (lambda: torch.save({1: torch.zeros(2)}, file), "it lacks weight, bias; it has 1, which the model has not"),
            (lambda: torch.save(torch.nn.DataParallel(linear).state_dict(), file), "save model.module.state_dict()"),
            (lambda: torch.save(broken, file), "bias of the model has NaN or infinity in it"),
            (file.unlink, f"cannot read {file}: No such file"),
        ):
            save()
            with self.subTest(said):
                self.assertIn(said, self.refusal("linear", "--state-dict", file))

    def test_files_and_devices_that_are_not_there_are_named(self):
        labels, image = self.scratch / "latin.txt", self.scratch / "photo.jpg"
        labels.write_bytes(b"chat\nb\xe9b\xe9\n")
        self.assertIn(f"{labels}: byte 6 is not UTF-8", self.refusal("linear", "--labels", labels))
        version = self.refusal("linear", "--model-version", 2**63, status=export_model.USAGE)
        self.assertIn("from 1 to 9223372036854775807; was 9223372036854775808", version)
        if not torch.cuda.is_available():
            self.assertIn("--device cuda needs an NVIDIA GPU", self.refusal("linear", "--device", "cuda"))
        spec = image_input.ImageInput(size=(8, 8))
        for content, said in (
            (b"", "none of them by its first bytes"),
            (b"GIF89a", "none of them by its first bytes"),
            (photos()[0].read_bytes()[:2000], "is the file whole?"),
        ):
            image.write_bytes(content)
            with self.subTest(said), self.assertRaisesRegex(ExportError, said.replace("?", r"\?")):
                samples.read_image(spec, image)

    def test_unknown_names_of_torchvision_get_the_nearest(self):
        self.assertIn("resnet18", export("--torchvision", "resnet-18", "--output", self.scratch / "x", exits=1))
        text = export(
            "--torchvision", "resnet18", "--weights", "none", "--preset", "V1", "--output", self.scratch / "x", exits=1
        )
        self.assertIn("it has IMAGENET1K_V1", text)

    def test_sigterm_leaves_nothing(self):
        (self.models).mkdir()
        (self.models / "labels.txt").write_text("a\nb\n")
        module = ["--module", "one_logit:Net", "--python-path", MODULES, "--labels", self.models / "labels.txt"]
        run = subprocess.Popen([sys.executable, TOOL, *module, "--input-size", "64", "--output", self.models / "net"])
        while not list(self.models.glob(".net.*")) and run.poll() is None:
            time.sleep(0.05)
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.wait(60), 128 + signal.SIGTERM)
        self.assert_nothing_written()


def main():
    parser = argparse.ArgumentParser()
    for option in ("--command", "--server"):
        parser.add_argument(option, required=True)
    parser.add_argument("--photos", required=True, type=pathlib.Path)
    unittest.main(argv=[sys.argv[0], *parser.parse_known_args(namespace=OPTIONS)[1]], verbosity=2)


if __name__ == "__main__":
    main()
