"""Loads what was written and compares it with eager PyTorch."""

import warnings

import torch

from model_export import ExportError, failing_as, short_floats

TOLERANCE = {"cpu": 1e-4, "cuda": 0.02}  # of the largest logit


def batch_sizes(max_batch_size):
    return sorted({n for n in (1, 2, 3, 5, 8, max_batch_size) if n <= max_batch_size})


def load(path, device):
    """What can be run of a file, by its name in a message: TorchScript also frozen, as the server runs it."""
    with failing_as(f"{path.name} cannot be loaded again"):
        if path.suffix == ".pt2":
            index = (torch.device(device).index or 0) if torch.device(device).type == "cuda" else -1
            return {path.name: torch._inductor.aoti_load_package(str(path), device_index=index)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            loaded = torch.jit.load(str(path), map_location=device).eval()
    with failing_as(f"{path.name} cannot be frozen, as the server does it when it loads", "use --format aotinductor"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return {path.name: loaded, f"{path.name} frozen": torch.jit.freeze(loaded)}


def verify(path, model, inputs, max_batch_size, device, dtype="fp32"):
    """Runs batches of several sizes, each row among others than before. Gives the largest difference of a logit.

    model is on the CPU; inputs is a list of tensors.
    """
    programs = load(path, device)
    tolerance = TOLERANCE[torch.device(device).type] if dtype == "fp32" else short_floats.TOLERANCE
    worst = 0.0
    for rows in batch_sizes(max_batch_size):
        batch = torch.stack([inputs[(rows + i) % len(inputs)] * (1 - i / (4 * rows)) for i in range(rows)])
        with torch.inference_mode(), failing_as(f"the model does not run a batch of {rows}"):
            expected = model(batch)
        allowed = tolerance * short_floats.scale_of(expected, dtype)
        for name, program in programs.items():
            with torch.inference_mode(), failing_as(f"{name} does not run a batch of {rows}"):
                got = program(batch.to(device)).cpu()
            if got.shape != expected.shape:
                raise ExportError(f"{name} gives {list(got.shape)} for a batch of {rows}; PyTorch {list(expected.shape)}")
            difference = (got - expected).abs().max().item()
            if not difference <= allowed:
                raise ExportError(
                    f"{name} gives other logits than PyTorch for a batch of {rows}: they differ by {difference:.3g},"
                    f" allowed {allowed:.3g}"
                )
            worst = max(worst, difference)
    return worst
