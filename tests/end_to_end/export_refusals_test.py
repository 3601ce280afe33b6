"""What tools/export_model.py refuses: models, weights, files and names, each with a sentence.

    export_refusals_test.py --command PROGRAM --server PROGRAM --photos DIRECTORY [unittest's arguments]

Beside export_test.py, with the same environment.
"""

import contextlib
import importlib
import io
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import torch

import export_test  # Before the tool, whose place it knows.
from export_test import MODULES, TOOL, export, own, photos

import export_model
from model_export import ExportError, image_input, samples

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
def dictionary(): return Gives(lambda x: {"logits": x[:, :2]})
def branch(): return Gives(lambda x: x[:, :2] / 255 if x.max() > 20 else x[:, :2])
def loop(): return Gives(lambda x: halved_while_large(x)[:, :2])
def neighbours(): return Gives(lambda x: (x - x.mean())[:, :2])
def squeezed(): return Gives(lambda x: x[:, :2].squeeze())


def halved_while_large(x):
    while x.norm() > 3:
        x = x / 2
    return x


class Complex(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.ones(2, dtype=torch.complex64), persistent=False)

    def forward(self, x):
        return (x[:, :2] * self.weight).real


def large(): return Gives(lambda x: x[:, :2] * 1e6)
def narrow(): return torch.nn.Linear(3, 2)
def linear(): return torch.nn.Linear(4, 2)
"""


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
            ("dictionary", "gave a dict: wrap it in a module whose forward gives the logits alone, such as output['logits']"),
            ("branch", "the model branches on a value in a tensor, and a trace would keep the branch of one input"),
            ("loop", "the model branches on a value in a tensor"),
            ("neighbours", "the model gives other logits for an input alone than beside others"),
            ("squeezed", "must give logits of shape [1, 2] for a batch of 1; gave [2]"),
            ("pair", "gave a tuple: wrap it"),
            ("third_axis", "gave [4, 2, 1]"),
            ("whole_numbers", "must be floats; were torch.int64"),
            ("no_number", "4 of 4 warm-up samples give NaN"),
            ("in_place", "changes its input in place"),
            ("narrow", "does not run on an input of shape [4, 4]: RuntimeError: "),
        ):
            with self.subTest(factory):
                self.assertIn(said, self.refusal(factory))

    def test_what_a_compiled_package_cannot_hold_is_said_with_what_can(self):
        for factory, said in (
            ("script", "is TorchScript: give --format torchscript"),
            ("branch", "use torch.where, or --format torchscript with a --module that makes torch.jit.script(model)"),
        ):
            with self.subTest(factory):
                self.assertIn(said, self.refusal(factory, "--format", "aotinductor"))

    def test_a_type_that_a_model_cannot_be_computed_in_is_refused(self):
        for factory, arguments, said in (
            ("large", ("--dtype", "fp16"), "gives NaN or infinity in fp16: use --dtype bf16"),
            ("Complex", ("--dtype", "bf16"), "is for models of real numbers; weight of the model is complex"),
        ):
            with self.subTest(factory):
                self.assertIn(said, self.refusal(factory, "--format", "aotinductor", *arguments))
        said = self.refusal("linear", "--dtype", "bf16", status=export_model.USAGE)
        self.assertIn("--dtype is for a .pt2; model.yaml says what a .pt computes in: dtype: bf16", said)

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
            (
                lambda: torch.save({"net": linear.state_dict(), "epoch": 3}, file),
                "holds net (OrderedDict), epoch (int): torch.save(torch.load(",
            ),
            (lambda: torch.save(linear.state_dict() | {"epoch": 3}, file), "holds epoch (int): save model.state_dict() alone"),
            (lambda: torch.save(torch.nn.Sequential(linear).state_dict(), file), "the model is '0' in the one that was saved"),
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


if __name__ == "__main__":
    export_test.main()
