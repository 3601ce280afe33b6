"""Exports torchvision's models of several families by name, serves them together, and compares the answers with PyTorch's.

    export_families_test.py --command PROGRAM --server PROGRAM --photos DIRECTORY [unittest's arguments]

Beside export_test.py, with the same environment.
"""

import torch
import torchvision

import export_test
from export_test import SEED, Served, export

# Squeeze and excitation with hardswish; shuffled channels; attention.
PACKAGES = ("mobilenet_v3_small", "shufflenet_v2_x1_0", "vit_b_32")
SCRIPTS = PACKAGES[:2]
LARGEST_LOGIT = 5.0
ROWS = 4


def lively(name):
    """Of random weights, with logits that depend on the input: those of torchvision's own initialisation reach 1e-9 in
    mobilenet_v3_small, and a comparison would hold of any other model."""
    torch.manual_seed(SEED)
    model = torchvision.models.get_model(name, weights=None)
    batch = torch.randn(8, 3, 224, 224)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches, which is one
    head = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
    torch.nn.init.normal_(head.weight)
    with torch.no_grad():
        model.train()(batch)
        logits = model.eval()(batch)
        head.weight.mul_(LARGEST_LOGIT / logits.abs().max())
    return model


class Families(Served):
    """In one repository, most of them in both formats."""

    @classmethod
    def export(cls):
        cls.served = {}
        for name in PACKAGES:
            model = lively(name)
            torch.save(model.state_dict(), cls.scratch / "weights.pth")
            common = ["--torchvision", name, "--weights", cls.scratch / "weights.pth", "--max-batch-size", ROWS]
            export(*common, "--output", cls.exported / f"{name}-package")
            cls.served[f"{name}-package"] = model
            if name in SCRIPTS:
                export(*common, "--output", cls.exported / f"{name}-script", "--format", "torchscript")
                cls.served[f"{name}-script"] = model

    def test_batches_of_tensors_get_pytorchs_logits(self):
        for name, model in self.served.items():
            for rows in (1, ROWS):
                batch = torch.randn(rows, 3, 224, 224)
                with torch.inference_mode():
                    expected = model(batch)
                with self.subTest(name, rows=rows):
                    self.assertGreater(expected.std(), 0.1)
                    if rows > 1:
                        self.assertGreater((expected[0] - expected[1]).abs().max(), 0.1)
                    torch.testing.assert_close(self.infer(name, batch)[0], expected, atol=1e-4, rtol=1e-4)


if __name__ == "__main__":
    export_test.main()
