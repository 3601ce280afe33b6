"""Modules that are not as most are, made by tools/export_model.py into what gives their logits.

    export_modules_test.py --command PROGRAM --server PROGRAM --photos DIRECTORY [unittest's arguments]

Beside export_test.py, with the same environment.
"""

import contextlib
import importlib
import io
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy
import torch

import export_test  # Before the tool, whose place it knows.
from export_test import OPTIONS

import export_model

UNUSUAL = """\
import torch


def linear():
    torch.manual_seed(3)
    return torch.nn.Linear(4, 3)


class Spectral(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(4)
        self.weight = torch.nn.Parameter(torch.randn(3, 3, dtype=torch.complex64))

    def forward(self, x):
        return (torch.fft.rfft(x) @ self.weight).real


class Any(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = linear()

    def forward(self, *arguments, **options):
        return self.linear(*arguments, **options)


class RowByRow(torch.nn.Module):
    def forward(self, x):
        y = []
        for row in x:
            z = row[:3]
            while bool(z.abs().max() > 1.0):
                z = z / 2
            y.append(z)
        return torch.stack(y)


def parallel(): return torch.nn.DataParallel(linear())
def compiled(): return torch.compile(linear())
def scripted(): return torch.jit.script(RowByRow())
def again(): return linear()
def double(): return linear().double()
def sigmoid(): return torch.nn.Sequential(linear(), torch.nn.Sigmoid())
"""


class Modules(unittest.TestCase):
    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="calserve-export-test-"))
        self.addCleanup(shutil.rmtree, self.scratch)
        self.addCleanup(setattr, sys, "path", [*sys.path])
        self.addCleanup(sys.modules.pop, "unusual", None)
        (self.scratch / "unusual.py").write_text(UNUSUAL)
        (self.scratch / "labels.txt").write_text("a\nb\nc\n")
        importlib.invalidate_caches()

    def export(self, factory, *arguments):
        """What the tool says; in this process, where torch is imported already. The server has checked it."""
        output = self.scratch / "models" / factory
        argv = ["--module", f"unusual:{factory}", "--python-path", self.scratch, "--labels", self.scratch / "labels.txt"]
        argv += ["--input-shape", 4, "--max-batch-size", 8, "--format", "torchscript", "--output", output, *arguments]
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = export_model.main([str(a) for a in argv])
        self.assertEqual(status, export_model.DONE, said.getvalue())
        check = subprocess.run([OPTIONS.server, "--check", output], capture_output=True, text=True, check=False)
        self.assertEqual(check.returncode, 0, check.stdout + check.stderr)
        return said.getvalue()

    def assert_gives(self, factory, model, *arguments):
        """In its samples, which the server has found to be its own, the logits of a model that no tool has touched."""
        self.export(factory, *arguments)
        warmup = self.scratch / "models" / factory / "1" / "warmup"
        for sample in json.loads((warmup / "expected.json").read_text())["samples"]:
            given = torch.from_numpy(numpy.load(warmup / sample["file"]))[None]
            with torch.inference_mode():
                expected = model(given)[0].float()
            self.assertLess((torch.tensor(sample["logits"]) - expected).abs().max().item(), 1e-5)

    def own(self, factory):
        sys.path.insert(0, str(self.scratch))
        return getattr(importlib.import_module("unusual"), factory)()

    def test_complex_weights_stay_complex(self):
        self.assert_gives("Spectral", self.own("Spectral"))

    def test_a_compiled_or_parallel_model_is_unwrapped(self):
        for factory in ("parallel", "compiled"):
            self.assert_gives(factory, self.own("linear"))

    def test_a_forward_of_any_arguments_takes_the_input(self):
        self.assert_gives("Any", self.own("linear"))
        self.export("Any", "--format", "aotinductor", "--output", self.scratch / "models" / "compiled")

    def test_torchscript_keeps_its_loops(self):
        self.assert_gives("scripted", self.own("RowByRow"))

    def test_other_precisions_are_float32(self):
        self.assert_gives("double", self.own("linear"))

    def test_a_package_computes_in_the_type_that_is_asked_for(self):
        exact = self.own("linear")
        for name, dtype, factory in (("bf16", torch.bfloat16, "linear"), ("fp16", torch.float16, "again")):
            short = self.own("linear").to(dtype)
            model = lambda x, short=short, dtype=dtype: short(x.to(dtype)).float()
            self.assert_gives(factory, model, "--format", "aotinductor", "--dtype", name)
            version = self.scratch / "models" / factory / "1"
            expected = json.loads((version / "warmup" / "expected.json").read_text())
            largest = max(abs(logit) for sample in expected["samples"] for logit in sample["logits"])
            self.assertAlmostEqual(expected["tolerance"]["absolute"] / largest, 0.05, delta=0.01)
            package = version / "model.pt2"
            run = torch._inductor.aoti_load_package(str(package))
            x = torch.linspace(-2, 2, 32).reshape(8, 4)
            with torch.inference_mode():
                got = run(x)
                self.assertEqual(got.dtype, torch.float32)
                self.assertLess((got - model(x)).abs().max().item(), 0.02)
                self.assertGreater((got - exact(x)).abs().max().item(), 1e-5)

    def test_what_may_be_a_sigmoid_is_told(self):
        self.assertIn("note: every logit is between 0 and 1: if the model ends in a sigmoid", self.export("sigmoid"))
        self.assertNotIn("note:", self.export("linear"))


if __name__ == "__main__":
    export_test.main()
